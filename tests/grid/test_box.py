"""Boxes against sets of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsipipe.grid import Box

Pixel = tuple[int, int]
BOXES = st.builds(Box, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 9), st.integers(0, 9))


def pixels(box: Box) -> set[Pixel]:
    return {(y, x) for y in range(box.y, box.y1) for x in range(box.x, box.x1)}


@given(BOXES)
def test_area_and_emptiness_count_pixels(box: Box) -> None:
    assert box.area == len(pixels(box))
    assert box.is_empty == (not pixels(box))


@given(BOXES, BOXES)
def test_intersection_is_that_of_the_pixels(a: Box, b: Box) -> None:
    assert pixels(a.intersect(b)) == pixels(a) & pixels(b)
    assert a.intersect(b).shape == b.intersect(a).shape or a.intersect(b).is_empty


@given(BOXES, BOXES)
def test_contains_is_that_of_the_pixels(a: Box, b: Box) -> None:
    assert a.contains(b) == (pixels(b) <= pixels(a))


@given(BOXES, st.integers(1, 5))
def test_shrink_is_every_coarse_pixel_touched(box: Box, factor: int) -> None:
    assert pixels(box.shrink(factor)) == {(y // factor, x // factor) for y, x in pixels(box)}


@given(BOXES, st.integers(0, 5))
def test_pad_is_undone_by_a_negative_pad(box: Box, margin: int) -> None:
    assert box.pad(margin).pad(-margin) == box
    assert box.pad(margin).contains(box)


@given(BOXES, st.integers(-5, 5), st.integers(-5, 5))
def test_shift_moves_every_pixel(box: Box, dy: int, dx: int) -> None:
    assert pixels(box.shift(dy, dx)) == {(y + dy, x + dx) for y, x in pixels(box)}


@given(BOXES)
def test_edges_rebuild_the_box(box: Box) -> None:
    assert Box.from_edges(box.y, box.x, box.y1, box.x1) == box


def test_crossed_edges_give_an_empty_box() -> None:
    assert Box.from_edges(5, 5, 2, 9).is_empty


def test_slices_cut_the_box_out_of_the_array_that_covers_another() -> None:
    plane = np.arange(100).reshape(10, 10)
    frame, box = Box(20, 30, 10, 10), Box(23, 34, 2, 3)
    assert plane[box.slices(frame)].tolist() == [[34, 35, 36], [44, 45, 46]]


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (Box(-1, 0, 2, 2), "starts before"),
        (Box(0, -1, 2, 2), "starts before"),
        (Box(9, 0, 2, 2), "ends after"),
        (Box(0, 9, 2, 2), "ends after"),
    ],
)
def test_slices_outside_the_array_are_refused(box: Box, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        box.slices(Box(0, 0, 10, 10))


@pytest.mark.parametrize("shape", [(-1, 2), (2, -1)])
def test_negative_sizes_are_refused(shape: Pixel) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Box(0, 0, *shape)


def test_a_box_is_a_value() -> None:
    assert {Box(0, 1, 2, 3), Box(0, 1, 2, 3)} == {Box(0, 1, 2, 3)}
    assert sorted([Box(1, 0, 1, 1), Box(0, 5, 1, 1)])[0].y == 0
