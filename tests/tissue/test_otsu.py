"""Otsu against scikit-image, and the verdicts on pictures with one class."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.filters import threshold_otsu

from wsipipe.tissue import otsu

GLASS, PINK, PALE, BLUE = (243, 242, 244), (225, 120, 170), (238, 212, 230), (110, 70, 150)


def picture(*parts: tuple[tuple[int, int, int], int], noise: float = 1.5, seed: int = 0) -> np.ndarray:
    """Columns of the given colours and widths, 64 high, with noise."""
    flat = np.concatenate([np.tile(np.array(colour, float), (64, width, 1)) for colour, width in parts], axis=1)
    return np.clip(flat + np.random.default_rng(seed).normal(0, noise, flat.shape), 0, 255).astype(np.uint8)


@given(hnp.arrays(np.int64, st.integers(2, 40), elements=st.integers(0, 500)))
@settings(max_examples=200, deadline=None)
def test_otsu_is_scikit_images(counts: np.ndarray) -> None:
    if (counts > 0).sum() < 2:
        counts = counts + 1
    level, eta = otsu.otsu(counts)
    values = np.repeat(np.arange(len(counts)), counts)
    lower = values <= level
    theirs = values <= int(threshold_otsu(hist=(counts, np.arange(len(counts)))))

    def between(low: np.ndarray) -> float:
        return float(low.mean() * (~low).mean() * (values[low].mean() - values[~low].mean()) ** 2)

    assert np.isclose(between(lower), between(theirs), rtol=1e-9)  # equal up to ties of the criterion
    assert np.isclose(eta, between(lower) / values.var(), rtol=1e-9)


def test_otsu_on_a_real_histogram_is_the_same_level(shared_data: Path) -> None:
    rgb = cv2.imread(str(shared_data / "stain" / "target-he.png"))[..., ::-1]
    counts = otsu.histogram(rgb)
    assert otsu.otsu(counts)[0] == threshold_otsu(hist=(counts, np.arange(256)))


def test_otsu_of_one_level() -> None:
    assert otsu.otsu(np.eye(256, dtype=np.int64)[7]) == (7, 0.0)


def test_colour_is_root_of_chroma() -> None:
    rgb = np.array([[255, 255, 255], [0, 0, 0], [90, 90, 90], [100, 84, 90], [255, 0, 10]], np.uint8)
    assert otsu.colour(rgb).tolist() == [0, 0, 0, 64, 255]
    naive = [int(np.floor(16 * np.sqrt(v) + 0.5)) for v in range(256)]
    ramp = np.stack([np.arange(256), np.zeros(256), np.zeros(256)], axis=-1).astype(np.uint8)
    assert otsu.colour(ramp).tolist() == naive


@pytest.mark.parametrize("tissue", [PINK, PALE, BLUE])
@pytest.mark.parametrize("width", [1, 20, 300, 580])
def test_glass_and_tissue_are_parted(tissue: tuple[int, int, int], width: int) -> None:
    rgb = picture((GLASS, 600 - width), (tissue, width))
    found = otsu.split(otsu.histogram(rgb))
    assert (found.bimodal, found.kind) == (True, "both")
    truth = np.arange(600) >= 600 - width
    assert np.mean((otsu.colour(rgb) > found.threshold) == truth) > 0.999


@pytest.mark.parametrize("parts", [[(PINK, 300), (BLUE, 300)], [(PALE, 300), (PINK, 200), (BLUE, 100)], [(PALE, 600)]])
def test_a_field_of_tissue_keeps_all(parts: list[tuple[tuple[int, int, int], int]]) -> None:
    found = otsu.split(otsu.histogram(picture(*parts, noise=4)))
    assert found == otsu.Split(otsu.KEEP_ALL, False, "tissue")


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.5])
def test_a_blank_slide_keeps_nothing(noise: float) -> None:
    found = otsu.split(otsu.histogram(picture((GLASS, 600), ((228, 226, 229), 200), noise=noise)))
    assert found == otsu.Split(otsu.KEEP_NONE, False, "glass")


def test_dust_is_not_tissue_but_a_small_biopsy_is() -> None:
    blank = picture((GLASS, 3000), noise=2.0)
    speck, biopsy = blank.copy(), blank.copy()
    speck[10:12, 10:15] = PINK
    biopsy[10:20, 10:20] = PALE
    assert otsu.split(otsu.histogram(speck)).kind == "glass"
    found = otsu.split(otsu.histogram(biopsy))
    assert found.kind == "both"
    assert otsu.tissue(biopsy, found.threshold)[12:18, 12:18].all()


def test_shading_of_glass_is_not_tissue() -> None:
    """Vignetting to 60 % of the brightness, and the grey steps of a stitched scan."""
    rgb = picture((GLASS, 500), (PALE, 100)).astype(float)
    shade = np.linspace(0.6, 1, 600)[None, :, None]
    shaded = (rgb * shade).astype(np.uint8)
    found = otsu.split(otsu.histogram(shaded))
    truth = np.arange(600) >= 500
    assert np.mean((otsu.colour(shaded) > found.threshold) == truth) > 0.995


@pytest.mark.parametrize("tint", [(1, 0.96, 0.9), (1, 0.94, 0.88), (0.93, 0.97, 1)])
def test_tinted_glass_is_glass(tint: tuple[float, float, float]) -> None:
    """Glass of chroma 17 to 29, as a warm or cold lamp colours it."""
    rgb = (picture((GLASS, 500), (PINK, 60), (BLUE, 40)) * np.array(tint)).astype(np.uint8)
    found = otsu.split(otsu.histogram(rgb))
    assert found.kind == "both"
    assert np.mean((otsu.colour(rgb) > found.threshold) == (np.arange(600) >= 500)) > 0.99


def test_black_borders_and_ink_are_not_tissue() -> None:
    black, pen, cyan = (4, 0, 3), (20, 60, 40), (60, 120, 170)
    rgb = picture((black, 100), (pen, 50), (cyan, 50), (PINK, 200))
    found = otsu.split(otsu.histogram(rgb))
    assert found.kind == "tissue"
    share = otsu.tissue(rgb, found.threshold).mean(axis=0)
    assert share[:199].max() == 0
    assert share[201:].min() == 1
    assert otsu.split(otsu.histogram(picture((black, 100)))) == otsu.Split(otsu.KEEP_NONE, False, "glass")


def test_real_pictures_of_one_class(shared_data: Path) -> None:
    """Fields without glass keep all; empty Kather tiles keep (almost) nothing; slides have two classes."""
    fields = sorted((shared_data / "fields" / "he-3x3").iterdir())
    kinds = [otsu.split(otsu.histogram(_small(path, 16))).kind for path in fields]
    assert kinds == ["tissue"] * 9
    empty = sorted((shared_data / "histology" / "tissue-classes").glob("*_label_7.png"))
    shares = []
    for path in empty:
        rgb = _small(path, 16)
        shares.append(otsu.tissue(rgb, otsu.split(otsu.histogram(rgb)).threshold).mean())
    assert np.median(shares) == 0
    full = sorted((shared_data / "histology" / "tissue-classes").glob("*_label_[0123].png"))
    assert np.mean([otsu.split(otsu.histogram(_small(path, 16))).kind == "tissue" for path in full]) > 0.9


def _small(path: Path, factor: int) -> np.ndarray:
    rgb = cv2.imread(str(path))[..., ::-1]
    height, width = (side // factor for side in rgb.shape[:2])
    cut = np.ascontiguousarray(rgb[: height * factor, : width * factor])
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
