"""Regimes: no slide of one could have come from a laboratory or a scanner of another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from wsipipe.errors import UsageError
from wsipipe.phantom.gastric_regime import JITTER, MPP_JITTER, REGIMES, draw_look, eosin, haematoxylin, regime_of

NAMES = ("train", "val", "test", "shifted")


def test_names_and_salts():
    assert tuple(REGIMES) == NAMES
    assert len({regime.salt for regime in REGIMES.values()}) == 4


@pytest.mark.parametrize(("one", "other"), combinations(NAMES, 2))
def test_boxes_of_laboratories_do_not_meet(one, other):
    width = 2 * np.array(JITTER)
    for a in REGIMES[one].labs:
        for b in REGIMES[other].labs:
            assert (np.abs(np.array(a.point()) - b.point()) > width).any(), (a, b)


@pytest.mark.parametrize(("one", "other"), combinations(NAMES, 2))
def test_scanners_have_different_mpp(one, other):
    for a in REGIMES[one].scanners:
        for b in REGIMES[other].scanners:
            assert abs(a.mpp - b.mpp) > MPP_JITTER * (a.mpp + b.mpp)


@pytest.mark.parametrize("name", NAMES)
def test_looks_lie_in_their_laboratory(name):
    regime = regime_of(name)
    for seed in range(40):
        look = draw_look(regime, np.random.default_rng(seed))
        assert min(abs(look.mpp / s.mpp - 1) for s in regime.scanners) <= MPP_JITTER + 1e-4
        gains = [np.linalg.norm(look.h_od), np.linalg.norm(look.e_od)]
        near = [
            np.abs(np.array(gains) - (lab.h_gain, lab.e_gain)).max()
            for lab in regime.labs
            if haematoxylin(lab.h_tone) @ look.h_od > 0.99 * gains[0]
            and eosin(lab.e_tone) @ look.e_od > 0.99 * gains[1]
        ]
        assert min(near) <= 0.05 + 1e-9
        assert 50 <= look.quality <= 95


def test_shifted_is_outside_the_hull_of_train():
    points = np.array([lab.point() for lab in REGIMES["train"].labs])
    low, high = points.min(axis=0), points.max(axis=0)
    for lab in REGIMES["shifted"].labs:
        point = np.array(lab.point())
        assert ((point < low - 0.1) | (point > high + 0.1)).sum() >= 2
    for lab in REGIMES["test"].labs:
        point = np.array(lab.point())
        assert ((point >= low) & (point <= high)).all()


def test_unknown_regime():
    with pytest.raises(UsageError, match=r"train, val, test, shifted, got 'best'"):
        regime_of("best")
