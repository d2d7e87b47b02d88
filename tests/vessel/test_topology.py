"""Topology repair: wrong patches go, crossings and clear vessels stay."""

from __future__ import annotations

import cv2
import numpy as np

from wsipipe.evaluate.vessel_measures import repaired
from wsipipe.phantom.fundus import make_fundus
from wsipipe.vessel.label import ARTERY, VEIN, from_probability
from wsipipe.vessel.skeleton import graph
from wsipipe.vessel.topology import repair


def lines(*drawn, shape=(120, 200)):
    """Probabilities of drawn vessels: (first, second, kind)."""
    maps = np.zeros((3, *shape), np.float32)
    for first, second, kind in drawn:
        canvas = np.zeros(shape, np.uint8)
        cv2.line(canvas, first, second, 1, 5)
        maps[kind - 1] = np.maximum(maps[kind - 1], canvas * np.float32(0.9))
        maps[2] = np.maximum(maps[2], canvas * np.float32(0.95))
    return maps


def mended(maps):
    label = from_probability(maps)
    return repair(maps, label, graph(label > 0))


def test_a_patch_of_the_other_class_is_mended():
    maps = lines(((10, 60), (190, 60), VEIN))
    maps[0, :, 90:105], maps[1, :, 90:105] = maps[1, :, 90:105].copy(), maps[0, :, 90:105].copy()
    found = mended(maps)
    assert set(np.unique(found.label)) == {0, VEIN}
    assert 0.05 < found.changed < 0.12


def test_a_weak_branch_takes_the_class_of_its_vessel():
    maps = lines(((10, 60), (190, 60), ARTERY), ((100, 60), (130, 20), VEIN))
    branch = maps[1] > 0
    maps[0][branch], maps[1][branch] = 0.45, 0.5
    found = mended(maps)
    assert (found.label[found.label > 0] == ARTERY).mean() > 0.95


def test_a_crossing_keeps_both_classes():
    found = mended(lines(((10, 20), (190, 100), ARTERY), ((10, 100), (190, 20), VEIN)))
    assert sorted(found.kinds.tolist()) == [1, 1, 2, 2]
    assert found.changed == 0


def test_nothing_in_nothing_out():
    found = mended(np.zeros((3, 40, 40), np.float32))
    assert not found.label.any()
    assert len(found.kinds) == 0


def test_it_helps_on_a_made_tree():
    before, after = repaired(make_fundus(1002), 0.10)
    assert after > before + 0.02
