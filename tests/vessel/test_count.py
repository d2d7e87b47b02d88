"""Counting against loops; what each mode leaves out; paths."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.vessel.count import Prediction, centreline_dice, count, from_label, from_maps, mask_of
from wsipipe.vessel.folder import Case
from wsipipe.vessel.path import topology_errors


def lines(shape=(80, 120)):
    """Two crossing vessels: an artery along y, a vein along x, a crossing where they meet."""
    label = np.zeros(shape, np.uint8)
    label[:, 50:55] = 1
    label[40:45, :] = 2
    label[40:45, 50:55] = 3
    return label


def case_of(label):
    return Case("x", np.zeros((*label.shape, 3), np.uint8), label, np.ones(label.shape, np.bool_))


def test_modes_are_counted_as_a_loop_does():
    rng = np.random.default_rng(0)
    label, kind = rng.integers(0, 4, (30, 40)).astype(np.uint8), rng.integers(1, 3, (30, 40)).astype(np.uint8)
    vessel, field = rng.random((30, 40)) > 0.4, rng.random((30, 40)) > 0.1
    got = count(Prediction(vessel, kind), Case("x", np.zeros((30, 40, 3), np.uint8), label, field), cldice=False)
    right = {(mode, code): [] for mode in "sg" for code in (1, 2)}
    for y, x in np.ndindex(label.shape):
        if not field[y, x] or label[y, x] not in (1, 2):
            continue
        hit = kind[y, x] == label[y, x]
        right["g", label[y, x]].append(hit)
        if vessel[y, x]:
            right["s", label[y, x]].append(hit)
    for mode in "sg":
        assert getattr(got, f"{mode}_sen") == pytest.approx(np.mean(right[mode, 1]))
        assert getattr(got, f"{mode}_spec") == pytest.approx(np.mean(right[mode, 2]))
        assert getattr(got, f"{mode}_acc") == pytest.approx(np.mean(right[mode, 1] + right[mode, 2]))
    truth, seen = (label > 0) & field, vessel & field
    assert got.recall == pytest.approx((seen & truth).sum() / truth.sum())
    assert got.dice == pytest.approx(2 * (seen & truth).sum() / (seen.sum() + truth.sum()))


def test_the_truth_counted_against_itself_is_perfect():
    label = lines()
    got = count(from_label(label), case_of(label), topology=True)
    assert (got.s_acc, got.g_sen, got.g_spec, got.dice, got.recall, got.cldice) == pytest.approx((1,) * 6)
    assert got.topology == 0


def test_crossings_do_not_count_for_classes_and_count_for_vessels():
    label = lines()
    other = label.copy()
    other[label == 3] = 1
    assert count(from_label(other), case_of(label)).s_acc == 1
    other[label == 3] = 0
    got = count(from_label(other, clean=False), case_of(label))
    assert got.g_acc == 1
    assert got.recall < 1


def test_finding_few_vessels_helps_mode_s_only():
    label = lines()
    kind = np.where(label == 2, 2, 1).astype(np.uint8)
    kind[:20, 50:55] = 2  # a wrong part of the artery ...
    vessel = (label > 0) & (np.arange(80) >= 20)[:, None]  # ... that is not seen
    got = count(Prediction(vessel, kind), case_of(label))
    assert got.s_acc == 1
    assert got.g_acc < 1
    assert got.recall < 1


def test_the_counted_mask_has_no_specks_and_no_small_holes():
    vessel = np.zeros((60, 60), np.bool_)
    vessel[10:30, 10:30] = True
    vessel[18:21, 18:21] = False  # 9 px
    vessel[45:50, 45:50] = True  # 25 px
    made = mask_of(vessel)
    assert made[19, 19]
    assert not made[45:50, 45:50].any()
    assert not mask_of(np.zeros((5, 5), np.bool_)).any()


def test_maps_give_a_class_everywhere():
    maps = np.zeros((3, 40, 40), np.float32)
    maps[0, :, :20], maps[1, :, 20:], maps[2, 10:20] = 0.3, 0.2, 0.9
    made = from_maps(maps)
    assert made.kind[0, 0] == 1
    assert made.kind[0, 30] == 2
    assert made.vessel.sum() == 400


def test_wrong_paths():
    truth = np.zeros((60, 200), np.bool_)
    truth[28:33, 5:195] = True
    gap = truth.copy()
    gap[:, 95:110] = False
    assert topology_errors(truth, truth) == 0
    assert 0.2 < topology_errors(truth, gap) < 0.8
    assert topology_errors(truth, np.zeros_like(truth)) == 1
    assert np.isnan(topology_errors(np.zeros_like(truth), truth))
    assert topology_errors(truth, gap) == topology_errors(truth, gap)
    assert centreline_dice(truth, truth) == pytest.approx(1)


def test_nothing_to_count_is_nan():
    label = np.zeros((20, 20), np.uint8)
    got = count(from_label(label), case_of(label), topology=True)
    assert np.isnan([got.s_acc, got.g_acc, got.dice, got.recall, got.topology]).all()
