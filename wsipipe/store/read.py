"""Reading layers: what is marked, what is complete, and the arrays.

Enters: a layer. Leaves: NumPy arrays. Resume asks the marks here, never whether a file exists.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.errors import StoreError
from wsipipe.grid import Box
from wsipipe.store.layer import Layer
from wsipipe.store.layout import COMPLETE, DONE
from wsipipe.store.place import place, zarr_store
from wsipipe.store.quick import quick


def is_created(layer: Layer) -> bool:
    """Whether the layer's marks exist (they are made last) or it is already packed."""
    there = (place(layer.root) / layer.group / DONE / "zarr.json").is_file()
    return there or is_complete(layer, packed=True)


def is_complete(layer: Layer, *, packed: bool | None = None) -> bool:
    """Whether the layer says that it is complete.

    Parameters
    ----------
    packed : bool, optional
        Ask only the packed (True) or only the unpacked (False) form; either by default.
    """
    groups = [layer.packed_group, layer.group] if packed is None else [layer.packed_group if packed else layer.group]
    return any(_marked_complete(place(layer.root) / group) for group in groups)


def pending(layer: Layer, needed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the `needed` units that carry no mark, ascending."""
    if is_complete(layer):
        return np.zeros(0, np.int64)
    marks = np.asarray(array(layer, DONE)[:])
    return np.sort(needed[marks[needed] == 0])


def array(layer: Layer, name: str) -> zarr.Array[Any]:
    """One array of a layer, to be indexed lazily. Raises StoreError where it was never written."""
    return quick(member(layer, _group(layer), name))


def member(layer: Layer, group: zarr.Group, name: str) -> zarr.Array[Any]:
    """One array of an open group of a layer. Raises StoreError where it was never written."""
    if name not in group:
        raise StoreError(
            f"reading {name!r} of step {layer.name!r}: it was not written; run the same command again",
            subject=Path(layer.root).name,
        )
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise StoreError(f"{name!r} of step {layer.name!r} is not an array", subject=Path(layer.root).name)
    return found


def rows(layer: Layer, name: str, ids: NDArray[np.int64]) -> NDArray[Any]:
    """Rows of a per-tile array for ascending tile ids, ``(N, ...)``.

    Reads unit by unit where ids are sparse, so memory is bounded by the rows asked for.
    """
    source = array(layer, name)
    out = np.empty((len(ids), *source.shape[1:]), source.dtype)
    step = source.chunks[0]
    for chunk in np.unique(ids // step).tolist():
        mine = ids // step == chunk
        out[mine] = np.asarray(source[chunk * step : (chunk + 1) * step])[ids[mine] - chunk * step]
    return out


def block(layer: Layer, name: str, box: Box) -> NDArray[Any]:
    """A block of a picture array; `box` in the picture's own pixels, inside it."""
    return np.asarray(array(layer, name)[box.slices()])


def value(layer: Layer, name: str) -> NDArray[Any]:
    """A slide-level array, whole."""
    return np.asarray(array(layer, name)[...])


def _marked_complete(group: Path) -> bool:
    if not (group / COMPLETE / "zarr.json").is_file():
        return False
    return bool(zarr.open_array(zarr_store(group / COMPLETE), mode="r")[0])


def _group(layer: Layer) -> zarr.Group:
    path = layer.packed_group if is_complete(layer, packed=True) else layer.group
    try:
        return zarr.open_group(zarr_store(layer.root), mode="r", path=path)
    except FileNotFoundError as error:
        raise StoreError(
            f"step {layer.name!r} has left no layer {path}; run the same command again", subject=Path(layer.root).name
        ) from error
