"""Fractal dimension by counting boxes.

Enters: a skeleton, or points. Leaves: a dimension. Next: `wsipipe.vessel.measure`.

N(s) boxes of side s touch the set; the dimension is minus the slope of log N over log s (Mandelbrot's box counting,
for retinas Mainster 1990). For each s the grid's origin is shifted and the fewest boxes count, which is nearer to the
least cover that the definition asks for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

SHIFTS = 4
"""Origins along each axis that are tried for each side."""


def sides(extent: float, *, smallest: float = 6.0) -> Points:
    """Sides of boxes: geometric, four an octave, from `smallest` to about a quarter of the extent."""
    count = max(2, int(np.floor(4 * np.log2(max(extent / 4, smallest * 2) / smallest))) + 1)
    return np.asarray(smallest * 2.0 ** (np.arange(count) / 4), np.float64)


def dimension(points: Points, *, box_sides: Points | None = None) -> float:
    """Box-counting dimension of points.

    Parameters
    ----------
    points : array (n, 2) of floats
        yx; of curves, so dense that neighbours are nearer than the smallest box.
    box_sides : array of floats, optional
        In the points' unit; by default `sides` of their extent.

    Returns
    -------
    float
        NaN for fewer than 100 points.
    """
    if len(points) < 100:
        return float("nan")
    start = points - points.min(0)
    chosen = sides(float(start.max())) if box_sides is None else box_sides
    counts = [_fewest(start, side) for side in chosen]
    slope, _ = np.polyfit(np.log(chosen), np.log(counts), 1)
    return -float(slope)


def _fewest(points: Points, side: float) -> int:
    """Least number of boxes over the shifts of the origin."""
    fewest, across = len(points), int(points.max() // side) + 3
    for dy in range(SHIFTS):
        for dx in range(SHIFTS):
            cells = (points / side + np.array([dy, dx]) / SHIFTS).astype(np.int64)
            touched = np.zeros(across * across, np.bool_)
            touched[cells[:, 0] * across + cells[:, 1]] = True
            fewest = min(fewest, int(touched.sum()))
    return fewest
