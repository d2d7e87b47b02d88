"""A quality grade for fundus pictures, and whether a picture is refused.

Enters: a picture at the working scale and its field of view. Leaves: a `Grade`. Next: the run passes the pictures that
are not refused to the network; the record says the grade of every one.

Seven numbers are measured inside the field of view; each has a limit below (or above) which a picture is refused and
one below which it is only usable. The limits come from pictures: ``wsipipe evaluate vessel-quality`` prints the range
of every number on made pictures, on these made worse, and on folders of fundus pictures and of other things
(docs/retina-measures.md has such a table).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.vessel.field_of_view import Field

Pixels = NDArray[np.uint8]

GOOD, USABLE, REFUSED = "good", "usable", "refused"


@dataclass(frozen=True)
class Limit:
    """Of one number: below `refused` a picture is refused for `reason`, below `usable` it is not good.

    With ``above`` the same holds for values above.
    """

    refused: float
    usable: float
    reason: str
    above: bool = False

    def fails(self, value: float, limit: float) -> bool:
        """Whether a value is on the wrong side of a limit; NaN is."""
        return not (value <= limit if self.above else value >= limit)


LIMITS = {
    "brightness": Limit(20.0, 60.0, "too dark"),
    "overexposed": Limit(0.5, 0.2, "overexposed", above=True),
    "chroma": Limit(0.08, 0.30, "grey: arteries and veins cannot be told apart without colour"),
    "order": Limit(0.70, 0.95, "not the colours of a fundus: red above green above blue"),
    "contrast": Limit(0.0025, 0.012, "no vessels to be seen: too blurred or hazy, or no fundus"),
    "sharpness": Limit(0.28, 0.45, "too blurred"),
    "lines": Limit(0.60, 0.78, "not the structure of a fundus: its dark parts are spots, not lines"),
}
"""In the order in which they are asked; what each number is stands in `measured`."""
CHECKS = tuple(LIMITS)


@dataclass(frozen=True)
class Grade:
    """How good a picture is.

    Attributes
    ----------
    grade : str
        ``good``, ``usable`` or ``refused``.
    reasons : tuple of str
        Why it is not good.
    values : mapping
        The numbers of `measured`; NaN where there is no field.
    """

    grade: str
    reasons: tuple[str, ...]
    values: dict[str, float]

    @property
    def refused(self) -> bool:
        """Whether the picture should not be worked on."""
        return self.grade == REFUSED


def graded(rgb: Pixels, field: Field) -> Grade:
    """Grade a picture.

    Parameters
    ----------
    rgb : array (height, width, 3) of uint8
        At the working scale: the field about 540 px across.
    field : Field
        Of this picture.

    Returns
    -------
    Grade
        Refused where there is no field of view, or any number is beyond its limit.
    """
    if not field.found:
        return Grade(REFUSED, (field.reason,), dict.fromkeys(CHECKS, float("nan")))
    return judged(measured(rgb, field))


def judged(values: dict[str, float]) -> Grade:
    """The grade that goes with measured numbers."""
    beyond = tuple(limit.reason for name, limit in LIMITS.items() if limit.fails(values[name], limit.refused))
    if beyond:
        return Grade(REFUSED, beyond, values)
    short = tuple(name for name, limit in LIMITS.items() if limit.fails(values[name], limit.usable))
    return Grade(USABLE if short else GOOD, tuple(f"{name} {values[name]:.3g}" for name in short), values)


def measured(rgb: Pixels, field: Field) -> dict[str, float]:
    """What the grade is made from.

    Returns
    -------
    dict of float
        ``brightness``: median of the largest channel, 0 to 255. ``overexposed``: share of pixels whose green is above
        250. ``chroma``: median of (max - min) / max. ``order``: share of pixels with red >= green >= blue.
        ``contrast``: 98th percentile of the curvature of dark structures of 2 to 9 px over the green level.
        ``sharpness``: green's band of 1 to 2 px over its band of 2 to 4 px where that is strong, noise taken off; 0.6
        for DRIVE, 0.4 after a Gaussian of 2.5 px, 0.3 after one of 4. ``lines``: 1 - curvature along dark structures
        over that across them; 0.84 for DRIVE, 0.7 for nuclei.
    """
    rows, columns = np.ogrid[: rgb.shape[0], : rgb.shape[1]]
    inside = field.mask & (np.hypot(rows - field.centre[0], columns - field.centre[1]) < 0.93 * field.radius)
    pixels = rgb[inside].astype(np.float32)
    top, low = pixels.max(1), pixels.min(1)
    ordered = (pixels[:, 0] >= pixels[:, 1] - 1) & (pixels[:, 1] >= pixels[:, 2] - 1)
    green = rgb[..., 1].astype(np.float32)
    level = cv2.GaussianBlur(green, (0, 0), 12) + 1.0
    contrast, lines = _lines(green / level, inside)
    return {
        "brightness": float(np.median(top)),
        "overexposed": float((pixels[:, 1] > 250).mean()),
        "chroma": float(np.median((top - low) / np.maximum(top, 1))),
        "order": float(ordered.mean()),
        "contrast": contrast,
        "sharpness": _sharpness(green / level, inside),
        "lines": lines,
    }


def _lines(relative: NDArray[np.float32], inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Depth of dark structures of 2 to 9 px, and how far they are lines (curvature along over across)."""
    smooth = cv2.GaussianBlur(relative, (0, 0), 1.8)
    dyy, dxx, dxy = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) for order in ((0, 2), (2, 0), (1, 1)))
    mean, half = (dyy + dxx) / 2, np.hypot((dyy - dxx) / 2, dxy / 2)
    large, small = mean + half, mean - half
    depth = large[inside]
    limit = np.percentile(depth, 92)
    chosen = depth >= limit
    ratio = 1 - np.abs(small[inside][chosen]) / np.maximum(depth[chosen], 1e-6)
    return float(np.percentile(depth, 98)) / 4, float(np.median(ratio)) if limit > 0 else 0.0


def _sharpness(relative: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    fine, middle, coarse = (cv2.GaussianBlur(relative, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0))
    band, wide = np.abs(fine - middle)[inside], np.abs(middle - coarse)[inside]
    strong = wide >= np.percentile(wide, 95)
    noise = float(np.median(band))
    return float(max(band[strong].mean() - noise / 2, 0) / max(float(wide[strong].mean()), 1e-6))
