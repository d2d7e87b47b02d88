"""A plane covered by square tiles in units: which pixels a tile reads, and which it alone owns.

Enters: the shape of the working frame. Leaves: a `Grid` of `Tile` with ids that never move.
Next room: `wsipipe.run` makes one task per unit; `wsipipe.store` has one row per tile id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid.box import Box

Int = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tile:
    """One cell of a grid.

    ``write`` is the part of the plane that the tile alone owns (clipped at the plane's edge);
    ``read`` is the full square plus halo, always of the same shape, and may reach outside.
    """

    id: int
    read: Box
    write: Box


@dataclass(frozen=True, slots=True)
class Grid:
    """Square cells over a plane, gathered in square units of ``unit x unit`` cells.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the working frame in pixels.
    tile : int
        Side of a cell in pixels.
    halo : int
        Pixels read around a cell on all sides.
    unit : int
        Cells along a unit's side. A unit is what one task computes and one shard stores.

    Notes
    -----
    Ids count *unit by unit* (units in row-major order, cells in row-major order inside a unit) and
    every unit has ``unit ** 2`` of them, also where the plane ends before the unit does. So a unit's
    rows are one slice, and a tile's id depends on the grid alone, not on where the tissue is.
    """

    shape: tuple[int, int]
    tile: int = 512
    halo: int = 0
    unit: int = 8

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.tile < 1 or self.halo < 0 or self.unit < 1:
            raise ValueError(f"a grid needs a plane, tile and unit of at least 1 and a halo of 0 or more: {self}")

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells that touch the plane."""
        return -(-self.shape[0] // self.tile), -(-self.shape[1] // self.tile)

    @property
    def units(self) -> tuple[int, int]:
        """Rows and columns of units."""
        return -(-self.cells[0] // self.unit), -(-self.cells[1] // self.unit)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.units[0] * self.units[1]

    @property
    def rows_per_unit(self) -> int:
        """Rows that a unit owns in every per-tile layer."""
        return self.unit**2

    @property
    def n_rows(self) -> int:
        """Rows of a per-tile layer; more than there are tiles where the plane ends inside a unit."""
        return self.n_units * self.rows_per_unit

    def unit_rows(self, unit: int) -> slice:
        """The rows (that is, tile ids) that `unit` owns."""
        return slice(unit * self.rows_per_unit, (unit + 1) * self.rows_per_unit)

    def unit_box(self, unit: int) -> Box:
        """The full square of `unit`, not clipped to the plane."""
        uy, ux = divmod(unit, self.units[1])
        side = self.unit * self.tile
        return Box(uy * side, ux * side, side, side)

    def cells_of(self, ids: NDArray[np.integer]) -> Int:
        """Cell row and column of each id.

        Parameters
        ----------
        ids : (N,) integers

        Returns
        -------
        (N, 2) int64
            ``yx`` in cells; rows past the plane belong to ids that have no tile.
        """
        unit, cell = np.divmod(np.asarray(ids, np.int64), self.rows_per_unit)
        uy, ux = np.divmod(unit, self.units[1])
        cy, cx = np.divmod(cell, self.unit)
        return np.stack([uy * self.unit + cy, ux * self.unit + cx], axis=-1)

    def id_at(self, cy: int, cx: int) -> int:
        """Id of the cell in row `cy` and column `cx`. Raises IndexError where the plane has ended."""
        if not (0 <= cy < self.cells[0] and 0 <= cx < self.cells[1]):
            raise IndexError(f"no cell {cy}, {cx} in {self}")
        (uy, iy), (ux, ix) = divmod(cy, self.unit), divmod(cx, self.unit)
        return (uy * self.units[1] + ux) * self.rows_per_unit + iy * self.unit + ix

    def ids(self, unit: int | None = None) -> Int:
        """Ids of all tiles (of one unit, if given) in ascending order."""
        rows = slice(0, self.n_rows) if unit is None else self.unit_rows(unit)
        ids = np.arange(rows.start, rows.stop, dtype=np.int64)
        return ids[np.all(self.cells_of(ids) < self.cells, axis=-1)]

    def write_boxes(self, ids: NDArray[np.integer]) -> Int:
        """``(N, 4)`` int64 ``y, x, height, width`` of the write boxes of `ids`, clipped to the plane."""
        start = self.cells_of(ids) * self.tile
        stop = np.minimum(start + self.tile, np.asarray(self.shape, np.int64))
        return np.concatenate([start, np.maximum(stop - start, 0)], axis=-1)

    def read_boxes(self, ids: NDArray[np.integer]) -> list[Box]:
        """The read boxes of `ids`, halo included; they may reach outside the plane."""
        corners, side = self.cells_of(ids) * self.tile - self.halo, self.tile + 2 * self.halo
        return [Box(y, x, side, side) for y, x in corners.tolist()]

    def at(self, tile_id: int) -> Tile:
        """The tile of an id. Raises IndexError where the plane has ended."""
        y, x, height, width = (int(v) for v in self.write_boxes(np.array([tile_id]))[0])
        if not 0 <= tile_id < self.n_rows or height * width == 0:
            raise IndexError(f"no tile {tile_id} in {self}")
        full = Box(y, x, self.tile, self.tile)
        return Tile(tile_id, full.pad(self.halo), Box(y, x, height, width))
