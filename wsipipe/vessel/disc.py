"""The optic disc: a bright round spot where vessels come together.

Enters: a picture at the working scale, its field of view and its vessel mask. Leaves: a `Disc`, or why there is none.
Next: `wsipipe.vessel.measure` lays zones B and C around it.

Two maps are multiplied: how much brighter a disc of the usual size is than its surroundings, and how much vessel lies
in it, most of all vessel that runs up and down, as the arcades do where they leave the disc. The place is the best;
the radius is where the brightness falls most steeply around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.vessel.field_of_view import Field

Map = NDArray[np.float32]

USUAL = 0.14
"""Radius of the disc over that of the field of view, of a picture of 45 degrees."""
RANGE, SPREAD = (0.8, 1.3), 0.25
"""Radii that are tried, over the usual one, and the standard deviation at which unusual ones are held less likely: the
cup has a rim too, and a steeper one."""
COARSE = 3
"""The place is looked for on a picture this many times smaller."""
LEAST = 3.0
"""Score of the best place over the standard deviation of all places, below which no disc is said to be found."""


@dataclass(frozen=True)
class Disc:
    """The optic disc.

    Attributes
    ----------
    yx : tuple of float
        Centre in px; NaN where there is none.
    radius : float
        In px.
    score : float
        Standard deviations by which the place is the best; NaN where it was given.
    reason : str
        Why there is none, empty where there is one.
    """

    yx: tuple[float, float]
    radius: float
    score: float = float("nan")
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a disc."""
        return not self.reason


def find(rgb: NDArray[np.uint8], field: Field, vessels: NDArray[np.bool_]) -> Disc:
    """Find the disc.

    Parameters
    ----------
    rgb : array (height, width, 3) of uint8
    field : Field
        Found.
    vessels : array (height, width) of bool

    Returns
    -------
    Disc
        30 ms for 584x565.
    """
    usual = USUAL * field.radius
    light = _light(rgb, field)
    score = _score(light, field, vessels, usual)
    y, x = np.unravel_index(int(score.argmax()), score.shape)
    lit = score[cv2.resize(field.mask.astype(np.uint8), score.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0]
    above = float(score.max() - lit.mean()) / max(float(lit.std()), 1e-9)
    if above < LEAST or not vessels.any():
        nan = float("nan")
        return Disc((nan, nan), nan, above, "no optic disc: no bright spot where vessels come together")
    place = ((float(y) + 0.5) * COARSE - 0.5, (float(x) + 0.5) * COARSE - 0.5)
    return _rim(light, place, usual, above)


def _score(light: Map, field: Field, vessels: NDArray[np.bool_], usual: float) -> Map:
    """How likely the disc's middle is at each place, on a picture `COARSE` times smaller."""
    height, width = (max(1, side // COARSE) for side in light.shape)
    parts = [
        cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA) for part in (light, vessels.astype(np.float32))
    ]
    small, vessel = (np.asarray(part, np.float32) for part in parts)
    radius = usual / COARSE
    score = _brightness(small, radius) * _convergence(vessel, radius)
    rows, columns = np.ogrid[:height, :width]
    y, x = ((place + 0.5) / COARSE - 0.5 for place in field.centre)
    reach = np.hypot(rows - y, columns - x)
    return np.where(reach < (field.radius - 0.35 * usual) / COARSE, score, 0).astype(np.float32)


def _light(rgb: NDArray[np.uint8], field: Field) -> Map:
    """Green and some red over the slow change of light; the field's mean outside, so that its border is no edge."""
    light = rgb[..., 1].astype(np.float32) + 0.3 * rgb[..., 0]
    inside = cv2.erode(field.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    small = (max(1, light.shape[1] // 8), max(1, light.shape[0] // 8))
    parts = [np.where(inside, part, 0).astype(np.float32) for part in (light, np.ones_like(light))]
    wide = [cv2.resize(part, small, interpolation=cv2.INTER_AREA) for part in parts]
    total, weight = (cv2.GaussianBlur(part, (0, 0), 0.35 * field.radius / 8) for part in wide)
    slow = cv2.resize(total / np.maximum(weight, 1e-3), light.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(inside, light - slow, 0).astype(np.float32)


def _brightness(light: Map, radius: float) -> Map:
    """Mean of a disc less that of a disc twice as wide, vessels closed."""
    closed = cv2.morphologyEx(light, cv2.MORPH_CLOSE, _ball(0.25 * radius))
    inner, outer = cv2.filter2D(closed, -1, _mean(radius)), cv2.filter2D(closed, -1, _mean(2 * radius))
    return np.asarray(np.clip(inner - outer, 0, None), np.float32)


def _convergence(vessels: Map, radius: float) -> Map:
    """Vessel in an ellipse twice as high as wide, weighed by how far it runs up and down."""
    soft = cv2.GaussianBlur(vessels, (0, 0), 1.0)
    dy, dx = cv2.Sobel(soft, cv2.CV_32F, 0, 1), cv2.Sobel(soft, cv2.CV_32F, 1, 0)
    upright = np.square(dx) / np.maximum(np.square(dx) + np.square(dy), 1e-6)
    side = 2 * round(radius) + 1
    tall = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, 2 * side - 1)).astype(np.float32)
    return np.asarray(cv2.filter2D(vessels * (0.3 + upright), -1, tall / tall.sum()) + 0.01, np.float32)


def _rim(light: Map, yx: tuple[float, float], usual: float, score: float) -> Disc:
    """Centre and radius at which the mean brightness falls most across a circle."""
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, _ball(0.15 * usual))
    light = cv2.GaussianBlur(light, (0, 0), 0.08 * usual)
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    best, found = -np.inf, (yx, usual)
    for radius in np.arange(RANGE[0], RANGE[1], 0.1) * usual:
        usualness = float(np.exp(-0.5 * ((radius / usual - 1) / SPREAD) ** 2))
        for dy in np.arange(-0.6, 0.61, 0.15) * usual:
            for dx in np.arange(-0.6, 0.61, 0.15) * usual:
                fall = usualness * _fall(light, yx[0] + dy, yx[1] + dx, radius, angles)
                if fall > best:
                    best, found = fall, ((yx[0] + float(dy), yx[1] + float(dx)), float(radius))
    return Disc(found[0], found[1], score)


def _fall(light: Map, y: float, x: float, radius: float, angles: NDArray[np.float64]) -> float:
    """Median over the circle of the brightness just inside less that just outside."""
    values = []
    for at in (0.88 * radius, 1.12 * radius):
        rows = np.clip(np.rint(y + at * np.sin(angles)).astype(int), 0, light.shape[0] - 1)
        columns = np.clip(np.rint(x + at * np.cos(angles)).astype(int), 0, light.shape[1] - 1)
        values.append(light[rows, columns])
    gap = np.sort(values[0] - values[1])
    return float(gap[len(gap) // 5 : -len(gap) // 5].mean())


def _ball(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _mean(radius: float) -> Map:
    ball = _ball(radius).astype(np.float32)
    return np.asarray(ball / ball.sum(), np.float32)
