"""A pyramidal tiled JPEG TIFF as a laboratory would meet it, written tile by tile.

Enters: strips of level-0 pixels, or tiles that are already JPEG. Leaves: a file that OpenSlide opens as a
generic tiled TIFF with its mpp (resolution tags in pixels per centimetre). Next room: `wsipipe.slide` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

TILE = 256
RGB = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Level:
    """Height and width in pixels, and its tiles as JPEG streams, row by row."""

    shape: tuple[int, int]
    tiles: Iterable[bytes]


def write_levels(path: Path, levels: Iterable[Level], mpp: float, *, tile: int = TILE) -> None:
    """Write levels, finest first, without decoding a tile; a path that ends in .svs is described as Aperio's are.

    Parameters
    ----------
    path : Path
        Replaced if it exists, only once the new file is whole.
    levels : iterable of Level
        Each level's tiles are drawn when it is written.
    mpp : float
        Micrometres per pixel of the first level.
    tile : int
        Side of the tiles in pixels; a multiple of 16.

    Notes
    -----
    BigTIFF, whatever the size: TIAToolbox reads levels and mpp of a plain tiled TIFF only where it is one.
    """
    partial = path.with_name(path.name + ".partial")
    with tifffile.TiffWriter(partial, bigtiff=True) as file:
        first: tuple[int, int] | None = None
        for level in levels:
            first = first or level.shape
            scale = first[0] / level.shape[0]
            told = _aperio(level.shape, mpp, tile, whole=scale == 1) if path.suffix.lower() == ".svs" else None
            file.write(
                iter(level.tiles),
                shape=(*level.shape, 3),
                dtype=np.uint8,
                tile=(tile, tile),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                subfiletype=0 if scale == 1 or told else 1,
                description=told,
                resolution=(1e4 / (mpp * scale), 1e4 / (mpp * scale)),
                resolutionunit="CENTIMETER",
                metadata=None,
                software=None if told else "wsipipe phantom",
                contiguous=False,
            )
    partial.replace(path)


def _aperio(shape: tuple[int, int], mpp: float, tile: int, *, whole: bool) -> str:
    """What an Aperio scanner writes into a level's description, as far as readers ask for it."""
    size = f"{shape[1]}x{shape[0]}"
    scale = f"|AppMag = {round(10 / mpp)}|MPP = {mpp:.4f}" if whole else ""
    return f"Aperio Image Library v12.0.15 (wsipipe phantom) \r\n{size} ({tile}x{tile}) JPEG/YCC{scale}"


def write_pyramid(path: Path, strips: Iterable[RGB], shape: tuple[int, int], mpp: float, *, quality: int) -> None:
    """Write a pyramid from strips of level 0.

    Parameters
    ----------
    path : Path
    strips : iterable of (height, width, 3) uint8
        From top to bottom; every height but the last is a multiple of 512.
    shape : (int, int)
        Of level 0.
    mpp : float
    quality : int
        JPEG quality, 1 to 100.

    Notes
    -----
    Holds one strip and a half-size picture in memory. Levels halve until one is at most 512 pixels.
    """
    half = np.zeros((shape[0] // 2, shape[1] // 2, 3), np.uint8)
    write_levels(path, _levels(strips, shape, half, quality), mpp)


def jpeg(tile: RGB, quality: int) -> bytes:
    """A JPEG stream (YCbCr, 4:2:0) of one tile."""
    _, stream = cv2.imencode(".jpg", tile[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return stream.tobytes()


def halved(picture: RGB) -> RGB:
    """Mean of each 2 x 2 pixels; an odd last row or column is dropped."""
    high, wide = picture.shape[0] // 2, picture.shape[1] // 2
    even = picture[: 2 * high, : 2 * wide]
    return np.asarray(cv2.resize(even, (wide, high), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def tiles_of(picture: RGB, quality: int, *, tile: int = TILE) -> Iterator[bytes]:
    """A picture's tiles as JPEG, row by row; the last ones are filled up with the edge's pixels."""
    high, wide = picture.shape[:2]
    for y in range(0, high, tile):
        for x in range(0, wide, tile):
            part = picture[y : y + tile, x : x + tile]
            lack = tile - part.shape[0], tile - part.shape[1]
            if any(lack):
                part = np.pad(part, ((0, lack[0]), (0, lack[1]), (0, 0)), mode="edge")
            yield jpeg(part, quality)


def _levels(strips: Iterable[RGB], shape: tuple[int, int], half: RGB, quality: int) -> Iterator[Level]:
    yield Level(shape, _first(strips, half, quality))
    picture = half
    while True:
        yield Level((picture.shape[0], picture.shape[1]), tiles_of(picture, quality))
        if max(picture.shape[:2]) <= 512:
            return
        picture = halved(picture)


def _first(strips: Iterable[RGB], half: RGB, quality: int) -> Iterator[bytes]:
    """Tiles of level 0; fills `half` on the way."""
    row = 0
    for strip in strips:
        small = halved(strip)
        half[row : row + len(small)] = small
        row += len(small)
        yield from tiles_of(strip, quality)
