"""Marks counted without knowing the pipeline: for looking at a batch that runs elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr

from wsipipe.store.layout import COMPLETE, DONE, WORK


def unit_counts(store: str | Path) -> tuple[int, int]:
    """Marked units, and all units, of the layers of a slide that are not complete; ``(0, 0)`` where there are none.

    A map step over kept tiles never marks units without tissue, so its count ends below the total.
    """
    done = total = 0
    for layer in sorted((Path(store) / WORK).glob("*")):
        if not (layer / DONE / "zarr.json").is_file() or not (layer / COMPLETE / "zarr.json").is_file():
            continue
        if not zarr.open_array(str(layer / COMPLETE), mode="r")[0]:
            marks = np.asarray(zarr.open_array(str(layer / DONE), mode="r")[:])
            done, total = done + int(marks.sum()), total + marks.size
    return done, total
