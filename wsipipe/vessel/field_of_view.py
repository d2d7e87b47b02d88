"""The field of view of a fundus picture, found by itself.

Enters: a picture. Leaves: a `Field`, or the reason why there is none. Next: `wsipipe.vessel.quality` grades what is
inside it; the run keeps the tiles that touch it.

A fundus camera shows a round field on black. The threshold lies a little above the level of the corners, the largest
bright part is closed and filled, and a circle is fitted to those points of its border that are not the picture's own
border (a field may be cut above and below), twice, the second time without what lies off the first (a notch, a tab).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

LONGEST = 512
"""The longer side of the picture that the circle is fitted on, in px."""
DARK_CORNER = 60.0
"""Corners brighter than this (largest channel, 0 to 255) are no black border."""
ROUND = 0.03
"""Root mean square distance of border points to the circle, over its radius, beyond which the field is not round."""
ARC = 0.3
"""Least part of the circle along which border points are found."""
SMALLEST = 0.2
"""Least radius over the picture's longer side."""


@dataclass(frozen=True)
class Field:
    """A field of view.

    Attributes
    ----------
    mask : array (height, width) of bool
        Inside the field; all False where there is none.
    centre : tuple of float
        (y, x) in px of the circle; NaN where there is none.
    radius : float
        In px; NaN where there is none.
    threshold : float
        Largest channel, 0 to 255, above which a pixel is lit.
    reason : str
        Why there is none; empty where there is one.
    """

    mask: Mask
    centre: tuple[float, float]
    radius: float
    threshold: float
    reason: str = ""

    def inner(self, share: float = 0.012) -> Mask:
        """The mask without the rim, `share` of the radius: the fall to black there looks like a vessel."""
        if not self.found or self.threshold < 0:
            return self.mask
        rows, columns = np.ogrid[: self.mask.shape[0], : self.mask.shape[1]]
        return self.mask & (np.hypot(rows - self.centre[0], columns - self.centre[1]) <= (1 - share) * self.radius)

    @property
    def found(self) -> bool:
        """Whether there is a field of view."""
        return not self.reason


def find(rgb: Pixels) -> Field:
    """Find the field of view.

    Parameters
    ----------
    rgb : array (height, width, 3) of uint8

    Returns
    -------
    Field
        Of the picture's own size. 10 ms for 584x565.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    small = cv2.resize(rgb, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA)
    light = cv2.medianBlur(np.ascontiguousarray(small.max(axis=2)), 5).astype(np.float32)
    corner, bright = _corners(light), float(np.percentile(light, 90))
    threshold = corner + max(6.0, 0.10 * (bright - corner))
    if bright < corner + 12.0 and bright < DARK_CORNER:
        return _none(rgb, threshold, "no field of view: the picture is black")
    if corner > DARK_CORNER:
        return _none(rgb, threshold, "no field of view: no black border around a bright field")
    circle, reason = _circle(_largest(light > threshold))
    if circle is None:
        return _none(rgb, threshold, reason)
    y, x, radius = ((circle[0] + 0.5) / scale - 0.5, (circle[1] + 0.5) / scale - 0.5, circle[2] / scale)
    rows, columns = np.ogrid[:height, :width]
    mask = np.hypot(rows - y, columns - x) <= radius
    return Field(np.asarray(mask, np.bool_), (y, x), radius, threshold)


def whole(rgb: Pixels) -> Field:
    """The whole picture as its field of view, for pictures that were cut inside it."""
    height, width = rgb.shape[:2]
    middle = ((height - 1) / 2, (width - 1) / 2)
    return Field(np.ones((height, width), np.bool_), middle, max(height, width) / 2, -1.0)


def _none(rgb: Pixels, threshold: float, reason: str) -> Field:
    nan = float("nan")
    return Field(np.zeros(rgb.shape[:2], np.bool_), (nan, nan), nan, threshold, reason)


def _corners(light: NDArray[np.float32]) -> float:
    """Level of the border: the third darkest of the four corners, so that a date printed in one does no harm."""
    side = max(2, round(0.04 * min(light.shape)))
    corners = [
        light[rows, columns]
        for rows in (slice(0, side), slice(-side, None))
        for columns in (slice(0, side), slice(-side, None))
    ]
    return float(sorted(np.median(corner) for corner in corners)[2])


def _largest(lit: Mask) -> NDArray[np.uint8]:
    """The largest bright part, closed and without holes."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    closed = cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return np.zeros(lit.shape, np.uint8)
    part = np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), np.uint8)
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(part, outlines, -1, 1, -1)
    return part


def _circle(part: NDArray[np.uint8]) -> tuple[tuple[float, float, float] | None, str]:
    """Circle (y, x, radius) through the border points that are inside the picture, or why there is none."""
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None, "no field of view: nothing bright on the dark ground"
    height, width = part.shape
    points = max(outlines, key=len)[:, 0, ::-1].astype(np.float64)
    free = (points > 2).all(1) & (points[:, 0] < height - 3) & (points[:, 1] < width - 3)
    points = points[free]
    if len(points) < 30:
        return None, "no field of view: the bright part has no border inside the picture"
    circle, off = _fit(points)
    for _ in range(3):
        near = np.abs(off) < max(0.02 * circle[2], 1.5)
        if near.sum() < 30:
            break
        circle, _ = _fit(points[near])
        off = np.hypot(points[:, 0] - circle[0], points[:, 1] - circle[1]) - circle[2]
    return _judged(circle, points, off, part.shape)


def _judged(
    circle: tuple[float, float, float], points: NDArray[np.float64], off: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[tuple[float, float, float] | None, str]:
    y, x, radius = circle
    near = np.abs(off) < 0.03 * radius
    angles = np.arctan2(points[near, 0] - y, points[near, 1] - x)
    arc = len(np.unique(np.floor(angles / (2 * np.pi) * 72))) / 72
    rest = float(np.sqrt(np.mean(np.square(np.clip(np.abs(off), 0, 0.1 * radius))))) / radius
    if radius < SMALLEST * max(shape):
        return None, f"no field of view: the bright part is only {2 * radius / max(shape):.0%} of the picture across"
    if arc < ARC or rest > ROUND or radius > 1.2 * max(shape):
        return None, f"no field of view: the bright part is not round ({arc:.0%} of a circle, {rest:.1%} off it)"
    return (y, x, radius), ""


def _fit(points: NDArray[np.float64]) -> tuple[tuple[float, float, float], NDArray[np.float64]]:
    """Algebraic least-squares circle, and each point's distance from it."""
    middle = points.mean(0)
    y, x = (points - middle).T
    solved, *_ = np.linalg.lstsq(np.stack([y, x, np.ones_like(y)], 1), y**2 + x**2, rcond=None)
    cy, cx = solved[0] / 2, solved[1] / 2
    radius = float(np.sqrt(max(solved[2] + cy**2 + cx**2, 1e-9)))
    return (float(cy + middle[0]), float(cx + middle[1]), radius), np.hypot(y - cy, x - cx) - radius
