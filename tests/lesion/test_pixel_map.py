"""Pixel logits to probabilities on a CPU: torch's own operations are the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsipipe.lesion import pixel_map
from wsipipe.models.card import Card
from wsipipe.models.vnet import normalise, unshuffled

SHAPE = (96, 64)


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 4, (3, 4, 24, 16)).astype(np.float32)


@pytest.mark.parametrize("target", range(5))
def test_probabilities_are_torchs(logits: np.ndarray, target: int) -> None:
    larger = F.interpolate(torch.from_numpy(logits), scale_factor=4.0, mode="bilinear", align_corners=False)
    pixels = larger.softmax(dim=1)
    asked = pixels[:, target - 1] if target else 1 - pixels[:, 0]
    assert np.abs(pixel_map.positive(logits, target, SHAPE) - asked.numpy()).max() < 2e-6


def test_logits_far_apart_overflow_to_none_and_all() -> None:
    far = np.zeros((1, 4, 2, 2), np.float32)
    far[0, 1] = 500
    assert (pixel_map.positive(far, 0, (8, 8)) == 1).all()
    assert (pixel_map.positive(far, 1, (8, 8)) == 0).all()


@pytest.mark.parametrize("inside", [(96, 64), (50, 7), (1, 1), (0, 0)])
def test_sums_and_cells_count_what_is_inside(inside: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).random(SHAPE, dtype=np.float32)
    part = pixels[: inside[0], : inside[1]].astype(np.float64)
    total, count, picture = pixel_map.measure(pixels.copy(), np.array(inside), 4)
    assert total == pytest.approx(part.sum(), rel=1e-6)
    assert count == part.size
    for y, x in ((0, 0), (12, 1), (23, 15)):
        cell = part[4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        assert abs(picture[y, x] - (255 * cell.mean() if cell.size else 0)) <= 0.5 + 1e-3


def test_bytes_are_moved_before_floats_to_the_same_bits() -> None:
    rgb = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (2, 64, 32, 3)).astype(np.uint8))
    card = Card(
        name="c", architecture={"name": "vnet", "config": {}}, mpp=0.5, mean=(0.7, 0.5, 0.6), std=(0.2, 0.1, 0.3)
    )
    whole = F.pixel_unshuffle(normalise(rgb, card), 4)
    assert torch.equal(unshuffled(rgb, card, 4), whole)
