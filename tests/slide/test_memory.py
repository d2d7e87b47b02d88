"""Slides of arrays: the contract, and pixel values against a naive mean."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.contract.slide_contract import SlideContract, resampled
from wsipipe.errors import MppError, SlideOpenError
from wsipipe.grid import Box
from wsipipe.slide.base import Slide
from wsipipe.slide.memory import MemorySlide


def noise(*shape: int, dtype: str = "uint8", top: int = 256) -> NDArray[np.generic]:
    return np.random.default_rng(5).integers(0, top, shape).astype(dtype)


class TestRgb(SlideContract):
    @pytest.fixture
    def slide(self) -> Slide:
        return MemorySlide(noise(213, 197, 3), mpp=0.25)


class TestPyramid(SlideContract):
    @pytest.fixture
    def slide(self) -> Slide:
        return MemorySlide(noise(401, 399, 3), mpp=0.25, levels=[noise(200, 199, 3), noise(100, 99, 3)], name="a b/c")


class TestPlanes(SlideContract):
    @pytest.fixture
    def slide(self) -> Slide:
        return MemorySlide(noise(3, 120, 130, 1, dtype="uint16", top=60000))


class TestFloats(SlideContract):
    @pytest.fixture
    def slide(self) -> Slide:
        return MemorySlide(noise(140, 130).astype(np.float32) / 255)


def naive(pixels: NDArray[np.generic], y: int, x: int, ratio: float) -> float:
    """Mean over the ground of one output pixel, in float64."""
    total = weight = 0.0
    for row in range(int(y * ratio), min(pixels.shape[0], int((y + 1) * ratio) + 1)):
        for column in range(int(x * ratio), min(pixels.shape[1], int((x + 1) * ratio) + 1)):
            down = min(row + 1, (y + 1) * ratio) - max(row, y * ratio)
            across = min(column + 1, (x + 1) * ratio) - max(column, x * ratio)
            if down > 0 and across > 0:
                total += float(pixels[row, column]) * down * across
                weight += down * across
    return total / weight


def test_a_resampled_pixel_is_the_mean_of_its_ground() -> None:
    pixels = noise(60, 70)
    slide = MemorySlide(pixels)
    got = slide.read(Box(2, 3, 12, 14), frame=resampled(slide, 2.7))[..., 0]
    want = np.array([[naive(pixels, y, x, 2.7) for x in range(3, 17)] for y in range(2, 14)])
    assert np.abs(got - want).max() <= 0.5 + 1e-3


def test_constant_pictures_stay_constant_at_any_scale() -> None:
    slide = MemorySlide(np.full((100, 111, 3), 255, np.uint8))
    for downsample in (1.013, 2.7, 3.0, 17.3, 0.6):
        frame = resampled(slide, downsample)
        assert (slide.read(frame.box, frame=frame) == 255).all()


def test_the_coarsest_level_that_is_fine_enough_is_resampled() -> None:
    slide = MemorySlide(np.zeros((400, 400), np.uint8), levels=[np.full((200, 200), 9, np.uint8)])
    assert (slide.read(Box(0, 0, 5, 5), frame=resampled(slide, 3.0)) == 9).all()
    assert (slide.read(Box(0, 0, 5, 5), frame=resampled(slide, 1.9)) == 0).all()


def test_planes_are_told_apart() -> None:
    slide = MemorySlide(np.stack([np.full((20, 20, 1), value, np.uint8) for value in (3, 7)]))
    assert slide.info.planes == 2
    assert slide.read(Box(0, 0, 1, 1), level=0, plane=1).item() == 7


def test_the_array_may_change_afterwards() -> None:
    pixels = noise(20, 20)
    slide, before = MemorySlide(pixels), pixels.copy()
    pixels[...] = 0
    assert np.array_equal(slide.read(Box(0, 0, 20, 20), level=0)[..., 0], before)


def test_content_makes_the_id_and_mpp_does_not() -> None:
    assert MemorySlide(noise(9, 9), mpp=1.0).id == MemorySlide(noise(9, 9)).id
    assert MemorySlide(noise(9, 9)).id != MemorySlide(noise(9, 10)).id


def test_frames_need_an_mpp() -> None:
    with pytest.raises(MppError, match="assume"):
        MemorySlide(noise(9, 9)).info.frames()


@pytest.mark.parametrize("shape", [(3,), (0, 4), (1, 2, 3, 4, 5)])
def test_arrays_that_are_no_picture_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SlideOpenError, match="axes"):
        MemorySlide(np.zeros(shape, np.uint8))


def test_levels_of_another_kind_are_refused() -> None:
    with pytest.raises(SlideOpenError, match="same planes"):
        MemorySlide(noise(20, 20), levels=[noise(10, 10, 3)])
