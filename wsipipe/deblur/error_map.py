"""The map of errors to be expected of a restored picture: what the network itself thinks it does not know.

Enters: the errors of tiles, grey levels. Leaves: one small picture of them. Next: `wsipipe.cli.deblur` writes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box

LARGEST_PX = 4096
"""Longest side of the map; larger pictures are reduced by a power of two, by means."""
STEPS = 8
"""Steps of the map for one grey level of error, so 255 is an error of 32 grey levels or more."""


class ErrorMap:
    """A picture's errors, tile by tile.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the picture, pixels.

    Attributes
    ----------
    steps : (h, w) uint8
        `STEPS` times the error in grey levels; 0 where nothing was changed.
    factor : int
        Pixels of the picture that one of the map stands for, along a side.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.factor = 1
        while max(shape) > LARGEST_PX * self.factor:
            self.factor *= 2
        self.steps = np.zeros(tuple(-(-side // self.factor) for side in shape), np.uint8)

    def put(self, box: Box, error: NDArray[np.float32]) -> None:
        """Enter a tile; its corner is a multiple of `factor`."""
        by = self.factor
        full = np.pad(error, [(0, -side % by) for side in error.shape], mode="edge")
        mean = full.reshape(full.shape[0] // by, by, full.shape[1] // by, by).mean(axis=(1, 3))
        y, x = box.y // by, box.x // by
        self.steps[y : y + mean.shape[0], x : x + mean.shape[1]] = np.clip(np.rint(mean * STEPS), 0, 255)
