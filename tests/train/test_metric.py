from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import DiceHelper

from wsipipe.train.metric import Overlap, calibration, confusion, dice, macro_f1, roc, summary
from wsipipe.train.tiles import classes_of, stem_truth
from wsipipe.train.tileset import class_of

TRUTH = np.array([0, 0, 1, 1, 2, 2, 3, 3])


def said(*kinds: int, sure: float = 0.7) -> np.ndarray:
    prob = np.full((len(kinds), 4), (1 - sure) / 3, np.float32)
    prob[np.arange(len(kinds)), kinds] = sure
    return prob


def test_dice_agrees_with_monai() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.random((2, 1, 1, 40, 40)) > 0.6
    theirs = DiceHelper(include_background=True, threshold=False, softmax=False)(
        torch.from_numpy(one).float(), torch.from_numpy(two).float()
    )
    assert dice(one, two) == pytest.approx(float(theirs[0]), abs=1e-6)
    assert np.isnan(dice(np.zeros((2, 2), bool), np.zeros((2, 2), bool)))


def test_overlap_counts_over_tiles() -> None:
    overlap = Overlap()
    truth = np.array([[0, 1], [3, 3]])
    overlap.add(truth, np.array([[0, 1], [3, 2]]), np.array([[False, True], [True, True]]))
    overlap.add(truth, truth, truth > 0)
    np.testing.assert_allclose(overlap.dice(), [1, 1, 0, 2 * 3 / 7, 1])


def test_macro_f1_counts_a_missed_category_as_nothing() -> None:
    assert macro_f1(TRUTH, said(*TRUTH)) == 1
    assert macro_f1(TRUTH, said(0, 0, 1, 1, 2, 2, 2, 2)) == pytest.approx((1 + 1 + 2 / 3 + 0) / 4)


def test_confusion_has_truth_in_rows() -> None:
    assert confusion(TRUTH, said(0, 1, 1, 1, 2, 2, 3, 0)).tolist() == [
        [1, 1, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [1, 0, 0, 1]
    ]  # fmt: skip


def test_roc_leaves_out_what_has_no_other_side() -> None:
    assert {name: area for name, (_, _, area) in roc(TRUTH, said(*TRUTH)).items()} == dict.fromkeys(
        ("negative", "low_grade", "high_grade", "invasive"), 1.0
    )
    assert not roc(np.zeros(3, int), said(0, 0, 0))


def test_calibration_of_seventy_per_cent() -> None:
    kinds = [0] * 7 + [1] * 3
    found = calibration(np.zeros(10, int), said(*kinds, sure=0.75))
    assert found.ece == pytest.approx(0.05, abs=1e-6)
    assert found.count.tolist() == [0, 0, 0, 0, 0, 0, 0, 10, 0, 0]
    assert summary(TRUTH, said(*TRUTH, sure=0.999))["log_loss"] == pytest.approx(0.001, rel=0.01)


@pytest.mark.parametrize(
    ("pixels", "wanted"), [({}, 0), ({1: 50}, 1), ({1: 300, 3: 40}, 3), ({3: 5}, None), ({2: 900, 3: 5}, None)]
)
def test_a_tiles_class_is_its_most_severe_lesion(pixels: dict[int, int], wanted: int | None) -> None:
    flat = np.zeros(1024, np.uint8)
    start = 0
    for kind, count in pixels.items():
        flat[start : start + count] = kind
        start += count
    mask = flat.reshape(32, 32)
    assert class_of(mask, least=0.02) == wanted
    assert classes_of(torch.from_numpy(mask)[None].long(), least=0.02).tolist() == [-1 if wanted is None else wanted]


def test_truth_at_the_stem_is_the_share_of_each_category() -> None:
    mask = torch.zeros(1, 8, 8, dtype=torch.long)
    mask[0, :2, :4] = 3
    shares = stem_truth(mask, 4)
    assert shares.shape == (1, 4, 2, 2)
    assert shares[0, 3].tolist() == [[0.5, 0], [0, 0]]
    assert torch.equal(shares.sum(dim=1), torch.ones(1, 2, 2))
