"""Pictures that several tests of the stain room look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Made = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def he_pictures(shared_data: Path) -> dict[str, np.ndarray]:
    """The three stain pictures and a region of the CMU slide."""
    names = ("target-he", "target-he-2", "source-he")
    found = {name: cv2.imread(str(shared_data / "stain" / f"{name}.png"))[..., ::-1].copy() for name in names}
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(str(shared_data / "slides" / "cmu-1-small-region.svs")) as slide:
        found["cmu"] = np.array(slide.read_region((700, 1000), 0, (1000, 1000)).convert("RGB"))
    return found


@pytest.fixture(scope="session")
def stains() -> np.ndarray:
    """Two unit stain vectors, haematoxylin and eosin."""
    rows = np.array([[0.58, 0.75, 0.31], [0.16, 0.91, 0.38]])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def made(stains: np.ndarray) -> Made:
    """Make a picture (side, side, 3) uint8: nuclei of the first stain on fibres of the second, a third of it glass."""

    def picture(vectors: np.ndarray = stains, *, seed: int = 0, side: int = 256, noise: float = 1.0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        rough = [cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), sigma) for sigma in (4, 6, 24)]
        nuclei, fibres, glass = (field / field.std() for field in rough)
        first = np.where(nuclei > 0.8, 1.3, 0.05) * rng.uniform(0.8, 1.2, nuclei.shape)
        second = np.where(nuclei > 0.8, 0.02, 0.5 + 0.2 * np.clip(fibres, -2, 2))
        tissue = (glass < 0.4)[..., None]
        od = tissue * (first[..., None] * vectors[0] + second[..., None] * vectors[1])
        return np.clip(255 * np.exp(-od) + rng.normal(0, noise, (side, side, 3)), 0, 255).astype(np.uint8)

    return picture
