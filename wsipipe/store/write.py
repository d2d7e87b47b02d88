"""Writing layers: data first and synced, then the mark, `complete` last.

Enters: a layer, a unit, the rows of its tiles. Leaves: files that a killed run can trust.
Who asks what is pending: `wsipipe.store.read`. Who publishes: `wsipipe.store.publish`.

A unit's file in every array belongs to one writer, because the chunk (rows) or the shard (pictures) is
the unit. A unit whose values are all fill leaves no file: only its mark says that it was done.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.grid import Box, Grid, blocks
from wsipipe.stage import Spec
from wsipipe.store import quick
from wsipipe.store.layer import Layer
from wsipipe.store.layout import COMPLETE, DONE, RUNS, WORK, Geometry, geometry
from wsipipe.store.place import is_remote, place, remove_tree, sync, unsynced, zarr_store
from wsipipe.store.read import is_complete, is_created, member

STALE_S = 3600.0
"""A ``*.partial`` file older than this was left by a killed writer."""


def create(layer: Layer) -> None:
    """Make a layer's arrays where they are missing; called by one process before any unit is written.

    The array of marks is made last, so a layer whose creation was interrupted is made anew.
    """
    if is_created(layer):
        return
    root = zarr.open_group(zarr_store(layer.root), mode="a", zarr_format=3)
    group = root.require_group(WORK).create_group(Path(layer.group).name, overwrite=True)
    group.attrs.update({"step": layer.name, "key": layer.key})
    if layer.grid is not None:
        for spec in layer.specs:
            _create_array(group, spec, geometry(spec, layer.grid))
    units = layer.grid.n_units if layer.grid else 1
    group.create_array(COMPLETE, shape=(1,), chunks=(1,), dtype="uint8", fill_value=0)
    _sync_tree(place(layer.root) / layer.group)
    group.create_array(DONE, shape=(units,), chunks=(1,), dtype="uint8", fill_value=0)
    _sync(place(layer.root) / layer.group / DONE / "zarr.json")


def write_unit(layer: Layer, unit: int, ids: NDArray[np.int64], batch: Mapping[str, NDArray[Any]]) -> int:
    """Write everything that a unit owns, then its mark.

    Parameters
    ----------
    layer : Layer
        With a grid, created.
    unit : int
        Which unit.
    ids : (N,) int64
        Ids of the tiles that were computed; the unit's other cells stay fill values.
    batch : mapping
        ``(N, ...)`` arrays by name, one per declared array; pictures are ``(N, tile/scale, tile/scale, ...)``.

    Returns
    -------
    int
        Bytes handed over, before compression.
    """
    grid, arrays = _grid(layer), _arrays(layer)
    written = 0
    for spec in layer.specs:
        whole, where = _placed(spec, grid, unit, ids, batch[spec.name])
        array = arrays(spec.name)
        quick.put(array, where, whole)
        _sync_chunk(layer, spec.name, array, where)
        written += whole.nbytes
    _mark(layer, arrays(DONE), unit)
    return written


def write_slide(layer: Layer, arrays: Mapping[str, NDArray[Any]]) -> int:
    """Write a layer without a grid: each small array whole, then the mark and `complete`; returns bytes."""
    create(layer)
    written = 0
    group = _open(layer)
    for spec in layer.specs:
        value = np.asarray(arrays[spec.name], dtype=spec.dtype)
        chunks = tuple(max(1, side) for side in value.shape)
        array = group.create_array(spec.name, shape=value.shape, chunks=chunks, dtype=spec.dtype, overwrite=True)
        array[...] = value
        written += value.nbytes
        _sync(place(layer.root) / layer.group / spec.name / "zarr.json")
        _sync_chunk(layer, spec.name, array, tuple(slice(0, side) for side in value.shape))
    _mark(layer, member(layer, group, DONE), 0)
    complete(layer)
    return written


def _arrays(layer: Layer) -> Callable[[str], zarr.Array[Any]]:
    """The layer's arrays by name. On a disk each is opened once per process: opening took half of a small unit's time.

    A layer's key is in its path, so another array at the same place is the same array.
    """
    if is_remote(layer.root):
        return partial(member, layer, _open(layer))
    return partial(_kept_open, layer)


@lru_cache(maxsize=128)
def _kept_open(layer: Layer, name: str) -> zarr.Array[Any]:
    return member(layer, _open(layer), name)


def _open(layer: Layer) -> zarr.Group:
    return zarr.open_group(zarr_store(layer.root), mode="r+", path=layer.group, zarr_format=3)


def _mark(layer: Layer, marks: zarr.Array[Any], unit: int) -> None:
    """Mark a unit whose data is safe, and make the mark safe too.

    A mark that a power cut takes away costs a unit done twice; one whose name is on the disk and whose byte is not
    would be unreadable, and `complete` must not be believed before the marks are.
    """
    marks[unit] = 1
    _sync(place(layer.root) / layer.group / DONE / "c" / str(unit))


def complete(layer: Layer) -> None:
    """Say that every unit that had to be done is done. The last write of a layer."""
    member(layer, _open(layer), COMPLETE)[0] = 1
    _sync(place(layer.root) / layer.group / COMPLETE / "c" / "0")


def pack(layer: Layer) -> None:
    """Copy a complete per-unit layer into few large files and remove the many small ones.

    Bounded by one shard in memory. Killed half way, the unpacked layer is still whole: the packed
    one counts only once it is complete, and is begun anew. Killed while the small files are removed,
    the next call removes the rest.
    """
    if layer.grid is None or not is_complete(layer):
        return
    if not is_complete(layer, packed=True):
        _copy_packed(layer, layer.grid)
    remove_tree(place(layer.root) / layer.group, missing_ok=True)


def _copy_packed(layer: Layer, grid: Grid) -> None:
    source = zarr.open_group(zarr_store(layer.root), mode="r", path=layer.group)
    work = zarr.open_group(zarr_store(layer.root), mode="r+", path=WORK, zarr_format=3)
    target = work.create_group(Path(layer.packed_group).name, overwrite=True)
    target.attrs.update(dict(source.attrs))
    for spec in layer.specs:
        array = quick.quick(_create_array(target, spec, geometry(spec, grid, packed=True)), strict=True)
        loose = quick.quick(member(layer, source, spec.name))
        for box in _pack_boxes(array):
            quick.write(array, box, np.asarray(loose[box]))
    mark = target.create_array(COMPLETE, shape=(1,), chunks=(1,), dtype="uint8", fill_value=0)
    _sync_tree(place(layer.root) / layer.packed_group)
    mark[0] = 1
    _sync(place(layer.root) / layer.packed_group / COMPLETE / "c" / "0")


def sweep(root: str | Path, *, older_s: float = STALE_S) -> int:
    """Remove ``*.partial`` files and folders that killed writers left below `root`; returns how many."""
    if is_remote(root):
        return 0  # an object is there whole or not at all
    limit, swept = time.time() - older_s, 0
    for folder, inner, names in os.walk(root):  # unlike rglob it bears folders that a live writer removes meanwhile
        for path in (Path(folder) / name for name in [*inner, *names] if name.endswith(".partial")):
            with contextlib.suppress(FileNotFoundError):  # renamed meanwhile by its live writer
                if path.stat().st_mtime < limit:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    swept += 1
    return swept


def sweep_records(results: str | Path) -> int:
    """Remove ``*.partial`` files beside the records of a results directory, whose lease is held; returns how many."""
    folder = place(results)
    if is_remote(folder):
        return 0
    found = [*folder.glob("*.partial"), *(folder / RUNS).rglob("*.partial")]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _grid(layer: Layer) -> Grid:
    if layer.grid is None:
        raise ValueError(f"layer {layer.name!r} has no grid and is written all at once")
    return layer.grid


def _create_array(group: zarr.Group, spec: Spec, where: Geometry) -> zarr.Array[Any]:
    names = (["y", "x", "c"] if spec.scale else ["tile", "value", "value2", "value3"])[: len(where.shape)]
    return group.create_array(
        spec.name,
        shape=where.shape,
        chunks=where.chunks,
        shards=where.shards,
        dtype=spec.dtype,
        fill_value=spec.fill,
        dimension_names=names,
        overwrite=True,
    )


def _placed(
    spec: Spec, grid: Grid, unit: int, ids: NDArray[np.int64], values: NDArray[Any]
) -> tuple[NDArray[Any], tuple[slice, ...]]:
    """The unit's whole part of an array, and where it lies in it."""
    if not spec.scale:
        rows = grid.unit_rows(unit)
        whole = np.full((grid.rows_per_unit, *values.shape[1:]), spec.fill, dtype=spec.dtype)
        whole[ids - rows.start] = values
        return whole, (rows,)
    side = grid.tile // spec.scale
    square = grid.unit_box(unit).shrink(spec.scale)
    whole = np.full((*square.shape, *values.shape[3:]), spec.fill, dtype=spec.dtype)
    for (cy, cx), picture in zip((grid.cells_of(ids) % grid.unit).tolist(), values, strict=True):
        whole[cy * side : (cy + 1) * side, cx * side : (cx + 1) * side] = picture
    height, width = (-(-length // spec.scale) for length in grid.shape)
    inside = square.intersect(Box(0, 0, height, width))
    return whole[: inside.height, : inside.width], inside.slices()


def _pack_boxes(array: zarr.Array[Any]) -> list[tuple[slice, ...]]:
    if array.shards is None:
        return [(slice(y, y + array.chunks[0]),) for y in range(0, array.shape[0], array.chunks[0])]
    return [box.slices() for box in blocks((array.shape[0], array.shape[1]), max(array.shards[:2]))]


def _sync_chunk(layer: Layer, name: str, array: zarr.Array[Any], where: tuple[slice, ...]) -> None:
    """Flush the one file that a region of whole write units fills, if it is there."""
    _sync(place(layer.root) / layer.group / name / quick.file_name(array, where))


def _sync(path: Path) -> None:
    """Sync a file and the folders that name it and each other, up to its array's; nothing where there is no such file.

    A unit's chunk ``c/5/0`` comes with new folders, and a folder's name is only safe once the one above it is synced.
    """
    if is_remote(path) or not path.exists():
        return
    above = list(path.parents)
    array = next(index for index, folder in enumerate(above) if (folder / "zarr.json").exists())
    for target in (path, *above[: array + 1]):
        sync(target)


def _sync_tree(folder: Path) -> None:
    for path in unsynced(folder):
        if path.is_file():
            _sync(path)
