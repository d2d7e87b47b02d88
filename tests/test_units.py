"""Rounding and the sane range of micrometres per pixel."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsipipe.units import Mpp, Um, is_sane, round_half_up, to_px, to_um

FINITE = st.floats(-1e15, 1e15)


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (0.5, 1),
        (1.5, 2),
        (2.5, 3),
        (-0.5, 0),
        (-1.5, -1),
        (-2.5, -2),
        (0.0, 0),
        (-0.0, 0),
        (0.49999999999999994, 0),
        (-0.49999999999999994, 0),
        (-0.5000000000000001, -1),
        (4503599627370497.0, 4503599627370497),
    ],
)
def test_half_rounds_towards_plus_infinity(value: float, whole: int) -> None:
    assert round_half_up(value) == whole


@given(FINITE)
def test_rounding_equals_exact_arithmetic(value: float) -> None:
    assert round_half_up(value) == math.floor(Fraction(value) + Fraction(1, 2))


@given(FINITE, FINITE)
def test_rounding_keeps_order(a: float, b: float) -> None:
    assert round_half_up(min(a, b)) <= round_half_up(max(a, b))


@given(FINITE)
def test_rounding_gives_a_plain_int(value: float) -> None:
    assert type(round_half_up(value)) is int


@pytest.mark.parametrize(
    ("mpp", "sane"),
    [
        (0.05, True),
        (20.0, True),
        (0.5, True),
        (0.0499, False),
        (20.01, False),
        (0.0, False),
        (-0.5, False),
        (None, False),
        (math.nan, False),
        (math.inf, False),
        (0.00499, False),
        (28.97, False),
    ],
)
def test_sane_range_is_closed(mpp: float | None, sane: bool) -> None:
    assert is_sane(mpp) is sane


def test_micrometres_to_pixels_and_back() -> None:
    assert to_px(Um(256.0), Mpp(0.5)) == 512
    assert to_px(Um(0.25), Mpp(0.5)) == 1
    assert to_um(512, Mpp(0.25)) == 128.0
