from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsipipe.train import augment
from wsipipe.train.config import AugmentSection

STILL = AugmentSection(
    flips=False, stretch=0, turn_deg=0, brightness=0, contrast=0, saturation=0, hue_deg=0, stain=0, blur_px=0, noise=0
)


def batch(n: int = 3, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    rgb = rng.integers(20, 236, (n, side, side, 3)).astype(np.uint8)
    mask = np.zeros((n, side, side), np.uint8)
    mask[:, 8:20, 4:28] = 2
    return torch.from_numpy(rgb), torch.from_numpy(mask)


def test_switched_off_it_changes_nothing() -> None:
    rgb, mask = batch()
    seen, truth = augment.apply(rgb, mask, augment.draw(np.random.default_rng(0), 3, STILL))
    np.testing.assert_allclose(seen.permute(0, 2, 3, 1).numpy() * 255, rgb.numpy(), atol=2e-4)
    np.testing.assert_array_equal(truth.numpy(), mask.numpy())


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_equal_seeds_give_equal_batches_in_range(seed: int) -> None:
    rgb, mask = batch()
    one, two = (
        augment.apply(rgb, mask, augment.draw(np.random.default_rng(seed), 3, AugmentSection())) for _ in range(2)
    )
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert 0 <= float(one[0].min()) <= float(one[0].max()) <= 1
    assert set(one[1].unique().tolist()) <= {0, 2}


def test_picture_and_mask_move_together() -> None:
    mask = batch()[1]
    rgb = (mask[..., None].float() * 100).to(torch.uint8).expand(-1, -1, -1, 3).contiguous()
    how = STILL.model_copy(update={"stretch": 0.3, "turn_deg": 30.0})
    seen, truth = augment.apply(rgb, mask, augment.draw(np.random.default_rng(3), 3, how))
    agree = ((seen[:, 0] > 0.4) == (truth == 2)).float().mean()
    assert not torch.equal(truth, mask.long())
    assert float(agree) > 0.97


def test_stains_are_scaled_in_optical_density() -> None:
    how = STILL.model_copy(update={"stain": 0.5})
    chances = augment.draw(np.random.default_rng(1), 1, how)
    scale = np.diag(augment.HE @ chances.density[0] @ np.linalg.inv(augment.HE))
    assert (np.abs(scale[:2] - 1) > 0.01).all()
    od = np.array([0.3, 0.8]) @ augment.HE[:2]
    rgb = torch.from_numpy(np.full((1, 4, 4, 3), 255 * np.exp(-od)).round().astype(np.uint8))
    seen, _ = augment.apply(rgb, torch.zeros(1, 4, 4, dtype=torch.uint8), chances)
    found = -np.log(seen[0, :, 0, 0].numpy()) @ np.linalg.inv(augment.HE)
    assert found[2] == pytest.approx(0, abs=0.02)
    assert found[0] / 0.3 == pytest.approx(float(scale[0]), abs=0.03)
    assert found[1] / 0.8 == pytest.approx(float(scale[1]), abs=0.03)


def test_grey_has_no_hue_and_no_saturation() -> None:
    rgb = torch.full((2, 4, 4, 3), 128, dtype=torch.uint8)
    how = STILL.model_copy(update={"saturation": 0.9, "hue_deg": 90.0})
    seen, _ = augment.apply(
        rgb, torch.zeros(2, 4, 4, dtype=torch.uint8), augment.draw(np.random.default_rng(0), 2, how)
    )
    np.testing.assert_allclose(seen.numpy(), 128 / 255, atol=2e-3)


def test_blur_keeps_the_mean_and_lowers_the_contrast() -> None:
    rgb, mask = batch(8)
    how = STILL.model_copy(update={"blur_px": 2.0})
    chances = augment.draw(np.random.default_rng(0), 8, how)
    seen, _ = augment.apply(rgb, mask, chances)
    before = rgb.permute(0, 3, 1, 2).float() / 255
    for row, sigma in enumerate(chances.sigma_px):
        blurred = float(seen[row].std()) < 0.9 * float(before[row].std())
        assert blurred == (sigma > 0.5) or 0.1 <= sigma <= 0.5
        assert float(seen[row].mean()) == pytest.approx(float(before[row].mean()), abs=0.01)


def test_the_eight_turns_are_all_drawn() -> None:
    rgb = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, axis=2)
    seen = {augment.turn(rgb, rgb[..., 0], np.random.default_rng(seed))[0].tobytes() for seed in range(100)}
    assert len(seen) == 8
    one, two = augment.turn(rgb, rgb[..., 0], np.random.default_rng(5))
    np.testing.assert_array_equal(one[..., 0], two)


def test_crops_are_squares_of_the_tile() -> None:
    rgb = np.arange(64, dtype=np.uint8).reshape(8, 8, 1).repeat(3, axis=2)
    one, two = augment.cut(rgb, rgb[..., 0], 4, np.random.default_rng(0))
    assert one.shape == (4, 4, 3)
    np.testing.assert_array_equal(one[..., 0], two)
    assert augment.cut(rgb, rgb[..., 0], 0, np.random.default_rng(0))[0].shape == (8, 8, 3)
