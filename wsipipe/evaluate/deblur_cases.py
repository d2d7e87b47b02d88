"""Cases of the deblurring evaluation: which sharp pictures, which blurs, and the measures of one restored picture.

Enters: pictures and slides that no weights were trained on. Leaves: crops, blurs, numbers per case. Next:
`wsipipe.evaluate.deblur`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, laplace
from skimage.metrics import structural_similarity

from wsipipe.deblur.blur import Blur
from wsipipe.deblur.degrade import Camera, degrade
from wsipipe.deblur.sharpness import GLASS
from wsipipe.errors import UsageError
from wsipipe.grid import Box
from wsipipe.slide import open_slide
from wsipipe.slide.find import find_slides

Rgb = NDArray[np.uint8]
RIM, UNSCORED = 32, 16
"""Pixels around a crop so that its blur is that of the picture beyond it; and its own rim that is not scored."""
LEAST_TISSUE = 0.4
NUCLEUS_SIGMA, NUCLEUS_LEAST, MATCH_PX = 4.5, 0.012, 6.0
"""Of the detector: scale of the Laplacian in px, least response, and how far two detections of a nucleus lie apart."""


@dataclass(frozen=True, slots=True)
class Row:
    """A blur of the table: its name, group, and levels; `turn_deg` bends the path."""

    name: str
    group: str
    length_px: float = 0.0
    radius_px: float = 0.0
    turn_deg: float = 0.0

    def truth(self, number: int) -> Blur:
        """The blur of a case; the direction is another one in each (golden angle)."""
        direction = (17.0 + 137.50776 * number) % 180 if self.length_px else 0.0
        return Blur(self.length_px, direction, self.radius_px, self.turn_deg * (-1) ** number)


ROWS = (
    *(Row(f"motion L = {level:g}", "stated", length_px=level) for level in (5.0, 9.0, 15.0)),
    *(Row(f"defocus r = {radius:g}", "stated", radius_px=radius) for radius in (1.5, 3.0, 5.0)),
    Row("both L = 9, r = 3", "stated", 9.0, 3.0),
    Row("motion L = 7", "interpolated", length_px=7.0), Row("motion L = 12", "interpolated", length_px=12.0),
    Row("defocus r = 2.2", "interpolated", radius_px=2.2), Row("defocus r = 4", "interpolated", radius_px=4.0),
    Row("motion L = 20", "extrapolated", length_px=20.0), Row("defocus r = 6.5", "extrapolated", radius_px=6.5),
    Row("motion L = 12 over 60 degrees", "curved", length_px=12.0, turn_deg=60.0),
)  # fmt: skip
LENGTHS, RADII = (5.0, 9.0, 15.0), (1.5, 3.0, 5.0)
"""Levels that a classified level is rounded to."""


@dataclass(frozen=True)
class Case:
    """A sharp crop with its rim, where it is from, and its number."""

    wide: Rgb
    source: str
    number: int

    @property
    def sharp(self) -> Rgb:
        """Without the rim."""
        return self.wide[RIM:-RIM, RIM:-RIM]

    def seen(self, kernel: NDArray[np.float64], *, seed: int) -> Rgb:
        """Blurred in linear light, with noise of one grey level, 8 bit."""
        return degrade(self.wide, kernel, camera=Camera(), seed=seed + self.number)[RIM:-RIM, RIM:-RIM]


def cases(paths: Sequence[str | Path], *, side: int, most: int, per_source: int) -> list[Case]:
    """Crops of held-out pictures.

    Parameters
    ----------
    paths : sequence of path
        Pictures, slides, folders of them; each named path is given an even share of `most`.
    side : int
        Of a crop, without its rim.
    most, per_source : int
        Crops in all, and of one picture or slide; those with most tissue, apart from each other.

    Raises
    ------
    UsageError
        Where no crop of that side with tissue is found.
    """
    found: list[tuple[Rgb, str]] = []
    for path in paths:
        share, files = -(-most // len(paths)), find_slides([path])
        chosen = files[:: max(1, len(files) // share)][:share]
        each = min(per_source, -(-share // len(chosen)))
        for file in chosen:
            found += [(rgb, file.name) for rgb in _crops(file, side + 2 * RIM, each)]
    if not found:
        raise UsageError(
            f"evaluating: no RGB picture of 8 bit with {side + 2 * RIM} px a side and {LEAST_TISSUE:.0%} tissue among "
            "those named: name others, or give a smaller --side",
            subject=", ".join(map(str, paths)),
        )
    return [Case(rgb, name, number) for number, (rgb, name) in enumerate(found[:most])]


def psnr(picture: Rgb, sharp: Rgb) -> float:
    """Decibels without the rim; infinite where equal."""
    off = _scored(picture).astype(np.float64) - _scored(sharp)
    mean = float(np.mean(off * off))
    return float(10 * np.log10(255**2 / mean)) if mean else float("inf")


def ssim(picture: Rgb, sharp: Rgb) -> float:
    """Structural similarity of the colour picture without the rim."""
    return float(structural_similarity(_scored(picture), _scored(sharp), channel_axis=-1, data_range=255))


def nuclei(rgb: Rgb) -> NDArray[np.float64]:
    """Nuclei by a plain detector, (N, 2) ``yx``: maxima of the scale-normalised Laplacian of haematoxylin's density.

    Haematoxylin by Ruifrok and Johnston's matrix (scikit-image), a Gaussian of `NUCLEUS_SIGMA`, responses from
    `NUCLEUS_LEAST` on, 5 px apart. No learning: it cannot make up for what deblurring leaves out.
    """
    stain = rgb2hed(_scored(rgb))[..., 0]
    response = -laplace(gaussian(stain, NUCLEUS_SIGMA)) * NUCLEUS_SIGMA**2
    return np.asarray(peak_local_max(response, min_distance=5, threshold_abs=NUCLEUS_LEAST), np.float64)


def matched(ours: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[int, int, int]:
    """Detections that pair up within `MATCH_PX` (one to one, least distance), detections, true ones."""
    if not len(ours) or not len(truth):
        return 0, len(ours), len(truth)
    distance = cdist(ours, truth)
    rows, columns = linear_sum_assignment(np.minimum(distance, 2 * MATCH_PX))
    return int((distance[rows, columns] <= MATCH_PX).sum()), len(ours), len(truth)


def angle_off(found_deg: float, truth_deg: float) -> float:
    """Degrees between two directions, 0 to 90."""
    return abs((found_deg - truth_deg + 90) % 180 - 90)


def nearest(value: float, levels: Sequence[float]) -> float:
    """The level whose logarithm is nearest."""
    return min(levels, key=lambda level: abs(np.log(value / level)))


def _scored(picture: Rgb) -> Rgb:
    return picture[UNSCORED:-UNSCORED, UNSCORED:-UNSCORED]


def _crops(path: Path, side: int, most: int) -> list[Rgb]:
    """Disjoint crops of level 0 with most tissue."""
    slide = open_slide(path)
    try:
        info = slide.info
        height, width = info.shape
        if info.dtype != np.uint8 or info.channels != 3 or min(height, width) < side:
            return []
        places = [(y, x) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
        places = places[:: max(1, len(places) // 60)]
        found = [slide.read(Box(y, x, side, side), level=0) for y, x in places]
    finally:
        slide.close()
    share = [float((rgb.min(axis=2) <= GLASS).mean()) for rgb in found]
    order = [number for number in np.argsort(-np.array(share), kind="stable") if share[number] >= LEAST_TISSUE]
    return [found[number] for number in order[:most]]
