"""The calibre of vessels along their centre lines, below a pixel.

Enters: a map of vessels (a probability, a coverage, or a mask) and a centre line. Leaves: diameters in px. Next:
`wsipipe.vessel.measure` gathers them.

At each point the map is sampled along the normal of the centre line. Of a probability the borders are where it falls
below one half, between samples by straight lines; of a mask they are found by its sum along the normal, which is exact
on average however the border lies in the grid. Near the ends of a line the neighbours at the node would be measured
too: there the calibre is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

from wsipipe.vessel.skeleton import Centreline

Map = NDArray[np.float32]
Points = NDArray[np.float64]

STEP = 0.25
"""Distance of samples along the normal, px."""
ALONG_PX = 2.0
"""Calibres are smoothed along the line over this standard deviation."""


CLIP = (0.5, 1.6)
"""Calibres along a line are clipped to this many times their median."""


def calibre(vessels: Map, line: Centreline, *, half_widths: Map, binary: bool) -> Points:
    """Diameter at each point of a centre line.

    Parameters
    ----------
    vessels : array (height, width) of float32
        0 to 1.
    line : Centreline
    half_widths : array (height, width) of float32
        Distance of vessel pixels to the outside, which says how far to look.
    binary : bool
        Whether the map is a mask.

    Returns
    -------
    array (n,) of float64
        In px; NaN nearer to a node than the vessel is wide there.
    """
    points = line.points
    if len(points) < 5:
        return np.full(len(points), np.nan)
    rough = half_widths[line.pixels[:, 0], line.pixels[:, 1]].astype(np.float64)
    reach = float(rough.max()) + 3.0
    offsets = np.arange(-reach, reach + STEP / 2, STEP)
    normals = normal(points)
    at = points[:, :, None] + normals[:, :, None] * offsets
    profile = map_coordinates(vessels, [at[:, 0], at[:, 1]], order=1, mode="constant")
    found = _by_sum(profile) if binary else _by_half(profile)
    found[_near_nodes(line, rough)] = np.nan
    return _smoothed(found)


def normal(points: Points) -> Points:
    """Unit normals (y, x) of a smoothed line."""
    along = np.gradient(gaussian_filter1d(points, 1.5, axis=0, mode="nearest"), axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    return np.stack([-along[:, 1], along[:, 0]], 1)


def _centre(profile: Points) -> NDArray[np.int64]:
    """The sample where the vessel is: the strongest within 1.5 px of the middle, the middle-most where equal."""
    middle, near = profile.shape[1] // 2, round(1.5 / STEP)
    window = profile[:, middle - near : middle + near + 1]
    weight = window - 1e-3 * np.abs(np.arange(-near, near + 1))
    return np.asarray(middle - near + weight.argmax(1), np.int64)


def _by_half(profile: Points) -> Points:
    """Between the crossings of one half on both sides of the centre."""
    centre = _centre(profile)
    sides = [_crossing(profile, centre, direction) for direction in (-1, 1)]
    width = (sides[0] + sides[1]) * STEP
    width[profile[np.arange(len(profile)), centre] < 0.5] = np.nan
    return np.asarray(width, np.float64)


def _crossing(profile: Points, centre: NDArray[np.int64], direction: int) -> Points:
    """Samples from the centre to where the profile falls below one half; NaN where it does not."""
    found = np.full(len(profile), np.nan)
    for row, start in enumerate(centre):
        side = profile[row, start::direction]
        below = np.nonzero(side < 0.5)[0]
        if len(below) and below[0] > 0:
            at = below[0]
            found[row] = at - 1 + (side[at - 1] - 0.5) / (side[at - 1] - side[at])
    return found


def _by_sum(profile: Points) -> Points:
    """The sum of the profile out to where it is zero on both sides of the centre."""
    centre = _centre(profile)
    found = np.full(len(profile), np.nan)
    for row, start in enumerate(centre):
        parts = []
        for side in (profile[row, start::-1], profile[row, start:]):
            zero = np.nonzero(side <= 0.0)[0]
            parts.append(side[: zero[0]].sum() if len(zero) else np.nan)
        found[row] = (parts[0] + parts[1] - profile[row, start]) * STEP
    return found


def _near_nodes(line: Centreline, rough: Points) -> NDArray[np.bool_]:
    """Points whose distance along the line to a node is less than the vessel's width (at least 3 px)."""
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line.points, axis=0).T))])
    guard = max(3.0, 2.0 * float(np.median(rough)))
    near = np.zeros(len(rough), np.bool_)
    for node, away in zip(line.nodes, (steps, steps[-1] - steps), strict=True):
        near |= away < (guard if node >= 0 else 2.0)
    return near


def _smoothed(width: Points) -> Points:
    """A Gaussian along the line over what is known, outliers clipped; what is unknown stays NaN.

    A median would do against outliers, but over a mask, whose widths go up and down like a saw, it is 0.2 px too large.
    """
    known = np.isfinite(width)
    if known.sum() < 3:
        return width
    filled = np.interp(np.arange(len(width)), np.nonzero(known)[0], width[known])
    middle = float(np.median(filled))
    filled = np.clip(filled, CLIP[0] * middle, CLIP[1] * middle)
    smooth = gaussian_filter1d(filled, ALONG_PX, mode="nearest")
    return np.where(known, smooth, np.nan)
