"""Deep Zoom is exact at every level: tiles partition it, and together they are the level, resampled once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsipipe.grid import Box, level_shapes
from wsipipe.slide import MemorySlide
from wsipipe.view.deepzoom import DeepZoom
from wsipipe.view.ground import Ground, as_rgb

RNG = np.random.default_rng(3)
SIDES = st.tuples(st.integers(1, 900), st.integers(1, 900))


@settings(max_examples=60, deadline=None)
@given(shape=SIDES, tile=st.sampled_from([1, 7, 64, 254, 256]))
def test_levels_halve_and_tiles_partition_them(shape: tuple[int, int], tile: int) -> None:
    zoom = DeepZoom(shape, max(tile, max(shape) // 20))
    shapes = [zoom.shape_of(level) for level in range(zoom.last, -1, -1)]
    assert tuple(shapes) == level_shapes(shape, smallest=1)
    for level in range(zoom.last + 1):
        owned = np.zeros(zoom.shape_of(level), np.uint8)
        rows, columns = zoom.cells(level)
        for row in range(rows):
            for column in range(columns):
                owned[zoom.box(level, row, column).slices()] += 1
        assert (owned == 1).all()
    assert zoom.cells(zoom.single()) == (1, 1)
    assert zoom.single() == zoom.last or zoom.cells(zoom.single() + 1) != (1, 1)


@pytest.mark.parametrize(("level", "row", "column"), [(-1, 0, 0), (11, 0, 0), (10, 4, 0), (10, 0, -1), (10, 0, 3)])
def test_what_there_is_not(level: int, row: int, column: int) -> None:
    with pytest.raises(IndexError):
        DeepZoom((1000, 600)).box(level, row, column)


def whole(ground: Ground, level: int) -> Any:
    """All tiles of a level put together."""
    rows, columns = ground.zoom.cells(level)
    return np.concatenate(
        [np.concatenate([ground.tile(level, row, column) for column in range(columns)], axis=1) for row in range(rows)]
    )


def mean_of(pixels: Any, factor: int) -> Any:
    """Means of squares, rounded half up; past the edge its pixels are repeated."""
    lack = [(0, -side % factor) for side in pixels.shape[:2]]
    filled = np.pad(pixels.astype(float), (*lack, (0, 0)), mode="edge")
    height, width = (side // factor for side in filled.shape[:2])
    squares = filled.reshape(height, factor, width, factor, 3)
    return np.floor(squares.mean(axis=(1, 3)) + 0.5).astype(np.uint8)


@pytest.mark.parametrize("shape", [(333, 517), (512, 512), (257, 31), (1, 300)])
def test_without_stored_levels_every_level_is_the_mean(shape: tuple[int, int]) -> None:
    pixels = RNG.integers(0, 256, (*shape, 3)).astype(np.uint8)
    ground = Ground(DeepZoom(shape, 64), MemorySlide(pixels), None)
    for level in range(ground.finest + 1):
        np.testing.assert_array_equal(whole(ground, level), mean_of(pixels, ground.zoom.downsample(level)))


def test_the_best_stored_level_is_read_as_it_is_and_resampled_once() -> None:
    """Levels 4 and 12 times smaller, one of them rounded down, and other colours in each to tell them by."""
    pixels = [RNG.integers(low, low + 60, (*shape, 3)) for low, shape in ((0, (405, 611)), (80, (101, 152)))]
    pixels.append(RNG.integers(180, 240, (33, 50, 3)))
    stored = [one.astype(np.uint8) for one in pixels]
    slide = MemorySlide(stored[0], levels=stored[1:])
    assert [level.downsample for level in slide.info.levels] == [1, 4, 12]
    ground = Ground(DeepZoom((405, 611), 64), slide, None)
    last = ground.zoom.last
    np.testing.assert_array_equal(whole(ground, last), stored[0])
    np.testing.assert_array_equal(whole(ground, last - 1), mean_of(stored[0], 2))
    four = whole(ground, last - 2)
    assert four.shape[:2] == (102, 153)  # a pyramid's sides round up, the file's down
    np.testing.assert_array_equal(four[:101, :152], stored[1])
    np.testing.assert_array_equal(four[101], four[100])
    eight = mean_of(stored[1], 2)
    np.testing.assert_array_equal(whole(ground, last - 3)[:50, :76], eight[:50, :76])
    assert whole(ground, last - 4).min() >= 180


def test_a_stored_level_between_two_gives_no_seams() -> None:
    pixels = RNG.integers(0, 256, (900, 700, 3)).astype(np.uint8)
    slide = MemorySlide(pixels, levels=[pixels[1::3, 1::3]])
    in_tiles, in_one = (whole(Ground(DeepZoom((900, 700), side), slide, None), 8) for side in (48, 512))
    np.testing.assert_array_equal(in_tiles, in_one)


def test_the_overview_stands_in() -> None:
    """For the slide where it is gone, and where a tile would take millions of its pixels."""
    pixels = RNG.integers(0, 100, (700, 500, 3)).astype(np.uint8)
    small = RNG.integers(150, 250, (88, 63, 3)).astype(np.uint8)
    overview = MemorySlide(small)
    gone = Ground(DeepZoom((700, 500)), None, overview, 8.0)
    assert gone.zoom.downsample(gone.finest) == 8
    np.testing.assert_array_equal(whole(gone, gone.finest), small)
    with pytest.raises(IndexError, match="levels are 0 to 7, got 8"):
        gone.tile(8, 0, 0)
    here = Ground(DeepZoom((700, 500)), MemorySlide(pixels), overview, 8.0)
    assert here.finest == 10
    assert whole(here, 6).max() < 100  # 16 times smaller: still from the slide
    assert whole(here, 5).min() >= 150  # 32 times


@pytest.mark.parametrize(
    ("pixels", "want"),
    [
        (np.full((2, 2, 1), 7, np.uint8), 7),
        (np.full((2, 2, 3), 0xAB12, np.uint16), 0xAB),
        (np.full((2, 2, 5), 0.5, np.float32), 128),
    ],
)
def test_every_kind_of_pixel_is_shown(pixels: Any, want: int) -> None:
    shown = as_rgb(pixels)
    assert (shown.shape, shown.dtype) == ((2, 2, 3), np.uint8)
    assert (shown == want).all()


def test_a_box_is_clipped_at_the_edge() -> None:
    assert DeepZoom((1000, 600)).box(10, 3, 2) == Box(768, 512, 232, 88)
