"""Colours made alike: statistics are reached, what is dark stays, gains are taken back, tiles equal the whole."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe import vessel
from wsipipe.phantom.fundus import make_fundus
from wsipipe.vessel.colour import MEAN, STD, alike, lit, standardised, statistics


@pytest.fixture(scope="module")
def made():
    return make_fundus(3, size=(292, 283))


def test_statistics_are_those_inside_the_field(made):
    inside = made.picture[made.field] / 255
    found = statistics(made.picture, made.field)
    assert found[0] == pytest.approx(inside.mean(axis=0), abs=1e-6)
    assert found[1] == pytest.approx(inside.std(axis=0), abs=1e-6)


def test_without_a_field_the_whole_picture_counts(made):
    nothing = np.zeros(made.field.shape, np.bool_)
    assert statistics(made.picture, nothing)[0] == pytest.approx(made.picture.mean(axis=(0, 1)) / 255, abs=1e-6)


def test_mean_and_deviation_are_reached_but_for_what_is_cut_off(made):
    wanted = (0.5, 0.45, 0.4), (0.05, 0.06, 0.07)
    changed = standardised(made.picture, made.field, statistics(made.picture, made.field), *wanted)
    again = statistics(changed, made.field)
    assert again[0] == pytest.approx(wanted[0], abs=0.01)
    assert again[1] == pytest.approx(wanted[1], rel=0.05)


def test_what_lies_outside_stays(made):
    changed = standardised(made.picture, made.field, statistics(made.picture, made.field))
    assert (changed[~made.field] == made.picture[~made.field]).all()
    assert (changed[made.field] != made.picture[made.field]).any()


@pytest.mark.parametrize("gain", [(0.8, 1.0, 1.0), (1.0, 0.7, 0.9)])
def test_a_camera_with_other_gains_makes_the_same_picture(made, gain):
    other = (made.picture * np.array(gain)).round().astype(np.uint8)
    before = np.abs(made.picture[made.field].astype(float) - other[made.field]).mean()
    after = np.abs(alike(made.picture)[made.field].astype(float) - alike(other)[made.field]).mean()
    assert after < 0.15 * before


def test_a_channel_without_contrast_is_not_blown_up():
    flat = np.full((40, 40, 3), 90, np.uint8)
    flat[20:, :, 0] = 200
    changed = standardised(flat, np.ones((40, 40), np.bool_), statistics(flat, np.ones((40, 40), np.bool_)))
    assert len(np.unique(changed[..., 1])) == 1


def test_the_stage_gives_tiles_the_whole_picture_s_colours(made):
    field = vessel.fitted().fn(overview=made.picture)
    halves = np.stack([made.picture[:140], made.picture[140:280]])
    stage = vessel.alike(mean=MEAN, std=STD)
    changed = stage.fn(
        rgb=halves, field_threshold=field["field_threshold"], field_colour=field["field_colour"]
    )["rgb"]  # fmt: skip
    assert (np.concatenate(changed) == alike(made.picture)[:280]).all()


def test_lit_is_above_the_threshold_in_any_channel():
    pixels = np.array([[[9, 0, 0], [10, 0, 0], [0, 0, 11]]], np.uint8)
    assert lit(pixels, 10.0).tolist() == [[False, False, True]]
