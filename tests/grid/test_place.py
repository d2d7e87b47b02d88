"""Working frames: the figures of the design, and which stored level is read."""

from __future__ import annotations

import pytest

from wsipipe.grid import Box, Frame, choose_frame, source_level
from wsipipe.units import Mpp


def levels(mpp: float, *downsamples: float, shape: tuple[int, int] = (40_000, 60_000)) -> tuple[Frame, ...]:
    return tuple(
        Frame((int(shape[0] / d), int(shape[1] / d)), d, Mpp(mpp * d), index) for index, d in enumerate(downsamples)
    )


@pytest.mark.parametrize("mpp", [0.499, 0.49, 0.51, 0.5])
def test_within_two_percent_the_level_is_read_natively_with_its_true_mpp(mpp: float) -> None:
    frame = choose_frame(levels(mpp, 1.0, 4.0), 0.5)
    assert (frame.level, frame.mpp, frame.downsample) == (0, mpp, 1.0)


@pytest.mark.parametrize("mpp", [0.4899, 0.5101, 0.25, 1.0])
def test_otherwise_it_is_resampled_to_exactly_what_was_asked(mpp: float) -> None:
    frame = choose_frame(levels(mpp, 1.0), 0.5)
    assert (frame.level, frame.mpp) == (None, 0.5)
    assert frame.downsample == pytest.approx(0.5 / mpp)


def test_the_designs_example_does_not_fall_on_whole_level_0_pixels() -> None:
    frame = choose_frame(levels(0.2527, 1.0, 4.0), 0.5)
    assert 512 * frame.downsample == pytest.approx(1013.06, abs=0.01)
    assert frame.to_l0(Box(0, 0, 512, 512)).shape == (1013, 1013)
    assert frame.to_l0(Box(0, 512 * 8, 512, 512)) == Box(0, 8104, 1013, 1014)


def test_a_stored_pyramid_level_can_be_the_frame() -> None:
    assert choose_frame(levels(0.25, 1.0, 2.0, 4.0), 0.5).level == 1


def test_the_nearer_of_two_levels_is_taken() -> None:
    assert choose_frame(levels(0.5, 1.0, 1.01), 0.5).level == 0


def test_shape_of_a_resampled_frame_is_rounded_and_at_least_one() -> None:
    assert choose_frame(levels(0.25, 1.0, shape=(1001, 1003)), 0.5).shape == (501, 502)
    assert choose_frame(levels(0.25, 1.0, shape=(1, 1000)), 1.0).shape == (1, 250)


def test_coarser_frames_overhang_rather_than_lose_a_row() -> None:
    frame = Frame((1001, 16), 2.0, Mpp(0.5), 1).coarser(16)
    assert frame == Frame((63, 1), 32.0, Mpp(8.0), None)


@pytest.mark.parametrize(
    ("downsample", "level"), [(1.0, 0), (0.5, 0), (3.999, 0), (4.0, 1), (3.9999, 1), (15.9, 1), (16.0, 2), (1000.0, 2)]
)
def test_source_is_the_coarsest_level_that_is_fine_enough(downsample: float, level: int) -> None:
    assert source_level(levels(0.25, 1.0, 4.0001, 16.0), downsample) == level
