"""Classical restoration: it restores, it fits together, and a delta changes nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from wsipipe import deblur
from wsipipe.deblur import classical
from wsipipe.errors import ConfigError
from wsipipe.stage import RGB, chain


def picture(side: int, seed: int = 0) -> np.ndarray:
    """Coloured blobs with crisp edges."""
    rng = np.random.default_rng(seed)
    fields = cv2.GaussianBlur(rng.normal(0, 1, (side, side, 3)), (0, 0), 3)
    return np.where(fields > 0, 200, 90).astype(np.uint8) + rng.integers(0, 9, (side, side, 3), dtype=np.uint8)


def degraded(rgb: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return cv2.filter2D(rgb, -1, spread, borderType=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(("shape", "sigma_px"), [("gaussian", 0.6), ("gaussian", 2.0), ("disk", 1.0), ("disk", 2.5)])
def test_point_spread_has_the_width_that_is_asked(shape: str, sigma_px: float) -> None:
    spread = classical.point_spread(sigma_px, shape=shape)
    assert spread.sum() == pytest.approx(1)
    assert np.array_equal(spread, spread.T)
    assert np.array_equal(spread, spread[::-1])
    offsets = np.arange(len(spread)) - len(spread) // 2
    assert np.sqrt((spread.sum(axis=0) * offsets**2).sum()) == pytest.approx(sigma_px, rel=0.15)


@pytest.mark.parametrize("method", ["wiener", "richardson_lucy"])
@pytest.mark.parametrize(("shape", "sigma_px"), [("gaussian", 1.0), ("gaussian", 1.6), ("disk", 1.2)])
def test_restores_a_known_blur(method: str, shape: str, sigma_px: float) -> None:
    sharp = picture(128)
    blurred = degraded(sharp, classical.point_spread(sigma_px, shape=shape))
    found = deblur.restore(method=method, sigma_px=sigma_px, shape=shape).fn(rgb=blurred[None])["rgb"][0]
    inner = (slice(16, -16), slice(16, -16))
    before, after = (peak_signal_noise_ratio(sharp[inner], rgb[inner]) for rgb in (blurred, found))
    assert after > before + 1.0  # decibels
    assert found.dtype == np.uint8


@pytest.mark.parametrize("method", ["wiener", "richardson_lucy"])
def test_a_flat_tile_stays_flat(method: str) -> None:
    flat = np.full((1, 64, 64, 3), (201, 120, 77), np.uint8)
    found = deblur.restore(method=method, iterations=30).fn(rgb=flat)["rgb"]
    inner = found[:, 20:-20, 20:-20]  # the iteration takes what is beyond the padding for black
    assert np.abs(inner.astype(int) - flat[:, 20:-20, 20:-20]).max() <= 1


def test_a_delta_changes_nothing() -> None:
    rgb, delta = picture(48), np.zeros((3, 3))
    delta[1, 1] = 1
    assert np.abs(classical.richardson_lucy(rgb, delta, iterations=3).astype(int) - rgb).max() <= 1
    assert np.abs(classical.wiener(rgb, delta, balance=1e-6).astype(int) - rgb).max() <= 1


@pytest.mark.parametrize(
    "options",
    [
        {"method": "wiener", "sigma_px": 1.0},
        {"method": "wiener", "sigma_px": 1.5, "balance": 0.001},
        {"method": "wiener", "sigma_px": 1.5, "shape": "disk"},
        {"method": "richardson_lucy", "sigma_px": 1.0, "iterations": 8},
        {"method": "richardson_lucy", "sigma_px": 1.0, "iterations": 25},
        {"method": "richardson_lucy", "sigma_px": 1.5, "iterations": 6, "shape": "disk"},
    ],
)
def test_tiles_with_their_halo_equal_the_whole(options: dict[str, object]) -> None:
    """Each tile restored with its halo, trimmed: within a grey level of the whole, and the same alone as in a batch."""
    stage, tile = deblur.restore(**options, trim=True), 48
    halo = stage.halo
    whole = degraded(picture(2 * tile + 2 * halo), classical.point_spread(float(options["sigma_px"])))  # type: ignore[arg-type]
    expected = stage.fn(rgb=whole[None])["rgb"][0]
    assert expected.shape == (2 * tile, 2 * tile, 3)
    side = tile + 2 * halo
    batch = np.stack([whole[y : y + side, x : x + side] for y in (0, tile) for x in (0, tile)])
    found = stage.fn(rgb=batch)["rgb"]
    joined = np.vstack([np.hstack(found[:2]), np.hstack(found[2:])])
    assert np.abs(joined.astype(int) - expected).max() <= 1
    assert np.array_equal(stage.fn(rgb=batch[2:3])["rgb"][0], found[2])


def test_halo_stays_in_the_array_unless_trimmed() -> None:
    rgb = picture(96)[None]
    kept, trimmed = deblur.restore(method="wiener"), deblur.restore(method="wiener", trim=True)
    assert kept.fn(rgb=rgb)["rgb"].shape == rgb.shape
    inner = slice(trimmed.halo, -trimmed.halo)
    assert np.array_equal(trimmed.fn(rgb=rgb)["rgb"], kept.fn(rgb=rgb)["rgb"][:, inner, inner])
    assert kept.spec() != trimmed.spec()


def test_none_changes_nothing() -> None:
    rgb, stage = picture(32)[None], deblur.restore()
    assert stage.halo == 0
    assert stage.fn(rgb=rgb)["rgb"] is rgb
    assert stage.spec() == deblur.restore(sigma_px=3.0).spec()


def test_restoring_raises_the_focus(shared_data: Path) -> None:
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(str(shared_data / "slides" / "cmu-1-small-region.svs")) as slide:
        rgb = np.array(slide.read_region((800, 1200), 0, (256, 256)).convert("RGB"))
    blurred = cv2.GaussianBlur(rgb, (0, 0), 1.5)[None]
    measure = deblur.focus()
    before = float(measure.fn(rgb=blurred)["focus"][0])
    for method in ("wiener", "richardson_lucy"):
        restored = deblur.restore(method=method, sigma_px=1.5).fn(rgb=blurred)["rgb"]
        assert float(measure.fn(rgb=restored)["focus"][0]) > 1.2 * before


def test_focus_is_one_number_a_tile_whatever_its_batch() -> None:
    tiles = np.stack([picture(64, seed) for seed in range(4)] + [np.full((64, 64, 3), 246, np.uint8)])
    stage = deblur.focus()
    together = stage.fn(rgb=tiles)["focus"]
    alone = np.concatenate([stage.fn(rgb=tile[None])["focus"] for tile in tiles])
    assert np.array_equal(together, alone, equal_nan=True)
    assert together.dtype == np.float32
    assert np.isnan(together[4])
    assert stage.fn(rgb=tiles[:0])["focus"].shape == (0,)


def test_stages_chain_and_travel() -> None:
    joined = chain([deblur.focus(), deblur.restore(method="richardson_lucy", sigma_px=1.0, iterations=4)], [RGB])
    assert joined.halo == 11
    again = pickle.loads(pickle.dumps(joined.stages[1]))
    assert again.spec() == joined.stages[1].spec()
    assert again.halo == 11


def test_wrong_settings() -> None:
    for wrong in ({"method": "magic"}, {"shape": "star"}, {"sigma_px": 0.0}, {"iterations": 0}, {"balance": 0.0},
                  {"sigma_px": float("nan")}):  # fmt: skip
        with pytest.raises(ConfigError, match="correct them"):
            deblur.restore(**wrong)
    with pytest.raises(ConfigError, match="near_px"):
        deblur.focus(near_px=5, far_px=5)
