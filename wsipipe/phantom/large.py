"""A made slide of 100,000 pixels a side whose tiles are copied, for measurements of memory and time.

Enters: a path, a side, a seed. Leaves: a pyramidal tiled JPEG BigTIFF with islands of phantom tissue on clear
glass. Next room: `wsipipe.slide` reads it, ``tests/benchmarks`` runs the pipeline on it.

Two islands of 4,096 pixels are drawn and every tile of them, at every level, is made JPEG once; the file then
repeats those bytes wherever an island stands. The share of the area that is tissue does not depend on the side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.phantom.gastric_artefact import Artefacts
from wsipipe.phantom.gastric_picture import Field, make_field
from wsipipe.phantom.gastric_regime import regime_of
from wsipipe.phantom.pyramid_file import Level, halved, write_levels

ISLAND = 4096
"""Side of an island in level-0 pixels; islands stand on a grid of that pitch."""
TILE = 512
MPP = 0.5
TISSUE_SHARE = 0.035
"""Share of the slide's area that is tissue, wherever the number of islands lets it be."""
_QUALITY = 75
RGB = NDArray[np.uint8]
Cells = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stock:
    """Pictures of the islands at each level (finest first), ready tiles, and the colour of glass."""

    pictures: tuple[tuple[RGB, ...], ...]
    tiles: dict[tuple[int, int, int, int], bytes]
    glass: tuple[int, int, int]
    clear: bytes


def write_large(path: str | Path, *, side: int = 100_000, seed: int = 0, halvings: int = 1) -> Path:
    """Write a large sparse slide.

    Parameters
    ----------
    path : path
        Of the file; replaced if it exists.
    side : int
        Height and width in pixels at 0.5 micrometres per pixel; 16,384 or more.
    seed : int
        Of the islands and their places.
    halvings : int
        From one stored level to the next; 2 makes them 1, 4, 16, ... times smaller, as most scanners do.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UsageError
        Where the side is smaller.

    Notes
    -----
    100,000 pixels: about 15 s, 0.2 GB on disk and 0.5 GB of memory; four times the area, four times the disk.
    """
    if side < 4 * ISLAND:
        raise UsageError(
            f"making a large slide: its side is {4 * ISLAND} pixels or more, got {side}; use write_gastric"
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [_island(kind, seed) for kind in (0, 1)]
    cells = _places(side, float(np.mean([(field.canvas.tissue > 0).mean() for field in fields])), seed)
    write_levels(path, _levels(side, cells, _stock(fields), halvings), MPP, tile=TILE)
    return path


def _island(kind: int, seed: int) -> Field:
    """A field whose glass has one colour, without artefacts."""
    field = make_field(2 * kind, seed * 2 + kind, regime_of("test"), ISLAND * MPP, mpp=MPP)
    look = replace(field.look, shading=(0.0, 0.0), noise=0.0, sharpen=0.0, white=(244.0, 243.0, 245.0))
    return replace(field, look=look, artefacts=Artefacts())


def _places(side: int, fill: float, seed: int) -> Cells:
    """Which island stands in each cell of the grid: 0 none, else its number."""
    count = side // ISLAND
    cells = np.zeros((-(-side // ISLAND),) * 2, np.int64)
    wanted = max(2, round(TISSUE_SHARE * side**2 / (fill * ISLAND**2)))
    order = np.random.default_rng([seed, 9]).permutation(count * count)[:wanted]
    cells[order // count, order % count] = 1 + np.arange(wanted) % 2
    return cells


def _stock(fields: list[Field]) -> Stock:
    pictures = []
    for field in fields:
        levels = [np.concatenate([_row(field, y) for y in range(0, ISLAND, 1024)])]
        while len(levels[-1]) > 2:
            levels.append(halved(levels[-1]))
        pictures.append(tuple(levels))
    white = fields[0].look.white
    glass = round(white[0]), round(white[1]), round(white[2])
    tiles = {}
    for kind, levels_of in enumerate(pictures):
        for level, picture in enumerate(levels_of):
            for y in range(0, len(picture) if len(picture) >= TILE else 0, TILE):
                for x in range(0, len(picture), TILE):
                    tiles[kind + 1, level, y, x] = _jpeg(picture[y : y + TILE, x : x + TILE])
    return Stock(tuple(pictures), tiles, glass, _jpeg(np.full((TILE, TILE, 3), glass, np.uint8)))


def _row(field: Field, y: int) -> RGB:
    return np.concatenate([field.block((y, x)) for x in range(0, ISLAND, 1024)], axis=1)


def _levels(side: int, cells: Cells, stock: Stock, halvings: int) -> Iterator[Level]:
    """Levels that get smaller until one fits in a tile."""
    level = 0
    while True:
        here = side >> level
        yield Level((here, here), _tiles(here, level, cells, stock))
        if here <= TILE:
            return
        level += halvings


def _tiles(here: int, level: int, cells: Cells, stock: Stock) -> Iterator[bytes]:
    """The tiles of one level, row by row."""
    pitch = ISLAND >> level
    for y in range(0, here, TILE):
        for x in range(0, here, TILE):
            if pitch >= TILE:
                kind = int(cells[y // pitch, x // pitch])
                yield stock.tiles[kind, level, y % pitch, x % pitch] if kind else stock.clear
            else:
                yield _gathered(cells[y // pitch : (y + TILE) // pitch, x // pitch : (x + TILE) // pitch], level, stock)


def _gathered(cells: Cells, level: int, stock: Stock) -> bytes:
    """A tile that shows several cells of the grid."""
    if not cells.any():
        return stock.clear
    pitch = ISLAND >> level
    tile = np.full((TILE, TILE, 3), stock.glass, np.uint8)
    for row, column in np.argwhere(cells):
        island = stock.pictures[int(cells[row, column]) - 1][level]
        tile[row * pitch : (row + 1) * pitch, column * pitch : (column + 1) * pitch] = island
    return _jpeg(tile)


def _jpeg(tile: RGB) -> bytes:
    """JPEG with Huffman tables of its own: clear glass takes one kilobyte."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return cv2.imencode(".jpg", tile[..., ::-1], options)[1].tobytes()
