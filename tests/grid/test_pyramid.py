"""Blocks, pyramids and shards: numbers by hand; properties in tests/property/test_geometry.py."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.grid import Box, blocks, level_shapes, shard_side, touching


def test_pyramid_halves_rounding_up_until_small() -> None:
    assert level_shapes((1000, 513)) == ((1000, 513), (500, 257), (250, 129))
    assert level_shapes((256, 256)) == ((256, 256),)
    assert level_shapes((257, 1)) == ((257, 1), (129, 1))


def test_blocks_go_row_by_row_and_are_clipped() -> None:
    assert list(blocks((3, 5), 2)) == [
        Box(0, 0, 2, 2),
        Box(0, 2, 2, 2),
        Box(0, 4, 2, 1),
        Box(2, 0, 1, 2),
        Box(2, 2, 1, 2),
        Box(2, 4, 1, 1),
    ]


def test_touching_asks_for_a_shared_pixel() -> None:
    boxes = np.array([[0, 0, 5, 5], [0, 5, 5, 5], [4, 4, 5, 5], [2, 2, 0, 9], [-3, -3, 4, 4]])
    assert touching(Box(0, 0, 5, 5), boxes).tolist() == [0, 2, 4]
    assert touching(Box(0, 0, 0, 5), boxes).tolist() == []


@pytest.mark.parametrize(
    ("shape", "chunk", "side"),
    [((512, 512), 128, 128), ((1024, 1024), 128, 128), ((1025, 1024), 128, 256), ((25_000, 25_000), 1024, 4096)],
)
def test_shard_side(shape: tuple[int, int], chunk: int, side: int) -> None:
    assert shard_side(shape, chunk, most=64, least=1) == side


def test_shards_stay_at_4096_px_up_to_a_slide_of_200_000() -> None:
    assert [shard_side((side, side), 512) for side in (300, 25_000, 50_000, 60_000)] == [4096, 4096, 4096, 8192]
