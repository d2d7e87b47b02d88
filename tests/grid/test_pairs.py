"""Neighbours: small cases by hand; the naive loop is in tests/property/test_geometry.py."""

from __future__ import annotations

import numpy as np

from wsipipe.grid import Grid, neighbours


def test_boxes_that_only_share_an_edge_are_no_neighbours_until_grown() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 10, 10, 10]])
    assert neighbours(boxes).tolist() == []
    assert neighbours(boxes, reach=1).tolist() == [[0, 1]]


def test_reach_is_of_each_box() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 14, 10, 10]])
    assert neighbours(boxes, reach=2).tolist() == []
    assert neighbours(boxes, reach=3).tolist() == [[0, 1]]


def test_empty_boxes_have_none_even_when_grown() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 0, 4], [5, 5, 4, 0]])
    assert neighbours(boxes, reach=20).shape == (0, 2)


def test_no_boxes() -> None:
    found = neighbours(np.zeros((0, 4), np.int64))
    assert found.shape == (0, 2)
    assert found.dtype == np.int64


def test_equal_boxes_are_neighbours_once() -> None:
    assert neighbours(np.array([[1, 1, 3, 3]] * 3)).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_tiles_of_a_grid_have_eight_neighbours_inside() -> None:
    grid = Grid((90, 110), tile=10, unit=4)
    ids = grid.ids()
    pairs = neighbours(grid.write_boxes(ids), reach=1)
    rows, columns = grid.cells
    sides, corners = rows * (columns - 1) + columns * (rows - 1), 2 * (rows - 1) * (columns - 1)
    assert len(pairs) == sides + corners


def test_ten_thousand_boxes_are_not_compared_pair_by_pair() -> None:
    y, x = np.divmod(np.arange(10_000), 100)
    boxes = np.stack([y * 10, x * 10, np.full_like(y, 12), np.full_like(y, 12)], axis=-1)
    assert len(neighbours(boxes)) == 2 * 100 * 99 + 2 * 99 * 99
