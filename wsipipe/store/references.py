"""Which layers the runs of a results directory refer to, and what else lies there that nobody needs.

Enters: a results directory whose lease is held. Leaves: a list of `Leftover`, for `wsipipe clean`. Nothing is removed
here but by `remove`.

A run writes into ``runs/<key>/layers.jsonl`` which layers its settings name for each slide; the last line of a slide
counts. A layer that no run names and that the published result was not made from is a leftover. Where a run has no
such file (it was made by an earlier version) nothing can be said of any layer, and all are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wsipipe.errors import StoreError
from wsipipe.store.layout import LAYERS_FILE, LEASE, OVERWRITING, PACKED, RUN_FILE, RUNS, WORK
from wsipipe.store.place import moves, place, remove_tree, tree_size
from wsipipe.store.publish import PUBLISHING
from wsipipe.store.published import marked


@dataclass(frozen=True)
class Leftover:
    """Something that may go.

    ``kind`` is layer, partial, staging or lease; ``path`` is relative to the results directory.
    """

    kind: str
    path: str
    size: int
    why: str


def recorded(path: Path) -> dict[str, list[str]]:
    """Layers by slide id that a run's ``layers.jsonl`` names; a last line that a kill cut off is left out."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            told = json.loads(line)
            found[str(told["slide"])] = [str(name) for name in told["layers"]]
        except (ValueError, KeyError, TypeError):
            continue
    return found


def unrecorded(results: str | Path) -> list[str]:
    """Keys of the runs that left no record of their layers."""
    runs = sorted(path.parent for path in (place(results) / RUNS).glob(f"*/{RUN_FILE}"))
    return [run.name for run in runs if not (run / LAYERS_FILE).is_file()]


def leftovers(results: str | Path) -> list[Leftover]:
    """All that may go, by path."""
    root = place(results)
    found = [*_layers(root), *_staging(root), *_partials(root), *_leases(root)]
    return sorted(found, key=lambda one: one.path)


def remove(results: str | Path, found: list[Leftover]) -> int:
    """Remove leftovers; returns the bytes freed. Nothing outside the results directory is touched, no link followed."""
    root = place(results)
    for one in found:
        path = root / one.path
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
    above = root / OVERWRITING
    if moves(root) and above.is_dir() and not any(above.iterdir()):
        above.rmdir()
    return sum(one.size for one in found)


def _layers(root: Path) -> Iterator[Leftover]:
    if unrecorded(root):
        return
    named: dict[str, set[str]] = {}
    for run in sorted((root / RUNS).glob(f"*/{LAYERS_FILE}")):
        for slide, layers in recorded(run).items():
            named.setdefault(slide, set()).update(layers)
    for store in sorted(root.glob("*.zarr")):
        wanted = named.get(store.stem, set()) | _published(store)
        for layer in sorted((store / WORK).glob("*-*")):
            if layer.is_dir() and layer.name.removesuffix(PACKED) not in wanted:
                yield _leftover(root, layer, "layer", "no run below runs/ refers to it")


def _published(store: Path) -> set[str]:
    try:
        return {Path(name).name for name in marked(store)["work"]}
    except (StoreError, KeyError, TypeError):
        return set()


def _staging(root: Path) -> Iterator[Leftover]:
    for folder in sorted(root.glob(f"*.zarr/{WORK}/{PUBLISHING}")):
        yield _leftover(root, folder, "staging", "a publication that was interrupted")
    for folder in sorted((root / OVERWRITING).glob("*")):
        yield _leftover(root, folder, "staging", "an --overwrite that was interrupted; its command would go on with it")


def _partials(root: Path) -> Iterator[Leftover]:
    """Of a disk; an object store has no half-written objects."""
    for folder, below, names in os.walk(root) if moves(root) else ():
        if Path(folder) == root:
            below[:] = [name for name in below if name not in (OVERWRITING, LEASE)]
        if Path(folder).name == WORK:
            below[:] = [name for name in below if name != PUBLISHING]
        for name in sorted(names):
            if name.endswith(".partial"):
                yield _leftover(root, Path(folder) / name, "partial", "a file that a killed run left half-written")


def _leases(root: Path) -> Iterator[Leftover]:
    for path in sorted((root / LEASE).glob("*.partial")):
        yield _leftover(root, path, "lease", "a lease that a killed run left half-written")
    numbers = sorted(int(path.stem) for path in (root / LEASE).glob("*.json") if path.stem.isdigit())
    for number in numbers[:-2]:  # the owner, and the one before it, which others may be looking at
        yield _leftover(root, root / LEASE / f"{number}.json", "lease", "a lease that was followed by another")


def _leftover(root: Path, path: Path, kind: str, why: str) -> Leftover:
    return Leftover(kind, str(path).removeprefix(str(root)).lstrip("/"), tree_size(path), why)
