"""The area filter: exact weights, and the same pixel whatever the box or the strip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsipipe.grid import Box
from wsipipe.slide.resample import fill_area

PIXELS = np.random.default_rng(2).integers(0, 256, (97, 113, 3)).astype(np.uint8)


def read(box: Box) -> NDArray[np.uint8]:
    assert Box(0, 0, 97, 113).contains(box)
    return PIXELS[box.slices()]


def area(box: Box, ratio: float, **options: int) -> NDArray[np.uint8]:
    out = np.zeros((*box.shape, 3), np.uint8)
    fill_area(out, box, read, ratio=ratio, shape=(97, 113), **options)
    return out


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_whole_ratios_are_block_means(factor: int) -> None:
    height, width = 97 // factor, 113 // factor
    cut = PIXELS[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    want = np.floor(cut.astype(np.float64).mean(axis=(1, 3)) + 0.5)
    assert np.array_equal(area(Box(0, 0, height, width), factor), want)


def test_ratio_one_copies() -> None:
    assert np.array_equal(area(Box(3, 5, 40, 50), 1.0), PIXELS[3:43, 5:55])


def test_a_half_repeats_each_pixel() -> None:
    want = PIXELS[2:7, 1:5].repeat(2, axis=0).repeat(2, axis=1)
    assert np.array_equal(area(Box(4, 2, 10, 8), 0.5), want)


def test_fractional_weights() -> None:
    line = np.array([[0.0, 10.0, 20.0, 30.0, 40.0]], np.float32)[..., None]
    out = np.zeros((1, 2, 1), np.float32)
    fill_area(out, Box(0, 0, 1, 2), lambda box: line[box.slices()], ratio=2.5, shape=(1, 5))
    assert out.ravel() == pytest.approx([(0 + 10 + 0.5 * 20) / 2.5, (0.5 * 20 + 30 + 40) / 2.5])


def test_past_the_edge_the_edge_is_repeated() -> None:
    last = area(Box(48, 56, 1, 1), 2.0)  # row 96 and column 112 exist, the next do not
    assert np.array_equal(last[0, 0], PIXELS[96, 112])


@settings(max_examples=60, deadline=None)
@given(
    ratio=st.floats(0.4, 9.0), y=st.integers(0, 5), x=st.integers(0, 5), height=st.integers(1, 6),
    width=st.integers(1, 6), strip=st.integers(1, 3000),
)  # fmt: skip
def test_a_pixel_does_not_depend_on_its_box(ratio: float, y: int, x: int, height: int, width: int, strip: int) -> None:
    whole = area(Box(0, 0, 11, 11), ratio)
    part = Box(y, x, height, width)
    assert np.array_equal(area(part, ratio, strip_px=strip), whole[part.slices()])


def test_no_read_is_larger_than_the_strip() -> None:
    asked = []

    def remembered(box: Box) -> NDArray[np.uint8]:
        asked.append(box.area)
        return read(box)

    out = np.zeros((12, 14, 3), np.uint8)
    fill_area(out, Box(0, 0, 12, 14), remembered, ratio=8.0, shape=(97, 113), strip_px=8 * 32)
    assert len(asked) > 20
    assert max(asked) <= 9 * 33  # a filter's last tap may weigh nothing and is not read
    assert np.array_equal(out, area(Box(0, 0, 12, 14), 8.0))
