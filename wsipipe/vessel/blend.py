"""Splicing: overlapping windows of probabilities to blocks of one map, with Gaussian weights.

Enters: the window of every tile, halo included. Leaves: any block of the map. Next: `wsipipe.vessel.label`.

A block *pulls* the windows that touch it. Each pixel is the mean of the windows that see it, weighed by a Gaussian of
the place in the window: what is near a window's border counts little. The weights depend on the grid alone, so a pixel
has the same value in whatever block it is asked for, and however many workers made the windows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box, Grid

Map = NDArray[np.float32]
Windows = Callable[[NDArray[np.int64]], Map]
"""Windows ``(n, channel, side, side)`` of ascending tile ids."""

SIGMAS = 3.0
"""A window is this many standard deviations from its middle to its border."""


def weights(side: int) -> Map:
    """Gaussian weights (side,) along one axis of a window, largest 1, symmetric."""
    middle = (side - 1) / 2
    away = (np.arange(side) - middle) / (side / 2 / SIGMAS)
    return np.asarray(np.exp(-0.5 * np.square(away)), np.float32)


def block(box: Box, grid: Grid, ids: NDArray[np.int64], windows: Windows) -> Map:
    """A block of the spliced map.

    Parameters
    ----------
    box : Box
        In working pixels, inside the plane.
    grid : Grid
        With the halo of the windows.
    ids : (N,) int64
        Tiles that were computed, ascending; elsewhere the map is 0.
    windows : callable
        Gives the windows of some of them.

    Returns
    -------
    array (channel, height, width) of float32
    """
    reads = grid.read_boxes(ids)
    touching = np.array([not read.intersect(box).is_empty for read in reads], np.bool_)
    if not touching.any():
        return np.zeros((3, *box.shape), np.float32)
    line = weights(grid.tile + 2 * grid.halo)
    weight = line[:, None] * line
    total, seen = None, np.zeros(box.shape, np.float32)
    for tile in ids[touching].tolist():
        window = windows(np.array([tile]))[0]
        read = grid.read_boxes(np.array([tile]))[0]
        both = read.intersect(box)
        there, here = both.shift(-read.y, -read.x).slices(), both.shift(-box.y, -box.x).slices()
        total = np.zeros((len(window), *box.shape), np.float32) if total is None else total
        total[:, *here] += window[:, *there] * weight[there]
        seen[here] += weight[there]
    assert total is not None
    return np.asarray(np.where(seen > 0, total / np.maximum(seen, np.float32(1e-12)), 0), np.float32)
