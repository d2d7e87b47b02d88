"""Measures of drawn and made vessels whose truth is known; NaN comes with a reason."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from wsipipe.evaluate.vessel_measures import errors, exact_map, label_map, vicsek
from wsipipe.phantom.fundus import make_fundus
from wsipipe.phantom.fundus_paint import coverage
from wsipipe.phantom.fundus_tree import VEIN, Segment
from wsipipe.vessel import fractal
from wsipipe.vessel.calibre import calibre
from wsipipe.vessel.disc import Disc, find
from wsipipe.vessel.equivalent import equivalent
from wsipipe.vessel.field_of_view import find as field_of_view
from wsipipe.vessel.field_of_view import whole
from wsipipe.vessel.measure import Found, measures, tortuosity
from wsipipe.vessel.skeleton import graph

NAN = float("nan")


@pytest.mark.parametrize("width", [2.0, 3.5, 6.0, 9.0])
@pytest.mark.parametrize("binary", [False, True])
def test_the_calibre_of_a_slanted_line(width, binary):
    line = np.stack([np.linspace(20, 90, 60), np.linspace(10, 190, 60)], 1)
    exact = coverage([Segment(VEIN, line, np.full(60, width), -1)], (110, 200))
    vessels = (exact >= 0.5).astype(np.float32) if binary else exact
    mask = exact >= 0.5
    half = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    (found,) = graph(mask).lines
    measured = calibre(vessels, found, half_widths=half, binary=binary)
    assert np.nanmean(measured) == pytest.approx(width, abs=0.3 if binary else 0.12)


def test_knudtson_s_rule_by_hand():
    assert equivalent([10] * 6, 0.88) == pytest.approx(
        0.88 * np.hypot(0.88 * np.hypot(w := 0.88 * np.hypot(10, 10), w), w)
    )
    assert np.isnan(equivalent([10] * 5, 0.88))
    assert equivalent([1, 2, 10, 10, 10, 10, 10, 10], 0.95) == equivalent([10] * 6, 0.95)


def test_tortuosity_of_a_half_circle():
    angles = np.linspace(0, np.pi, 200)
    assert tortuosity(np.stack([50 * np.sin(angles), 50 * np.cos(angles)], 1)) == pytest.approx(np.pi / 2, rel=1e-3)


@pytest.mark.parametrize("turned", [0.0, 25.0])
def test_the_dimension_of_a_tree_that_repeats_itself(turned):
    mask, true, arm = vicsek(4, 1600, turned)
    points = np.argwhere(graph(mask).skeleton()).astype(float)
    sides = fractal.sides(float(np.ptp(points, axis=0).max()), smallest=arm)
    assert fractal.dimension(points, box_sides=sides) == pytest.approx(true, rel=0.02)
    assert np.isnan(fractal.dimension(points[:50]))


def test_the_bars_on_a_made_tree():
    made = make_fundus(1001)
    found = errors(made, exact_map(made), binary=False)
    assert np.abs(found.calibre).mean() < 0.15
    assert (np.abs(found.calibre) < 0.5).mean() > 0.95
    assert np.abs(found.tortuosity).mean() < 0.02
    assert abs(found.fractal) < 0.02
    assert abs(found.crae) < 0.15
    assert found.disc < 0.3
    mask = errors(made, label_map(made), binary=True)
    assert np.abs(mask.calibre).mean() < 0.5


def found_of(made, place, **more):
    probability = exact_map(made)
    lines = graph(made.label > 0)
    kinds = np.array([1 + index % 2 for index in range(len(lines.lines))])
    return Found(probability, made.label, lines, kinds, field_of_view(made.picture), place, **more)


def test_without_disc_and_scale_there_are_reasons():
    made = make_fundus(2)
    rows, vessels = measures(found_of(made, Disc((NAN, NAN), NAN, NAN, "no optic disc: told so")))
    by = {(row.name, row.kind, row.zone, row.unit): row for row in rows}
    assert by["crae", "artery", "B", "px"].reason == "no optic disc: told so"
    assert np.isnan(by["calibre", "all", "C", "px"].value)
    assert np.isfinite(by["calibre", "all", "whole", "px"].value)
    assert "size of a pixel" in by["calibre", "all", "whole", "um"].reason
    assert all(row.reason for row in rows if np.isnan(row.value))
    assert len(vessels) > 100


def test_lengths_grow_with_the_scale():
    made = make_fundus(2)
    place = Disc(made.disc[:2], made.disc[2])
    rows = {(r.name, r.kind, r.zone, r.unit): r.value for r in measures(found_of(made, place, px=2.0, um=10.0))[0]}
    assert rows["calibre", "all", "B", "um"] == pytest.approx(10 * rows["calibre", "all", "B", "px"])
    ones = {(r.name, r.kind, r.zone, r.unit): r.value for r in measures(found_of(made, place))[0]}
    assert rows["calibre", "all", "B", "px"] == pytest.approx(2 * ones["calibre", "all", "B", "px"])
    assert rows["density", "all", "whole", "1"] == ones["density", "all", "whole", "1"]


def test_no_vessels_at_all():
    empty = np.zeros((60, 60), np.uint8)
    nothing = Found(
        np.zeros((3, 60, 60), np.float32), empty, graph(empty > 0), np.zeros(0, np.int64),
        whole(np.zeros((60, 60, 3), np.uint8)), Disc((NAN, NAN), NAN, NAN, "none"),
    )  # fmt: skip
    rows, vessels = measures(nothing)
    assert vessels == []
    assert all(row.reason for row in rows if np.isnan(row.value))


@pytest.mark.parametrize("seed", [0, 5, 9])
def test_the_disc_is_found(seed):
    made = make_fundus(seed)
    found = find(made.picture, field_of_view(made.picture), made.label > 0)
    assert found.found
    assert np.hypot(found.yx[0] - made.disc[0], found.yx[1] - made.disc[1]) < 0.35 * made.disc[2]
    assert found.radius == pytest.approx(made.disc[2], rel=0.2)


def test_no_vessels_no_disc():
    made = make_fundus(0, size=(292, 283))
    found = find(made.picture, field_of_view(made.picture), np.zeros((292, 283), bool))
    assert not found.found
    assert found.reason
