"""Micrometres per pixel out of what files say."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.errors import MppError
from wsipipe.slide.base import Level, SlideInfo
from wsipipe.slide.scale import length_um, level_downsample, number, resolution_um, with_mpp_yx

INFO = SlideInfo((Level((10, 20), 1.0),), None, 3, np.dtype("u1"), "ab" * 32, "test")


@pytest.mark.parametrize(
    ("value", "unit", "want"),
    [(0.5, "µm", 0.5), (0.5, "μm", 0.5), (500, "nm", 0.5), (0.0005, "mm", 0.5), (1, "in", 25400), (0.5, "pixel", None),
     (0, "µm", None), (float("nan"), "µm", None), (-1, "µm", None), (None, "µm", None), (1, "M", 1e6)],
)  # fmt: skip
def test_lengths(value: float | None, unit: str, want: float | None) -> None:
    assert length_um(value, unit) == (want if want is None else pytest.approx(want))


@pytest.mark.parametrize(
    ("per_unit", "unit", "want"),
    [(20000, 3, 0.5), (25400, 2, 1.0), (20000, 1, None), (0, 3, None), (float("inf"), 3, None)],
)
def test_resolutions(per_unit: float, unit: int, want: float | None) -> None:
    assert resolution_um(per_unit, unit) == (want if want is None else pytest.approx(want))


def test_numbers() -> None:
    assert [number(text) for text in ("0.5", " 0,25 ", "", None, "x")] == [0.5, 0.25, None, None, None]


def test_axes_that_agree_are_averaged() -> None:
    assert with_mpp_yx(INFO, (0.500, 0.504)).mpp == pytest.approx(0.502)
    assert with_mpp_yx(INFO, (None, 0.5)).mpp == 0.5
    assert with_mpp_yx(INFO, (None, None)).mpp is None


def test_axes_that_differ_give_no_frames_until_an_mpp_is_given() -> None:
    info = with_mpp_yx(INFO, (0.5, 0.6))
    with pytest.raises(MppError, match=r"0\.5 .*down and 0\.6 across"):
        info.frames()
    square = info.with_mpp(0.25)
    assert square.frames()[0].mpp == 0.25
    assert square.fingerprint == INFO.fingerprint


@pytest.mark.parametrize(
    ("full", "small", "want"),
    [((3567, 4443), (1783, 2221), 2.0), ((3567, 4443), (1784, 2222), 2.0), ((46000, 32914), (2875, 2057), 16.0),
     ((1000, 900), (400, 360), 2.5)],
)  # fmt: skip
def test_a_level_rounded_down_or_up_is_a_whole_fraction(
    full: tuple[int, int], small: tuple[int, int], want: float
) -> None:
    assert level_downsample(full, small) == pytest.approx(want)
