"""A mosaic while it is written: a plain OME-Zarr 0.5 pyramid ``(c, y, x)``, block by block, in any order, by many.

Enters: blocks of pixels. Leaves: a ``.zarr`` that appears whole, once all is written. Next room:
`wsipipe.slide.ngff` opens it as a slide of one plane.

It is written in a folder aside and renamed when it is done, so its name never stands for half of it. A block is one
shard, which one task writes with one write: nothing is shared. Where a block is all background its file is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.errors import StoreError, UsageError
from wsipipe.grid import Box, Frame, blocks, level_shapes
from wsipipe.store import ome, quick
from wsipipe.store.place import remove_tree, sync
from wsipipe.store.raster import halved
from wsipipe.units import Mpp

CHUNK_PX, SHARD_PX = 256, 1024
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class MosaicStore:
    """Where a mosaic is being written, and its geometry.

    Parameters
    ----------
    root : str
        Folder of the Zarr group.
    shape : (int, int)
        Of the finest level.
    most_px : int
        A shard's side is not more than this: the shorter side of a field.
    mpp : float or None
        Micrometres per pixel; without it the axes have no unit.
    fill : int
    """

    root: str
    shape: tuple[int, int]
    most_px: int
    mpp: float | None = None
    fill: int = 255

    @property
    def side(self) -> int:
        """Side of a shard, pixels."""
        side = min(self.most_px, SHARD_PX)
        return max(16, side // self.chunk * self.chunk)

    @property
    def chunk(self) -> int:
        """Side of a chunk, pixels."""
        return CHUNK_PX if self.most_px >= CHUNK_PX else max(16, 1 << (self.most_px.bit_length() - 1))

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of the levels."""
        return level_shapes(self.shape)

    def blocks(self, level: int) -> list[Box]:
        """The shards of a level."""
        return list(blocks(self.shapes[level], self.side))

    def create(self) -> None:
        """Make the group and its arrays, where they are not there yet."""
        group = zarr.open_group(self.root, mode="a", zarr_format=3)
        for level, shape in enumerate(self.shapes):
            if str(level) not in group:
                self._array(group, str(level), shape)

    def _array(self, group: zarr.Group, name: str, shape: tuple[int, int]) -> None:
        shards = tuple(min(self.side, -(-length // self.chunk) * self.chunk) for length in shape)
        group.create_array(
            name, shape=(3, *shape), chunks=(1, self.chunk, self.chunk), shards=(3, *shards), dtype="uint8",
            fill_value=self.fill, dimension_names=["c", "y", "x"],
        )  # fmt: skip

    def write(self, level: int, box: Box, pixels: NDArray[np.uint8]) -> None:
        """Write one block, ``(h, w, 3)``, and sync it."""
        array = self._open(level)
        where = (slice(0, 3), *box.slices())
        quick.put(array, where, np.moveaxis(pixels, 2, 0))
        file = Path(self.root) / str(level) / quick.file_name(array, where)
        if file.exists():
            for one in (file, *list(file.parents)[:4]):
                sync(one)

    def read(self, level: int, box: Box) -> NDArray[np.uint8]:
        """``(h, w, 3)`` of a box inside a level."""
        return np.moveaxis(np.asarray(self._open(level)[(slice(None), *box.slices())]), 0, 2)

    def reduce(self, level: int, box: Box) -> None:
        """Write a block of a level from the next finer one: means of 2 x 2 pixels, a strip in memory at a time."""
        finer, plane = self._open(level - 1), Box(0, 0, *self.shapes[level - 1])
        out = np.empty((3, *box.shape), np.uint8)
        for part in blocks(box.shape, 2 * CHUNK_PX):
            there = part.shift(box.y, box.x)
            source = Box(2 * there.y, 2 * there.x, 2 * there.height, 2 * there.width).intersect(plane)
            out[(slice(0, 3), *part.slices())] = halved(np.asarray(finer[(slice(0, 3), *source.slices())]))
        self.write(level, box, np.moveaxis(out, 0, 2))

    def describe(self, name: str, told: dict[str, Any]) -> None:
        """Write the metadata, which make it readable; last of all. `told` is kept under ``wsipipe``."""
        frame = Frame(self.shape, 1.0, Mpp(self.mpp or 1.0), 0)
        attributes = ome.image_attributes(name, frame, len(self.shapes), channels=CHANNELS, top=255)
        if self.mpp is None:
            for axis in attributes["ome"]["multiscales"][0]["axes"]:
                axis.pop("unit", None)
        group = zarr.open_group(self.root, mode="r+")
        group.attrs.put({**attributes, "wsipipe": told})

    def _open(self, level: int) -> zarr.Array[Any]:
        return quick.quick(zarr.open_array(self.root, mode="r+", path=str(level)))


def told(path: str | Path) -> dict[str, Any]:
    """What a mosaic says of its making; empty where there is none.

    Raises
    ------
    UsageError
        Where something else is there, which must not be replaced.
    """
    folder = Path(path)
    if not folder.exists():
        return {}
    try:
        found = zarr.open_group(str(folder), mode="r").attrs.get("wsipipe")
    except (FileNotFoundError, KeyError, ValueError, TypeError, OSError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            "writing a mosaic: something else is there, which is not replaced: give another --out", subject=str(folder)
        )
    return dict(found)


def put(made: str | Path, path: str | Path) -> None:
    """Give a finished mosaic its name; one that has it already is replaced.

    Raises
    ------
    StoreError
        Where the disk refuses.
    """
    made, path = Path(made), Path(path)
    try:
        if path.exists():
            remove_tree(path)
        made.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StoreError(
            f"putting the mosaic in place: {error.strerror}: make room and run again", subject=str(path)
        ) from error
