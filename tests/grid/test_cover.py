"""Grids: numbers written out by hand; the properties are in tests/property/test_geometry.py."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.grid import Box, Grid, Tile

GRID = Grid((50, 70), tile=10, halo=3, unit=2)
"""5 x 7 cells, 3 x 4 units of 4 rows each."""


def test_counts() -> None:
    assert (GRID.cells, GRID.units, GRID.n_units, GRID.rows_per_unit, GRID.n_rows) == ((5, 7), (3, 4), 12, 4, 48)


def test_ids_go_unit_by_unit() -> None:
    assert [GRID.id_at(y, x) for y, x in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)]] == [0, 1, 2, 3, 4, 16]


def test_ids_leave_out_cells_past_the_plane() -> None:
    assert GRID.ids(3).tolist() == [12, 14]
    assert GRID.ids(11).tolist() == [44]
    assert len(GRID.ids()) == 5 * 7


def test_edge_tile_writes_what_is_left_and_reads_the_whole_square() -> None:
    grid = Grid((45, 70), tile=10, halo=3, unit=2)
    assert grid.at(grid.id_at(4, 6)) == Tile(44, Box(37, 57, 16, 16), Box(40, 60, 5, 10))


def test_boxes_of_rows_without_a_tile_are_empty() -> None:
    assert (GRID.write_boxes(np.array([13]))[0, 2:] == [10, 0]).all()


@pytest.mark.parametrize("tile_id", [-1, 13, 47, 48, 10_000])
def test_no_tile_past_the_plane(tile_id: int) -> None:
    with pytest.raises(IndexError, match=f"no tile {tile_id} "):
        GRID.at(tile_id)


@pytest.mark.parametrize("cell", [(-1, 0), (0, -1), (5, 0), (0, 7), (0, 8)])
def test_no_id_past_the_plane(cell: tuple[int, int]) -> None:
    with pytest.raises(IndexError, match="no cell"):
        GRID.id_at(*cell)


def test_one_tile_larger_than_the_plane() -> None:
    grid = Grid((3, 4), tile=512)
    assert grid.ids().tolist() == [0]
    assert grid.at(0).write == Box(0, 0, 3, 4)


@pytest.mark.parametrize("wrong", [{"shape": (0, 5)}, {"shape": (5, 0)}, {"tile": 0}, {"halo": -1}, {"unit": 0}])
def test_impossible_grids_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a grid needs"):
        Grid(**({"shape": (5, 5)} | wrong))  # type: ignore[arg-type]  # wrong on purpose


def test_a_slide_of_100000_px_has_the_stated_size() -> None:
    grid = Grid((100_000, 100_000))
    assert (grid.cells, grid.n_units, grid.n_rows) == ((196, 196), 625, 40_000)
