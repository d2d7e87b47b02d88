"""Pixels of tiles and of the overview, read through a `Slide` in the working frame.

Enters: an open slide, a frame, a grid, tile ids. Leaves: batches ``(N, y, x, channel)``. Next: `wsipipe.run.work`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import SlideReadError
from wsipipe.grid import Box, Frame, Grid, level_shapes
from wsipipe.slide.base import Slide, SlideInfo

Pixels = NDArray[np.uint8]


def read_tiles(
    slide: Slide, frame: Frame, grid: Grid, ids: NDArray[np.int64], *, plane: int = 0, out: Pixels | None = None
) -> Pixels:
    """``(N, tile + 2 halo, tile + 2 halo, 3)`` uint8 of the read boxes of `ids`, one read per tile.

    They are written to `out` where it is given: memory that is used again costs the system no new pages, which took a
    tenth of the time of reading.
    """
    side = grid.tile + 2 * grid.halo
    found = np.empty((len(ids), side, side, 3), np.uint8) if out is None else out[: len(ids)]
    coloured = _check(slide).channels == 3
    for pixels, box in zip(found, grid.read_boxes(ids), strict=True):
        if coloured:
            slide.read_into(pixels, box, frame=frame, plane=plane)
        else:
            pixels[...] = slide.read(box, frame=frame, plane=plane)
    return found


def read_unit(
    slide: Slide, frame: Frame, grid: Grid, unit: int, *, scale: int, plane: int = 0
) -> tuple[NDArray[np.int64], Pixels]:
    """All tiles of a unit from the frame `scale` times coarser, with one read.

    Parameters
    ----------
    frame, grid
        The working frame and its grid; ``grid.halo`` counts pixels of the *coarser* frame.

    Returns
    -------
    ids : (N,) int64
    pixels : (N, tile / scale + 2 halo, tile / scale + 2 halo, 3) uint8
    """
    ids = grid.ids(unit)
    side, halo = grid.tile // scale, grid.halo
    region = grid.unit_box(unit).shrink(scale).pad(halo)
    pixels = _read(slide, region, _coarser(slide, frame, scale), plane)
    cells = grid.cells_of(ids) % grid.unit * side
    cut = [pixels[y : y + side + 2 * halo, x : x + side + 2 * halo] for y, x in cells.tolist()]
    return ids, np.stack(cut)


def damaged(
    slide: Slide, frame: Frame, grid: Grid, ids: NDArray[np.int64], *, scale: int = 1, plane: int = 0
) -> NDArray[np.float32]:
    """Share of each tile (without its halo) that could not be decoded, (N,); asked after the tiles were read."""
    inner = [Box(*(int(side) for side in box)) for box in grid.write_boxes(ids)]
    if scale > 1:
        frame, inner = _coarser(slide, frame, scale), [box.shrink(scale) for box in inner]
    return np.array([slide.damaged(box, frame=frame, plane=plane) for box in inner], np.float32)


def read_overview(slide: Slide, frame: Frame, *, longest_px: int, plane: int = 0) -> tuple[Pixels, int]:
    """The whole plane at the finest power-of-two scale whose longer side is at most `longest_px`.

    Returns
    -------
    rgb : (height, width, 3) uint8
    scale : int
        Working-frame pixels per pixel of it.
    """
    scale = 2 ** (len(level_shapes(frame.shape, smallest=longest_px)) - 1)
    small = _coarser(slide, frame, scale)
    return _read(slide, small.box, small, plane), scale


def overview_scale(frame: Frame, *, longest_px: int) -> int:
    """The scale that `read_overview` chooses."""
    return int(2 ** (len(level_shapes(frame.shape, smallest=longest_px)) - 1))


def batches(ids: NDArray[np.int64], size: int) -> Iterator[slice]:
    """Slices of `ids` of at most `size`."""
    for start in range(0, len(ids), size):
        yield slice(start, min(start + size, len(ids)))


def _read(slide: Slide, box: Box, frame: Frame, plane: int) -> Pixels:
    """Three 8-bit channels, as every stage declares ``rgb``; one grey channel is repeated."""
    _check(slide)
    found = slide.read(box, frame=frame, plane=plane)
    return found if found.shape[2] == 3 else np.repeat(found, 3, axis=2)


def _check(slide: Slide) -> SlideInfo:
    info = slide.info
    if info.dtype != np.uint8 or info.channels not in (1, 3):
        raise SlideReadError(
            f"reading tiles: stages take 8-bit pixels of 1 or 3 channels, the slide has {info.dtype} of "
            f"{info.channels}: convert it first"
        )
    return info


def _coarser(slide: Slide, frame: Frame, scale: int) -> Frame:
    """The coarser frame, as a stored level where one is exactly that."""
    small = frame.coarser(scale)
    for level in slide.info.frames():
        if level.shape == small.shape and abs(level.downsample / small.downsample - 1.0) < 1e-3:
            return level
    return small
