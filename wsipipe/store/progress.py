"""Marks counted without knowing the pipeline: for looking at a batch that runs elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr

from wsipipe.store.layout import COMPLETE, DONE, PACKED, WORK
from wsipipe.store.place import place, zarr_store


def share(store: str | Path, layers: Sequence[str]) -> float:
    """How much of a slide is done, 0 to 1: marks and complete layers of those that it is to have, in their order.

    A layer that is not there yet counts as one mark, so the share may fall when a large one is begun.
    """
    done = total = 0.0
    for name in layers:
        try:
            part, whole = _marks(place(store) / WORK / name)
        except (OSError, KeyError, ValueError):  # the run that is looked at packs this layer just now
            part, whole = 1, 1
        done, total = done + part, total + whole
    return done / total if total else 0.0


def _marks(layer: Path) -> tuple[int, int]:
    if (layer.parent / f"{layer.name}{PACKED}" / COMPLETE / "zarr.json").is_file():
        return 1, 1
    if not (layer / DONE / "zarr.json").is_file() or not (layer / COMPLETE / "zarr.json").is_file():
        return 0, 1
    marks = zarr.open_array(zarr_store(layer / DONE), mode="r")
    if zarr.open_array(zarr_store(layer / COMPLETE), mode="r")[0]:
        return marks.size, marks.size
    return int(np.asarray(marks[:]).sum()), marks.size


def unit_counts(store: str | Path) -> tuple[int, int]:
    """Marked units, and all units, of the layers of a slide that are not complete; ``(0, 0)`` where there are none.

    A map step over kept tiles never marks units without tissue, so its count ends below the total.
    """
    done = total = 0
    for layer in sorted((place(store) / WORK).glob("*")):
        if not (layer / DONE / "zarr.json").is_file() or not (layer / COMPLETE / "zarr.json").is_file():
            continue
        try:
            if not zarr.open_array(zarr_store(layer / COMPLETE), mode="r")[0]:
                marks = np.asarray(zarr.open_array(zarr_store(layer / DONE), mode="r")[:])
                done, total = done + int(marks.sum()), total + marks.size
        except (OSError, KeyError, ValueError):  # the run that is looked at packs this layer just now
            continue
    return done, total
