"""Losses against their formulas in NumPy and against monai's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss

from wsipipe.errors import ConfigError
from wsipipe.train.loss import Weights, class_loss, dice_loss, soft_dice, tile_loss


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((3, 4, 6, 5)) < 0.3) * 1.0), torch.from_numpy(rng.random((3, 4, 6, 5)))


def test_soft_dice_is_the_formula() -> None:
    truth, predicted = pair()
    p, q = truth.numpy(), predicted.numpy()
    assert float(soft_dice(truth, predicted)) == pytest.approx(2 * (p * q).sum() / (p**2 + q**2).sum(), rel=1e-12)
    per_tile = [2 * (a * b).sum() / (a**2 + b**2).sum() for a, b in zip(p, q, strict=True)]
    np.testing.assert_allclose(soft_dice(truth, predicted, keep=(0,)), per_tile, rtol=1e-12)


@pytest.mark.parametrize(("keep", "batch"), [((0, 1), False), ((1,), True)])
def test_loss_equals_monais(keep: tuple[int, ...], batch: bool) -> None:
    truth, predicted = pair(1)
    theirs = DiceLoss(squared_pred=True, smooth_nr=0, smooth_dr=0, batch=batch)(predicted, truth)
    assert float(dice_loss(truth, predicted, keep=keep)) == pytest.approx(float(theirs), rel=1e-9)


def test_ends_of_the_scale() -> None:
    truth, _ = pair()
    assert float(soft_dice(truth, truth)) == 1
    assert float(soft_dice(truth, 1 - truth)) == 0
    nothing = torch.zeros(2, 3, requires_grad=True)
    value = dice_loss(torch.zeros(2, 3), nothing)
    value.backward()
    assert float(value.detach()) == 0
    assert nothing.grad is not None
    assert torch.equal(nothing.grad, torch.zeros(2, 3))


def test_euclidean_distance_of_class_vectors() -> None:
    logits = np.array([[2.0, 0.0, -1.0, 0.5], [0.0, 0.0, 0.0, 0.0]])
    truth = np.array([1, 3])
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.sqrt(((np.eye(4)[truth] - probability) ** 2).sum(axis=1)).mean()
    got = class_loss(torch.from_numpy(truth), torch.from_numpy(logits))
    assert float(got) == pytest.approx(expected, rel=1e-12)
    entropy = class_loss(torch.from_numpy(truth), torch.from_numpy(logits), kind="cross_entropy")
    assert float(entropy) == pytest.approx(-np.log(probability[[0, 1], truth]).mean(), rel=1e-12)


def test_a_perfect_class_has_a_finite_gradient() -> None:
    logits = torch.tensor([[200.0, 0, 0, 0]], requires_grad=True)
    class_loss(torch.tensor([0]), logits).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_parts_are_weighted_and_added() -> None:
    truth, predicted = pair()
    classes, logits = torch.tensor([0, 2, 3]), torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).double()
    parts = tile_loss(truth, predicted, classes, logits, weights=Weights(2.0, 0.5, "cross_entropy"))
    assert float(parts.dice) == pytest.approx(float(1 - soft_dice(truth, predicted)))
    assert float(parts.total) == pytest.approx(2 * float(parts.dice) + 0.5 * float(parts.category))


def test_unknown_losses_are_refused() -> None:
    for wrong in ({"kind": "hinge"}, {"dice": -1.0}):
        with pytest.raises(ConfigError, match="euclidean, cross_entropy"):
            Weights(**wrong)  # type: ignore[arg-type]  # wrong on purpose
