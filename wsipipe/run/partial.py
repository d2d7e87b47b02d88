"""A slide without some of its units: what may be kept of it, and what must never pass for the whole.

Enters: keys, and the units that could not be done. Leaves: other keys. Next room: `wsipipe.run.work`.

The layer of the step that lacks units keeps its key, its marks and no `complete`: a later run does only the missing
units. Every layer that is computed from it gets a key of its own, with `MARK` at its end: it is found again by a run
that lacks the same units, and never by one that lacks none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wsipipe.run import plan
from wsipipe.stage import digest
from wsipipe.store.layout import WORK
from wsipipe.store.place import place, remove_tree

MARK = "partial"
Missing = tuple[tuple[int, tuple[int, ...]], ...]
"""Steps and their units that were left out."""


def rekeyed(pipeline: plan.Pipeline, keys: Sequence[str], step: int, units: Sequence[int]) -> tuple[str, ...]:
    """Keys of a slide whose map step lacks units: later steps that read it, at any remove, get keys of their own."""
    touched = {spec.name for spec in pipeline.steps[step].outputs}
    found = list(keys)
    for index, later in enumerate(pipeline.steps[step + 1 :], step + 1):
        if plan.inputs(pipeline, later) & touched:
            found[index] = digest({"key": keys[index], "step": keys[step], "without": list(units)}) + MARK
            touched |= {spec.name for spec in later.outputs}
    return tuple(found)


def present(ids: NDArray[np.int64], missing: Missing, *, rows_per_unit: int) -> NDArray[np.int64]:
    """Those of the tiles whose unit lacks no map step so far."""
    lost = sorted({unit for _, units in missing for unit in units})
    return ids[~np.isin(ids // rows_per_unit, lost)]


def missing_line(lacks: Mapping[str, Iterable[int]]) -> str:
    """Which units are missing, by the name of their step, in words that name no file."""
    parts = [f"{step} {', '.join(map(str, sorted(units)))}" for step, units in lacks.items()]
    return f"units are missing ({'; '.join(parts)}): the same command does them again"


def drop(root: str) -> None:
    """Remove the layers that were computed without some units, once the whole slide is published."""
    for folder in sorted((place(root) / WORK).glob(f"*-????????????{MARK}*")):
        remove_tree(folder, missing_ok=True)
