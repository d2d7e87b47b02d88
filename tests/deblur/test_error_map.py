"""The map of expected errors: where tiles land, how large pictures are reduced."""

from __future__ import annotations

import numpy as np

from wsipipe.deblur.error_map import ErrorMap
from wsipipe.grid import Box


def test_a_small_picture_is_not_reduced() -> None:
    made = ErrorMap((40, 50))
    made.put(Box(0, 32, 40, 18), np.full((40, 18), 2.0, np.float32))
    assert made.factor == 1
    assert (made.steps[:, 32:] == 16).all()
    assert not made.steps[:, :32].any()


def test_a_large_picture_is_reduced_by_means_and_errors_are_clipped() -> None:
    made = ErrorMap((9001, 100))
    assert (made.factor, made.steps.shape) == (4, (2251, 25))
    tile = np.zeros((9001 - 8192, 100), np.float32)
    tile[:4, :4] = [0, 4, 0, 4]
    tile[-1] = 99.0
    made.put(Box(8192, 0, *tile.shape), tile)
    assert made.steps[2048, 0] == 16
    assert (made.steps[-1] == 255).all()
