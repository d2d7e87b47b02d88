"""Published pictures: pyramids of images ``(c, y, x)`` and of labels ``(y, x)``, written block by block.

Enters: a function that gives any block of the finest level. Leaves: ``images/<name>`` and ``labels/<name>`` that
SpatialData and plain OME-Zarr 0.5 readers open. Next room: `wsipipe.store.publish` puts them in place.

A block is one shard, written once by one write; a level is finished before the next is made from it, so memory is
bounded by one block of the finest level and nothing is read while it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.grid import Box, Frame, blocks, level_shapes, shard_side
from wsipipe.store import ome, quick
from wsipipe.store.ome import Rgba
from wsipipe.store.place import zarr_store

CHUNK_PX = 512
"""Side of what a viewer reads at once."""
LEAST_SHARD_PX = 4096
"""Side of a shard where the picture is that large; it bounds memory."""
MOST_SHARDS = 192
"""Files of the finest level at most; a reduced level keeps the shard's side, so it has a quarter of them."""
STRIP_PX = 1024
"""Side of the squares in which a reduced block is made; bounds the scratch memory of halving."""

Pixels = NDArray[Any]
Pull = Callable[[Box], Pixels]
"""A block's pixels, ``(height, width)`` or ``(height, width, channel)``, for a box inside the plane."""


def write_image(
    root: str | Path,
    name: str,
    pull: Pull,
    *,
    frame: Frame,
    dtype: str = "uint8",
    channels: Sequence[str] = ("positive",),
) -> Pull:
    """Write ``images/<name>``: a pyramid ``(c, y, x)`` whose levels halve by the mean of 2 x 2 pixels.

    Parameters
    ----------
    root : path
        An open publication (`wsipipe.store.publish.begin`), or any Zarr group.
    name : str
        Of the element.
    pull : callable
        ``pull(box)`` gives the pixels of a box of `frame`, ``(h, w)`` or ``(h, w, c)``; called once per shard, in
        row-major order, with boxes that partition the plane. A block that is all zero leaves no file.
    frame : Frame
        Shape, level-0 pixels per pixel and micrometres per pixel of the finest level, e.g.
        ``working_frame.coarser(4)`` for the probability map.
    dtype : str
        Of the pixels: an unsigned integer or a float type. Integers round half up when they are halved.
    channels : sequence of str
        One name per channel.

    Returns
    -------
    callable
        Gives any block of the first channel from what was written, in far fewer pieces than a layer has.

    Notes
    -----
    Where a side is odd, the last row or column is averaged over the pixels that exist.
    """
    element = _element(root, "images", name)
    pyramid = _Pyramid(frame.shape, dtype, len(channels))
    finest = pyramid.write(element.create_group(ome.INNER), pull, halved)
    top = 1.0 if np.dtype(dtype).kind == "f" else float(np.iinfo(dtype).max)
    inner = ome.image_attributes(name, frame, pyramid.levels, channels=channels, top=top)
    _describe(element, inner, ome.element_attributes(name, "cyx", frame, pyramid.levels, channels=channels))
    return lambda box: np.asarray(finest[(0, *box.slices())])


def write_labels(
    root: str | Path, name: str, pull: Pull, *, frame: Frame, meanings: Mapping[int, str], colors: Mapping[int, Rgba]
) -> Pull:
    """Write ``labels/<name>``: a pyramid ``(y, x)`` uint8 whose levels halve by the largest of 2 x 2 pixels.

    Parameters
    ----------
    root, name, pull, frame
        As `write_image`; `pull` gives ``(h, w)`` uint8.
    meanings : mapping
        Name of each value, e.g. ``{1: "suspected lesion"}``; 0 is background.
    colors : mapping
        Red, green, blue and opacity of each value.

    Returns
    -------
    callable
        As `write_image`.

    Notes
    -----
    The largest value wins, so a region of a single pixel stays visible at the coarsest level; areas are to be
    measured at the finest.
    """
    element = _element(root, "labels", name)
    pyramid = _Pyramid(frame.shape, "uint8", 0)
    finest = pyramid.write(element.create_group(ome.INNER), pull, _largest)
    inner = ome.label_attributes(name, frame, pyramid.levels, meanings=meanings, colors=colors)
    _describe(element, inner, ome.element_attributes(name, "yx", frame, pyramid.levels))
    _list_label(root, name)
    return lambda box: np.asarray(finest[box.slices()])


def raster_files(shape: tuple[int, int]) -> int:
    """Most files that a published picture of this shape can have, its metadata included."""
    side = shard_side(shape, CHUNK_PX, most=MOST_SHARDS, least=LEAST_SHARD_PX)
    levels = level_shapes(shape)
    return 2 + sum(1 + -(-height // side) * -(-width // side) for height, width in levels)


def from_array(pixels: Pixels) -> Pull:
    """A `Pull` over an array ``(y, x)`` or ``(y, x, c)`` that is in memory."""
    return lambda box: pixels[box.slices()]


class _Pyramid:
    """Geometry of one picture on disk; ``channels == 0`` means that there is no channel axis."""

    def __init__(self, shape: tuple[int, int], dtype: str, channels: int) -> None:
        self.shapes = level_shapes(shape)
        self.dtype, self.channels = dtype, channels
        self.side = shard_side(shape, CHUNK_PX, most=MOST_SHARDS, least=LEAST_SHARD_PX)

    @property
    def levels(self) -> int:
        return len(self.shapes)

    def write(self, group: zarr.Group, pull: Pull, halve: Callable[[Pixels], Pixels]) -> zarr.Array[Any]:
        """All levels, finest first, one write per shard; what is all zero is neither written nor reduced.

        Returns the finest level.
        """
        source: Pull = partial(_pulled, pull, self.channels)
        finer: list[Box] | None = None
        lead = (slice(0, self.channels),) if self.channels else ()
        arrays = [self._create(group, str(index), shape) for index, shape in enumerate(self.shapes)]
        for array, shape in zip(arrays, self.shapes, strict=True):
            filled = []
            for box in blocks(shape, self.side):
                pixels = source(box) if finer is None or _touched(box, finer) else None
                if pixels is not None and pixels.any():
                    quick.write(array, (*lead, *box.slices()), pixels)
                    filled.append(box)
            source, finer = partial(_reduced, array, halve), filled
        return arrays[0]

    def _create(self, group: zarr.Group, name: str, shape: tuple[int, int]) -> zarr.Array[Any]:
        lead = (self.channels,) if self.channels else ()
        chunks = (*(1 for _ in lead), CHUNK_PX, CHUNK_PX)
        shards = (*lead, *(min(self.side, -(-length // CHUNK_PX) * CHUNK_PX) for length in shape))
        made = group.create_array(
            name,
            shape=(*lead, *shape),
            chunks=chunks,
            shards=None if shards == chunks else shards,
            dtype=self.dtype,
            fill_value=0,
            dimension_names=["c", "y", "x"][-2 - len(lead) :],
        )
        # a publication that was killed is begun anew: no file needs to be put in place
        return quick.quick(made, strict=True)


def _touched(box: Box, finer: Sequence[Box]) -> bool:
    """Whether the ground of a block of one level holds any of these blocks of the next finer one."""
    ground = Box(2 * box.y, 2 * box.x, 2 * box.height, 2 * box.width)
    return any(not ground.intersect(one).is_empty for one in finer)


def _pulled(pull: Pull, channels: int, box: Box) -> Pixels:
    pixels = np.asarray(pull(box))
    if pixels.shape[:2] != box.shape or (pixels.ndim == 3 and pixels.shape[2] != channels):
        raise ValueError(f"a block of {box.shape} px in {channels} channels was asked for, got {pixels.shape}")
    if pixels.ndim == 3:
        return np.moveaxis(pixels, 2, 0)
    return pixels[None] if channels else pixels


def _reduced(finer: zarr.Array[Any], halve: Callable[[Pixels], Pixels], box: Box) -> Pixels:
    """A block of the level below `finer`, made in squares of `STRIP_PX`."""
    plane = Box(0, 0, *finer.shape[-2:])
    out = np.empty((*finer.shape[:-2], *box.shape), finer.dtype)
    for part in blocks(box.shape, STRIP_PX):
        there = part.shift(box.y, box.x)
        source = Box(2 * there.y, 2 * there.x, 2 * there.height, 2 * there.width).intersect(plane)
        out[(..., *part.slices())] = halve(np.asarray(finer[(..., *source.slices())]))
    return out


def _quarters(pixels: Pixels) -> tuple[Pixels, ...]:
    """The four pixels of every 2 x 2 square; an odd last row or column stands twice."""
    odd = [(0, 0)] * (pixels.ndim - 2) + [(0, side % 2) for side in pixels.shape[-2:]]
    even = np.pad(pixels, odd, mode="edge") if any(more for _, more in odd) else pixels
    return tuple(even[..., dy::2, dx::2] for dy in (0, 1) for dx in (0, 1))


def halved(pixels: Pixels) -> Pixels:
    """Means of 2 x 2 pixels of ``(..., y, x)``, integers half up; an odd last row or column stands twice."""
    if pixels.dtype.kind == "f":
        return np.asarray(np.add.reduce(_quarters(pixels)) / 4, pixels.dtype)
    wide = {1: np.uint16, 2: np.uint32}.get(pixels.dtype.itemsize, np.uint64)
    first, *rest = _quarters(pixels)
    total = first.astype(wide)
    for quarter in rest:
        total += quarter
    total += 2
    total >>= 2
    return total.astype(pixels.dtype)


def _largest(pixels: Pixels) -> Pixels:
    return np.asarray(np.maximum.reduce(_quarters(pixels)))


def _element(root: str | Path, kind: str, name: str) -> zarr.Group:
    parent = zarr.open_group(zarr_store(root), mode="a", zarr_format=3).require_group(kind)
    return parent.create_group(name, overwrite=True)


def _describe(element: zarr.Group, inner: dict[str, Any], outer: dict[str, Any]) -> None:
    """Metadata after pixels: an element that was not finished has no description and is not readable."""
    nested = element[ome.INNER]
    nested.attrs.put(inner)
    element.attrs.put(outer)


def _list_label(root: str | Path, name: str) -> None:
    labels = zarr.open_group(zarr_store(root), mode="r+", path="labels")
    listed = labels.attrs.get("ome", {})
    names = sorted({*(listed.get("labels", []) if isinstance(listed, dict) else []), name})
    labels.attrs.put({"ome": {"version": ome.SPATIALDATA_OME_VERSION, "labels": names}})
