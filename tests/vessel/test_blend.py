"""Splicing: a pixel has one value in whatever block it is asked for, and a map that agrees is given back."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.grid import Box, Grid
from wsipipe.vessel.blend import block, weights


@pytest.fixture(scope="module")
def grid():
    return Grid((150, 210), tile=64, halo=16, unit=2)


def windows_of(grid, picture, noise=0.0):
    padded = np.pad(picture, ((0, 0), (200, 200), (200, 200)))

    def windows(ids):
        boxes = grid.read_boxes(ids)
        made = [padded[:, b.y + 200 : b.y1 + 200, b.x + 200 : b.x1 + 200] for b in boxes]
        rngs = [np.random.default_rng(int(i)) for i in ids]
        shaken = [m + noise * r.normal(size=m.shape) for m, r in zip(made, rngs, strict=True)]
        return np.stack(shaken).astype(np.float32)

    return windows


def test_windows_of_one_map_give_it_back(grid):
    picture = np.random.default_rng(0).random((3, 150, 210)).astype(np.float32)
    whole = block(Box(0, 0, 150, 210), grid, grid.ids(), windows_of(grid, picture))
    np.testing.assert_allclose(whole, picture, atol=1e-6)


def test_a_block_is_a_piece_of_the_whole(grid):
    windows = windows_of(grid, np.full((3, 150, 210), 0.5), noise=0.2)
    whole = block(Box(0, 0, 150, 210), grid, grid.ids(), windows)
    part = block(Box(30, 50, 70, 90), grid, grid.ids(), windows)
    np.testing.assert_array_equal(part, whole[:, 30:100, 50:140])


def test_there_is_no_step_where_windows_that_disagree_meet(grid):
    tilted = {int(i): np.float32(i % 2) for i in grid.ids()}

    def windows(ids):
        return np.stack([np.full((3, 96, 96), tilted[int(i)], np.float32) for i in ids])

    whole = block(Box(0, 0, 64, 128), grid, grid.ids(), windows)[0]
    steps = np.abs(np.diff(whole[32]))
    assert steps.max() < 0.2  # 32 px of overlap; a hard seam would be 1


def test_missing_tiles_are_zero(grid):
    windows = windows_of(grid, np.ones((3, 150, 210)))
    assert not block(Box(0, 0, 10, 10), grid, np.zeros(0, np.int64), windows).any()


def test_weights_are_symmetric_and_small_at_the_border():
    line = weights(97)
    np.testing.assert_allclose(line, line[::-1])
    assert line[48] == 1
    assert line[0] < 0.02
