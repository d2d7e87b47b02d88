"""The degradation model: seeded, recorded, inside the field only; equal on the device; the harder regime apart."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from wsipipe.errors import ConfigError
from wsipipe.train.retina_degrade import degrade
from wsipipe.vessel.degrade import BLUR_SIGMA, HARDER, KINDS, SEEDS, SPOT_COUNT, apply, blur_kernel, degraded, draw


@pytest.fixture(scope="module")
def picture():
    y, x = np.mgrid[:96, :96]
    field = np.hypot(y - 48, x - 48) < 44
    rng = np.random.default_rng(0)
    made = np.clip(np.stack([140 + 0.5 * y, 60 + 0.3 * x, 30 + 0 * x], axis=2) + rng.normal(0, 12, (96, 96, 3)), 0, 255)
    return np.where(field[..., None], made, 5).astype(np.uint8), field


def test_seven_kinds_are_the_combinations_of_three():
    assert len(KINDS) == len({frozenset(kind.split("+")) for kind in KINDS}) == 7
    for kind in KINDS:
        done = draw(kind, np.random.default_rng(0))
        parts = {"light": done.light is not None, "spots": bool(done.spots), "blur": done.blur is not None}
        assert {name for name, there in parts.items() if there} == set(kind.split("+"))


@pytest.mark.parametrize("kind", [*KINDS, *HARDER])
def test_same_seed_same_bytes_and_another_seed_another_picture(picture, kind):
    rgb, field = picture
    one, record = degraded(rgb, field, name="21_training", kind=kind, seed=SEEDS[0])
    again, _ = degraded(rgb, field, name="21_training", kind=kind, seed=SEEDS[0])
    others = [degraded(rgb, field, name=f"{index}", kind=kind, seed=SEEDS[0])[0] for index in range(3)]
    assert np.array_equal(one, again)
    assert any(not np.array_equal(one, other) for other in others)  # two blurs may round to one kernel
    assert np.array_equal(one[~field], rgb[~field])
    assert not np.array_equal(one, rgb)
    assert json.loads(json.dumps(record))["seed"] == SEEDS[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_batched_version_equals_the_one_that_evaluation_uses(picture, kind):
    rgb, field = picture
    done = [draw(kind, np.random.default_rng(seed)) for seed in range(3)]
    clean = torch.from_numpy(rgb).permute(2, 0, 1).float().expand(4, -1, -1, -1) / 255
    inside = torch.from_numpy(field).expand(4, 1, -1, -1)
    made = degrade(clean, inside, [*done, None])
    for one, how in zip(made, done, strict=False):
        wanted = apply(rgb, field, how).astype(np.float64)
        assert np.abs(one.permute(1, 2, 0).numpy() * 255 - wanted).max() < 0.6
    torch.testing.assert_close(made[3], clean[3], atol=1e-6, rtol=0)


def test_draws_stay_within_the_model():
    for seed in range(50):
        done = draw("blur+spots+light", np.random.default_rng(seed))
        sigma, side = done.blur
        assert BLUR_SIGMA[0] <= sigma <= BLUR_SIGMA[1]
        assert side % 2 == 1
        assert 3 <= side <= 7
        assert SPOT_COUNT[0] <= len(done.spots) <= SPOT_COUNT[1]
        assert all(0.01 <= spot.radius <= 0.05 for spot in done.spots)
        assert 0.7 <= done.light.brightness <= 1.2
        assert 0.375 <= done.light.halo.radius <= 0.5
        assert 0.2 <= done.light.hole.radius <= 0.35


def test_the_blur_s_kernel_grows_with_the_picture_and_keeps_light():
    small, large = blur_kernel((10.0, 5), 512), blur_kernel((10.0, 5), 1536)
    assert (len(small), len(large)) == (5, 15)
    assert small.sum() == pytest.approx(1)
    assert small.max() / small.min() < 1.05  # nearly a box


def test_unknown_kinds_are_refused():
    with pytest.raises(ConfigError, match="a degradation is one of"):
        draw("fog", np.random.default_rng(0))
