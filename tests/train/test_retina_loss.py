"""The four losses against loops and scikit-image, and which parts each of them teaches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from wsipipe.errors import ConfigError
from wsipipe.models.dual_branch import DualBranch
from wsipipe.models.retina_settings import DUAL_BRANCH_PRESETS
from wsipipe.train.retina_loss import (
    CONSTANTS,
    Truth,
    Weights,
    bce_loss,
    dual_loss,
    mask_loss,
    rec_loss,
    separation_loss,
    ssim,
    ssim_loss,
)

TINY = DUAL_BRANCH_PRESETS["tiny"]


def batch(seed: int = 0) -> tuple[torch.Tensor, Truth]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, 64, 64, generator=generator)
    label = (torch.rand(2, 3, 64, 64, generator=generator) > 0.7).float()
    counts = (torch.rand(2, 3, 64, 64, generator=generator) > 0.2).float()
    return x, Truth(label, counts, torch.rand(2, 3, 64, 64, generator=generator))


def gradients(weights: Weights) -> dict[str, bool]:
    """Whether any parameter of each part gets a gradient that is not 0."""
    torch.manual_seed(1)
    network = DualBranch(TINY).train()
    x, truth = batch()
    dual_loss(network, x, truth, weights)["loss"].backward()
    parts = {"E": network.encoder, "D1": network.segmentation, "D2": network.enhancement}
    return {
        name: any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())
        for name, part in parts.items()
    }


def test_cross_entropy_is_the_weighted_sum_over_channels_of_what_counts():
    x, truth = batch()
    mu = (0.3, 0.3, 0.4)
    wanted = 0.0
    for channel in range(3):
        p = torch.sigmoid(x[:, channel]).double()
        y, w = truth.label[:, channel].double(), truth.counts[:, channel].double()
        each = -(y * p.log() + (1 - y) * (1 - p).log())
        wanted += mu[channel] * float((each * w).sum() / w.sum())
    assert float(bce_loss(x, truth.label, truth.counts)) == pytest.approx(wanted, rel=1e-5)
    left_out = truth.counts.clone()
    left_out[:, :2] = 0
    only = float(bce_loss(x, truth.label, left_out))
    assert only == pytest.approx(0.4 * float(bce_loss(x, truth.label, truth.counts, mu=(0, 0, 1))), rel=1e-5)


def test_rec_is_the_mean_absolute_difference():
    a, b = torch.rand(2, 3, 5, 7), torch.rand(2, 3, 5, 7)
    assert float(rec_loss(a, b)) == pytest.approx(float(np.abs(a.numpy() - b.numpy()).mean()), rel=1e-6)


@pytest.mark.parametrize("constants", CONSTANTS)
def test_global_similarity_is_the_printed_formula(constants):
    a, b = torch.rand(2, 3, 9, 8, dtype=torch.float64), torch.rand(2, 3, 9, 8, dtype=torch.float64)
    c1, c2 = CONSTANTS[constants]
    wanted = []
    for one, other in zip((a * 255).numpy().reshape(6, -1), (b * 255).numpy().reshape(6, -1), strict=True):
        both = ((one - one.mean()) * (other - other.mean())).mean()
        over = (one.mean() ** 2 + other.mean() ** 2 + c1) * (one.var() + other.var() + c2)
        wanted.append((2 * one.mean() * other.mean() + c1) * (2 * both + c2) / over)
    assert float(ssim(a, b, constants=constants)) == pytest.approx(np.mean(wanted), rel=1e-4)
    assert float(ssim_loss(a, a, constants=constants)) == pytest.approx(-1, rel=1e-5)


def test_constants_are_as_printed_and_as_usual():
    assert CONSTANTS["printed"] == pytest.approx((650.25, 1950.75))
    assert CONSTANTS["usual"] == pytest.approx((6.5025, 58.5225))


def test_windowed_similarity_is_scikit_image_s():
    rng = np.random.default_rng(0)
    a, b = rng.random((24, 20)), rng.random((24, 20))
    _, full = structural_similarity(a, b, win_size=7, data_range=1, use_sample_covariance=False, full=True)
    ours = ssim(*(torch.from_numpy(one).expand(1, 3, -1, -1) for one in (a, b)), constants="usual", window=7)
    assert float(ours) == pytest.approx(full[3:-3, 3:-3].mean(), rel=1e-3)


def test_mask_loss_is_the_mean_over_true_vessel_pixels():
    said, label = torch.rand(2, 1, 6, 6), (torch.rand(2, 1, 6, 6) > 0.6).float()
    restored, clean = torch.rand(2, 3, 6, 6), torch.rand(2, 3, 6, 6)
    inside = label[:, 0] > 0
    away = (said * restored - label * clean).abs().permute(0, 2, 3, 1)[inside]
    assert float(mask_loss(said, label, restored, clean)) == pytest.approx(float(away.mean()), rel=1e-5)
    assert float(mask_loss(said, torch.zeros_like(label), restored, clean)) == 0


@pytest.mark.parametrize(
    ("weights", "taught"),
    [
        (Weights(rec=0, ssim=0, mask=0), {"E": True, "D1": True, "D2": False}),
        (Weights(segment=0, rec=1, ssim=0, mask=0), {"E": True, "D1": False, "D2": True}),
        (Weights(segment=0, rec=0, ssim=1, mask=0), {"E": True, "D1": False, "D2": True}),
        (Weights(), {"E": True, "D1": True, "D2": True}),
    ],
)
def test_each_loss_teaches_the_parts_that_the_source_names(weights, taught):
    assert gradients(weights) == taught


def mask_gradients(mask_by: str, *, through: bool) -> tuple[DualBranch, torch.Tensor]:
    """Gradients of the mask loss alone; `through` cuts D2's way, so only D1's copy can reach the encoder."""
    torch.manual_seed(1)
    network = DualBranch(TINY).train()
    x, truth = batch()
    if through:
        network.enhancement.register_forward_hook(lambda _m, _i, made: made.detach())
    parts = dual_loss(network, x, truth, Weights(rec=0, ssim=0, mask=1, mask_by=mask_by))
    network.zero_grad()
    if parts["mask"].requires_grad:
        parts["mask"].backward()
    return network, parts["mask"]


@pytest.mark.parametrize("mask_by", ["frozen", "detached"])
def test_the_mask_loss_never_teaches_d1_and_reaches_the_encoder(mask_by):
    network, _ = mask_gradients(mask_by, through=False)
    assert all(p.grad is None for p in network.segmentation.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.encoder.parameters())


def test_only_the_frozen_copy_carries_the_mask_loss_to_the_encoder():
    frozen, first = mask_gradients("frozen", through=True)
    detached, second = mask_gradients("detached", through=True)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in frozen.encoder.parameters())
    assert all(p.grad is None for p in detached.encoder.parameters())
    torch.testing.assert_close(first.detach(), second.detach())


def test_the_frozen_copy_leaves_the_running_statistics_alone():
    torch.manual_seed(1)
    one, other = DualBranch(TINY).train(), DualBranch(TINY).train()
    other.load_state_dict(one.state_dict())
    x, truth = batch()
    dual_loss(one, x, truth, Weights(mask_by="frozen"))
    dual_loss(other, x, truth, Weights(mask_by="detached"))
    for name, value in one.segmentation.state_dict().items():
        assert torch.equal(value, other.segmentation.state_dict()[name]), name


def test_the_total_is_the_weighted_sum_of_its_parts():
    torch.manual_seed(1)
    network, weights = DualBranch(replace_refine()).train(), Weights()
    x, truth = batch()
    parts = dual_loss(network, x, truth, weights)
    total = parts["bce"] + 0.2 * parts["rec"] + 0.4 * parts["ssim"] + 0.4 * parts["mask"]
    assert float(parts["loss"].detach()) == pytest.approx(float(total.detach()), rel=1e-6)


def replace_refine():
    return TINY.model_copy(update={"refine": ()})


def test_impossible_weights_are_refused():
    for wrong in ({"constants": "some"}, {"mask_by": "thawed"}, {"rec": -1.0}):
        with pytest.raises(ConfigError, match="correct them"):
            Weights(**wrong)


def test_separation_counts_vessels_only_and_is_a_cross_entropy() -> None:
    logits, label = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    label[0, 0, 0, 0] = label[0, 1, 0, 1] = 1
    logits[0, :2, 1] = torch.tensor([9.0, -9.0])[:, None]  # no vessel: of no account
    logits[0, 0, 0, 0] = 2.0
    counts = torch.ones_like(label)
    expected = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    assert float(separation_loss(logits, label, counts)) == pytest.approx(expected, rel=1e-6)
    assert float(separation_loss(logits, torch.zeros_like(label), counts)) == 0
