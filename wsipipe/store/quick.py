"""Chunks encoded and decoded by zarrs, compiled and on one thread: the same format in less time.

Enters: an open array. Leaves: the array, quicker; or a file in its place. Who uses it: the writers of this room.

A unit's picture has a chunk for every tile in one shard, and zarr's own pipeline is slow with many small ones. zarrs
writes where it is told to, at once and not by way of another name, so a killed writer would leave half a file: what has
to survive that is written beside its place and moved there (`put`). With more than one thread the order of the chunks
in a shard, and with it the bytes, would depend on who was first. What goes to an object store is encoded here too.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, StorePath
from zarrs import ZarrsCodecPipeline

_LOCK = threading.Lock()


def quick(array: zarr.Array[Any], *, strict: bool = False) -> zarr.Array[Any]:
    """The same array, read and written by zarrs where it lies on a disk; one on an object store as it is.

    Selections that zarrs does not know are left to zarr; with `strict` they are an error, since zarr's bytes differ.
    """
    inner = array.async_array
    if isinstance(inner.store_path.store, LocalStore):
        settings = {"threading.max_workers": 1, "codec_pipeline.strict": strict}
        with _LOCK, zarr.config.set(settings):  # both are asked for only while the pipeline is made
            made = ZarrsCodecPipeline.from_array_metadata_and_store(inner.metadata, inner.store_path.store)
        object.__setattr__(inner, "codec_pipeline", made)
    return array


def put(array: zarr.Array[Any], where: tuple[slice, ...], values: NDArray[Any]) -> None:
    """Write one whole chunk or shard: the file is there whole or, where all is fill value, not at all.

    Parameters
    ----------
    array : zarr.Array
    where : tuple of slices
        All that is inside the array of exactly one of its files.
    values : NDArray
        Of that shape.

    Raises
    ------
    OSError
        What the system refuses, with its number.
    """
    store = array.store_path.store
    if not isinstance(store, LocalStore):
        _upload(array, where, values)
        return
    folder = Path(store.root) / array.store_path.path
    beside = folder / f"{os.getpid()}-{threading.get_ident()}.partial"
    name = file_name(array, where)
    try:
        _written(_at(array, beside), where, values)
        target = folder / name
        if (beside / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (beside / name).replace(target)
        else:
            target.unlink(missing_ok=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write(array: zarr.Array[Any], where: tuple[slice, ...], values: NDArray[Any]) -> None:
    """Write one whole chunk or shard of a `quick` array where it is: for what is begun anew after a kill.

    Parameters, errors and bytes are those of `put`.
    """
    if isinstance(array.store_path.store, LocalStore):
        _written(array, where, values)
    else:
        _upload(array, where, values)


def _written(array: zarr.Array[Any], where: tuple[slice, ...], values: NDArray[Any]) -> None:
    """What the system refuses is an OSError, as elsewhere (a full disk above all): zarrs has only RuntimeError."""
    try:
        array[where] = values
    except RuntimeError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), array.store_path.path or str(array.store_path)) from error


def _upload(array: zarr.Array[Any], where: tuple[slice, ...], values: NDArray[Any]) -> None:
    """The same bytes as on a disk, encoded in a temporary folder: results do not depend on where they lie."""
    name = file_name(array, where)
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as folder:
        _written(_at(array, Path(folder)), where, values)
        file = Path(folder) / name
        data = file.read_bytes() if file.exists() else None
    there = array.store_path / name
    sync(there.delete() if data is None else there.set(default_buffer_prototype().buffer.from_bytes(data)))


def _at(array: zarr.Array[Any], folder: Path) -> zarr.Array[Any]:
    """An array of the same description elsewhere."""
    return quick(zarr.Array(zarr.AsyncArray(array.metadata, StorePath(LocalStore(folder)))), strict=True)


def file_name(array: zarr.Array[Any], where: tuple[slice, ...]) -> str:
    """The one file that a region fills, below the array's folder."""
    index = tuple(part.start // side for part, side in zip(where, array.shards or array.chunks, strict=False))
    return str(array.metadata.encode_chunk_key(index + (0,) * (len(array.shape) - len(index))))
