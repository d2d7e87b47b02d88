"""The route: sharp tiles pass byte for byte, blurs are estimated, the guard falls back, tiles stand alone."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
import torch

from tests.contract.stage_contract import StageContract
from wsipipe import deblur
from wsipipe.deblur.blur import Blur
from wsipipe.deblur.degrade import Camera, degrade
from wsipipe.deblur.focus_limit import fit_limit
from wsipipe.deblur.guard import disagreement, guarded
from wsipipe.deblur.network import HALO, Estimated, deblurring
from wsipipe.errors import ConfigError, WeightsError
from wsipipe.models import blur_kernel, blur_spectrum
from wsipipe.models.deblur_config import DEBLUR_PRESETS, DeblurConfig, SubModel
from wsipipe.models.deblurring import DeblurNet, Estimate, padded, settled
from wsipipe.stage import RGB, Stage, chain

TINY = "untrained:0:tiny"


class TestSharpenContract(StageContract):
    side = 96

    def stage(self) -> Stage:
        return deblur.sharpen(weights=TINY, dtype="float32")


def texture(side: int = 192, seed: int = 0) -> np.ndarray:
    """Detail at every scale, as tissue has: noise whose amplitude falls with frequency."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :]
    shape = 1 / np.maximum(np.hypot(fy, fx), 1 / side)
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) * shape).real
    grey = 150 + 40 * field / field.std()
    return np.clip(np.stack([grey + 20, grey - 20, grey], axis=-1), 0, 255).astype(np.uint8)


def as_tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("truth", [Blur(9.0, 37.0), Blur(15.0, 120.0), Blur(0, 0, 3.0), Blur(0, 0, 5.0)])
def test_levels_and_direction_are_read_from_the_spectrum(truth: Blur) -> None:
    seen = degrade(texture(), truth.kernel(), camera=Camera(noise=1.0))
    fitted = blur_spectrum.fit(as_tensor(seen))
    kind = ("sharp", "motion", "defocus", "both").index(truth.kind)
    length, radius = float(fitted.blurs.length[kind]), float(fitted.blurs.radius[kind])
    assert length == pytest.approx(truth.length_px, rel=0.12)
    assert radius == pytest.approx(truth.radius_px, rel=0.12)
    assert fitted.loss[kind] < 0.6 * fitted.loss[0]
    if truth.length_px:
        found = float(torch.rad2deg(fitted.blurs.direction[kind])) % 180
        assert abs((found - truth.direction_deg + 90) % 180 - 90) < 6


def test_a_sharp_tile_passes_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    route = deblurring(weights=TINY)
    monkeypatch.setattr(
        type(route), "estimate", lambda self, rgb: Estimated((0.9, 0.1, 0.0, 0.0), (Blur(9), Blur(9), Blur(9)))
    )
    rgb = texture(96)
    done, _ = route.restore(rgb)
    assert done.rgb is rgb
    assert done.fell_back == 0
    assert not done.error.any()


def test_probability_of_a_blur_decides() -> None:
    said = Estimated((0.4, 0.1, 0.5, 0.0), (Blur(9.0), Blur(0, 0, 3.0), Blur(5.0, 0, 3.0)))
    assert said.blur(0.5) == Blur(0, 0, 3.0)
    assert said.blur(0.7) == Blur()


def test_a_tile_is_the_same_alone_and_in_a_batch() -> None:
    stage = deblur.sharpen(weights=TINY, guard=False, dtype="float32")
    tiles = np.stack([degrade(texture(128, seed), Blur(9.0, 20.0).kernel()) for seed in range(2)])
    together, alone = stage.fn(rgb=tiles), stage.fn(rgb=tiles[1:])
    for name, values in alone.items():
        assert np.array_equal(together[name][1:], values, equal_nan=True), name
    assert stage.fn(rgb=tiles[:0])["rgb"].shape == (0, 128, 128, 3)


def test_the_stage_declares_chains_and_travels() -> None:
    stage = deblur.sharpen(weights=TINY, trim=True)
    joined = chain([deblur.focus(), stage], [RGB])
    assert joined.halo == HALO
    found = joined(rgb=texture(128)[None])
    assert found["rgb"].shape == (1, 128 - 2 * HALO, 128 - 2 * HALO, 3)
    assert {spec.name for spec in stage.outputs} <= found.keys()
    assert pickle.loads(pickle.dumps(stage)).spec() == stage.spec()


def test_a_given_blur_is_taken() -> None:
    route = deblurring(weights=TINY, guard=False)
    seen = degrade(texture(130), Blur(9.0, 20.0).kernel())[:99]
    done, said = route.restore(seen, Blur(9.0, 20.0))
    assert said is None
    assert done.rgb.shape == seen.shape
    assert done.error.shape == seen.shape[:2]
    assert (done.error > 0).all()


def test_the_guard_finds_a_nucleus_that_is_not_there() -> None:
    blur, sharp = Blur(0, 0, 2.5), texture(256)
    seen = degrade(sharp, blur.kernel(), camera=Camera(noise=1.0))
    honest = guarded(seen, sharp, blur, limit=6.0)
    assert honest.fell_back == 0
    assert honest.rgb is sharp
    invented = sharp.copy()
    cv2.circle(invented, (100, 140), 7, (90, 60, 120), -1)
    kept = guarded(seen, invented, blur, limit=6.0)
    assert 0 < kept.fell_back < 0.5
    assert np.array_equal(kept.rgb[132:148, 92:108], seen[132:148, 92:108])
    assert np.array_equal(kept.rgb[:60, 180:], invented[:60, 180:])
    assert disagreement(seen, invented, blur).argmax() // 256 == pytest.approx(140, abs=8)


def test_the_guard_gives_up_where_most_is_wrong() -> None:
    sharp = texture(128)
    kept = guarded(degrade(sharp, Blur(0, 0, 5.0).kernel()), 255 - sharp, Blur(0, 0, 5.0), limit=4.0)
    assert kept.fell_back == 1.0


def test_sub_models_and_their_routing() -> None:
    config = DeblurConfig(
        submodels=(
            SubModel(kinds=("motion",), extents_px=(0, 8)), SubModel(kinds=("motion", "both")),
            SubModel(kinds=("defocus",), weight=2.0),
        )
    )  # fmt: skip
    assert [config.route("motion", 5.0), config.route("motion", 9.0), config.route("both", 6.0)] == [0, 1, 1]
    assert config.route("defocus", 40.0) == 2
    with pytest.raises(ValueError, match="none takes both"):
        DeblurConfig(submodels=(SubModel(kinds=("motion", "defocus")),))


def test_an_untrained_network_begins_as_the_filter() -> None:
    torch.manual_seed(0)
    net, seen = DeblurNet(DEBLUR_PRESETS["tiny"]).eval(), as_tensor(texture(96))
    blur = blur_spectrum.straight(torch.tensor([0.0]), torch.tensor([0.0]), torch.tensor([0.0]))
    with torch.inference_mode():
        restored = net.restore(seen, net.look(seen), blur, 0)
    assert float((restored.picture - seen).abs().mean()) < 0.05
    assert padded(torch.zeros(1, 3, 61, 75)).shape == (1, 3, 64, 80)


def test_focus_limit_from_pairs() -> None:
    found = fit_limit([0.3, 0.25, 0.4, float("nan")], [0.1, 0.2, 0.05])
    assert 0.2 < found.limit < 0.25
    assert (found.found, found.passed, found.sharp, found.blurred) == (1.0, 1.0, 3, 3)
    with pytest.raises(ConfigError, match="tissue"):
        fit_limit([float("nan")], [0.1])


def test_wrong_weights_and_options() -> None:
    with pytest.raises(WeightsError):
        deblur.sharpen(weights="nowhere")
    with pytest.raises(ConfigError):
        deblur.sharpen(weights=TINY, dtype="float8")
    with pytest.raises(WeightsError, match="planned"):
        deblur.sharpen(weights=TINY, sha256="0" * 64)


@pytest.mark.parametrize("turn_deg", [60.0, -60.0])
def test_a_curved_path_is_bent_the_right_way(turn_deg: float) -> None:
    truth = Blur(14.0, 40.0, 0.0, turn_deg)
    rng, sharp = np.random.default_rng(1), np.full((256, 256, 3), 200, np.uint8)
    for y, x in rng.integers(8, 248, (160, 2)):
        cv2.circle(sharp, (int(x), int(y)), int(rng.integers(2, 7)), tuple(rng.integers(40, 160, 3).tolist()), -1)
    seen = degrade(sharp, truth.kernel(), camera=Camera(noise=1.0))
    fitted = deblurring(weights=TINY).estimate(seen).blurs[0]
    assert abs(fitted.turn_deg - turn_deg) < 35
    assert fitted.length_px == pytest.approx(14.0, rel=0.15)


def test_half_a_turn_more_is_the_same_path_gone_backwards() -> None:
    from wsipipe.deblur.network import _blur

    one, other = _blur(9.0, 0.5, 0.0, 0.8), _blur(9.0, 0.5 - np.pi, 0.0, -0.8)
    assert one.direction_deg == pytest.approx(other.direction_deg)
    assert one.turn_deg == pytest.approx(other.turn_deg)
    assert np.allclose(one.kernel(), other.kernel(), atol=1e-9)


def test_slight_defocus_is_settled_between_the_fit_and_the_classifier() -> None:
    radii, lengths = torch.tensor([0.0, 1.5, 1.5, 3.0]), torch.tensor([5.0, 0.0, 5.0, 0.0])
    blurs = blur_kernel.straight(lengths, torch.zeros(4), radii)
    none = torch.zeros(4)
    said = Estimate(torch.zeros(4, 4), lengths, torch.full((4,), 1.2), torch.zeros(4, 2), torch.stack([none, none], 1))
    found = settled(blurs, said)
    assert found.radius.tolist() == pytest.approx([0.0, (1.5 * 1.2) ** 0.5, 1.5, 3.0])
    assert torch.equal(found.length, lengths)
