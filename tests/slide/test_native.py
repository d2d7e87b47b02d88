"""Tiles put together, and the cache of decoded ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsipipe.grid import Box
from wsipipe.slide.native import TileCache, assemble, cells

PLANE = np.random.default_rng(4).integers(0, 256, (70, 90, 3)).astype(np.uint8)


def tile_at(row: int, column: int, reaches_past: bool = True) -> NDArray[np.uint8]:
    """Tiles of 16 x 24, full at the plane's edge as TIFF stores them."""
    padded = np.pad(PLANE, ((0, 10), (0, 6), (0, 0)))
    return padded[row * 16 : row * 16 + 16, column * 24 : column * 24 + 24]


@settings(max_examples=60, deadline=None)
@given(y=st.integers(0, 69), x=st.integers(0, 89), height=st.integers(1, 70), width=st.integers(1, 90))
def test_any_box_is_put_together(y: int, x: int, height: int, width: int) -> None:
    box = Box(y, x, height, width).intersect(Box(0, 0, 70, 90))
    got = np.zeros((*box.shape, 3), np.uint8)
    assemble(got, box, (16, 24), tile_at, fill=255)
    assert np.array_equal(got, PLANE[box.slices()])


def test_a_missing_tile_is_fill() -> None:
    def left_only(row: int, column: int, _: bool) -> NDArray[np.uint8] | None:
        return None if column else tile_at(row, column)

    got = np.zeros((16, 30, 3), np.uint8)
    assemble(got, Box(0, 0, 16, 30), (16, 24), left_only, fill=9)
    assert np.array_equal(got[:, :24], PLANE[:16, :24])
    assert (got[:, 24:] == 9).all()


def test_what_reaches_past_the_box_is_said_to() -> None:
    said = {}

    def fetch(row: int, column: int, reaches_past: bool) -> NDArray[np.uint8]:
        said[row, column] = reaches_past
        return tile_at(row, column)

    assemble(np.zeros((32, 40, 3), np.uint8), Box(16, 24, 32, 40), (16, 24), fetch, fill=0)
    assert said == {(1, 1): False, (1, 2): True, (2, 1): False, (2, 2): True}


def test_only_touched_cells_are_named() -> None:
    assert [(row, column) for row, column, _ in cells(Box(16, 23, 16, 2), (16, 24))] == [(1, 0), (1, 1)]


def test_the_cache_decodes_once_and_lets_go_of_the_oldest() -> None:
    cache, decoded = TileCache(most_bytes=250), []

    def tile(key: int) -> NDArray[np.uint8]:
        return cache.get(key, lambda: decoded.append(key) or np.full(100, key, np.uint8))

    for key in (1, 2, 1, 3, 1, 2):
        assert tile(key)[0] == key
    assert decoded == [1, 2, 3, 2]
    assert cache.held_bytes == 200
    cache.clear()
    assert cache.held_bytes == 0


def test_the_cache_counts_right_under_threads() -> None:
    cache = TileCache(most_bytes=3000)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: cache.get(i % 50, lambda: np.full(100, i % 50, np.uint8))[0], range(2000)))
    assert got == [i % 50 for i in range(2000)]
    assert 0 < cache.held_bytes <= 3000
