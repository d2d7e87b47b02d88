"""Reinhard's colour transfer: mean and spread of each channel in LAB, made those of the target.

Enters: pixels, or uint8 tiles with the slide's and the target's statistics. Leaves: statistics, or tiles.
Next: `wsipipe.stain.stage`. It knows nothing of stains; kept as the named baseline that it is.

OpenCV's 8-bit LAB (L 0..255 for 0..100, a and b plus 128), as in TIAToolbox and staintools, so that the transfer
of a channel is a table and a pixel's bytes do not depend on its place. Ours rounds where theirs cut off, and the
statistics are of the slide's stained pixels, not of one picture with its glass.

Source: Reinhard et al., IEEE Comput. Graph. Appl. 21 (2001) 34.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.stain.density import Float

Pixels = NDArray[np.uint8]

MIN_SPREAD = 0.5
"""A channel of less deviation has no spread to stretch."""

_LEVELS = np.arange(256, dtype=np.float64)


def statistics(pixels: Pixels) -> Float:
    """Mean and standard deviation in LAB.

    Parameters
    ----------
    pixels : (M, 3) uint8
        M is 1 or more.

    Returns
    -------
    (2, 3) float64
        Means (L 0..100; a, b -128..127), then deviations.
    """
    import cv2

    lab = cv2.cvtColor(np.ascontiguousarray(pixels)[None], cv2.COLOR_RGB2LAB)[0].astype(np.float64)
    lab = lab / [2.55, 1, 1] - [0, 128, 128]
    return np.stack([lab.mean(axis=0), lab.std(axis=0)])


def transfer(rgb: Pixels, source: Float, target: Float) -> Pixels:
    """Give tiles the target's mean and spread.

    Parameters
    ----------
    rgb : (N, height, width, 3) uint8
    source, target : (2, 3) float64
        As `statistics` gives them; the source's deviations are not 0.

    Returns
    -------
    (N, height, width, 3) uint8
    """
    import cv2

    table, made = _table(source, target), np.empty_like(rgb)
    for index, tile in enumerate(rgb):
        lab = cv2.cvtColor(np.ascontiguousarray(tile), cv2.COLOR_RGB2LAB)
        made[index] = cv2.cvtColor(cv2.LUT(lab, table), cv2.COLOR_LAB2RGB)
    return made


def _table(source: Float, target: Float) -> Pixels:
    """(1, 256, 3) uint8: what each 8-bit value of L, a and b becomes."""
    levels = np.stack([_LEVELS / 2.55, _LEVELS - 128, _LEVELS - 128], axis=-1)
    moved = (levels - source[0]) * (target[1] / source[1]) + target[0]
    stored = moved * [2.55, 1, 1] + [0, 128, 128]
    return np.floor(np.clip(stored, 0, 255) + 0.5).astype(np.uint8)[None]
