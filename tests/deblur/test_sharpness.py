"""The focus measure falls with blur, and minds neither stain, glass, shading nor noise."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from wsipipe.deblur.sharpness import MIN_FOCUS, sharpness


def tissue(seed: int = 0, side: int = 256) -> np.ndarray:
    """Nuclei with crisp edges on pink fibres."""
    rng = np.random.default_rng(seed)
    rough = [cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), sigma) for sigma in (3, 1)]
    nuclei, fibres = (field / field.std() for field in rough)
    od = np.where(nuclei[..., None] > 1, [0.8, 1.0, 0.45], [0.05, 0.4, 0.16]) + 0.05 * fibres[..., None] * [0.1, 1, 0.4]
    return np.clip(255 * np.exp(-od), 0, 255).astype(np.uint8)


def blurred(rgb: np.ndarray, sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(rgb, (0, 0), sigma_px) if sigma_px else rgb


SIGMAS = (0, 0.7, 1, 1.5, 2, 3, 4, 6)


def test_falls_with_every_step_of_blur() -> None:
    values = [sharpness(blurred(tissue(), sigma)) for sigma in SIGMAS]
    assert all(a > b for a, b in pairwise(values))
    assert 0 < values[-1] < 0.05
    assert 0.2 < values[0] < 1


def test_real_tiles_fall_with_blur_and_cross_the_limit(shared_data: Path) -> None:
    """Two slides at 0.5 um: sharp and at 1 px above the limit, at 3 px (1.5 um) below."""
    openslide = pytest.importorskip("openslide")
    for name, corners in (
        ("cmu-1-small-region", [(800, 1200), (700, 2000), (1000, 2400)]),
        ("tcga-cr-7395-01a-01-ts1", [(800, 1200), (2200, 1500)]),
    ):
        with openslide.OpenSlide(str(shared_data / "slides" / f"{name}.svs")) as slide:
            for corner in corners:
                rgb = np.array(slide.read_region(corner, 0, (512, 512)).convert("RGB"))
                values = [sharpness(blurred(rgb, sigma)) for sigma in SIGMAS]
                assert all(a > b for a, b in pairwise(values))
                assert values[0] > 2 * MIN_FOCUS
                assert values[SIGMAS.index(1)] > MIN_FOCUS > values[SIGMAS.index(3)]


def test_a_captured_pair_is_told_apart(shared_data: Path) -> None:
    """The same field in and out of focus: every quarter of one is sharper than every quarter of the other."""
    found = []
    for name in ("sample_in_focus", "sample_out_of_focus"):
        rgb = cv2.imread(str(shared_data / "fields" / f"{name}.png"))[..., ::-1].copy()
        quarters = [rgb[y : y + 512, x : x + 512] for y in (0, 512) for x in (0, 512)]
        found.append([sharpness(quarter) for quarter in quarters])
    assert min(found[0]) > 1.5 * max(found[1])
    assert min(found[0]) > MIN_FOCUS > max(found[1])


def test_strength_of_stain_does_not_matter() -> None:
    rgb = tissue()
    od = -np.log(np.maximum(rgb, 1) / 255)
    strong = np.floor(255 * np.exp(-1.6 * od) + 0.5).astype(np.uint8)
    assert sharpness(strong) == pytest.approx(sharpness(rgb), rel=0.05)


def test_glass_and_shading_do_not_matter() -> None:
    rgb = tissue()
    half = rgb.copy()
    half[:, :128] = 245
    assert sharpness(half) == pytest.approx(sharpness(rgb[:, 128:]), rel=0.02)
    shaded = (rgb * np.linspace(0.75, 1, 256)[:, None, None]).astype(np.uint8)
    assert sharpness(shaded) == pytest.approx(sharpness(rgb), rel=0.05)


def test_noise_does_not_pass_for_detail() -> None:
    """A blurred tile with camera noise of 3 grey levels stays below the limit; so does its JPEG."""
    rgb = blurred(tissue(side=512), 3)
    noisy = np.clip(rgb + np.random.default_rng(0).normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)
    packed = cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    assert max(sharpness(noisy), sharpness(packed)) < MIN_FOCUS


@pytest.mark.parametrize("value", [0, 128, 240, 255])
def test_nothing_to_be_sharp_is_nan(value: int) -> None:
    assert np.isnan(sharpness(np.full((128, 128, 3), value, np.uint8)))


def test_a_speck_on_glass_is_nan() -> None:
    rgb = np.full((256, 256, 3), 245, np.uint8)
    rgb[:20, :20] = tissue()[:20, :20]
    assert np.isnan(sharpness(rgb))


def test_equals_a_naive_loop() -> None:
    rgb = tissue(side=40)
    rgb[5:9, 10:30] = 250
    density = cv2.GaussianBlur(-np.log(np.maximum(rgb[..., 1], 1) / 255).astype(np.float32), (0, 0), 0.7)
    kept = rgb.min(axis=-1) <= 219
    mean = {}
    for step in (2, 12):
        squares = [
            (float(density[y, x]) - float(density[y + dy, x + dx])) ** 2
            for y in range(40) for x in range(40) for dy, dx in ((step, 0), (0, step))
            if y + dy < 40 and x + dx < 40 and kept[y, x] and kept[y + dy, x + dx]
        ]  # fmt: skip
        mean[step] = np.mean(squares)
    assert sharpness(rgb) == pytest.approx(mean[2] / mean[12], rel=1e-5)
