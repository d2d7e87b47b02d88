"""The guard: a result that, blurred again, does not give the input back is not shown there.

Enters: input, result, the estimated blur. Leaves: a result that is the input again where the two disagree. Next:
`wsipipe.deblur.network`.

A network may invent: a nucleus that is sharp and not there would, blurred by the estimated kernel, still be seen. Noise
is taken out of the comparison by a mean over 5 px; what is left is compared over about 24 px, so one invented nucleus
is enough. Blind is the guard to detail that the kernel wipes out: what cannot be seen in the input cannot be checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.deblur import light
from wsipipe.deblur.blur import Blur
from wsipipe.deblur.degrade import blur as convolve

Rgb = NDArray[np.uint8]
Map = NDArray[np.float32]
MEAN_PX, WINDOW_SIGMA = 5, 6.0
FEATHER_PX = 8.0
WHOLE = 0.5
"""Where more than this share of a tile would fall back, all of it does."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """The picture to show, the share of it that is the input again, and the largest disagreement, grey levels."""

    rgb: Rgb
    fell_back: float
    worst: float


def disagreement(seen: Rgb, result: Rgb, blur: Blur) -> Map:
    """How far the result, blurred again, is from the input, about each pixel.

    Parameters
    ----------
    seen, result : (height, width, 3) uint8
    blur : Blur

    Returns
    -------
    (height, width) float32
        Grey levels of the green channel, where both stains absorb: root of the local mean square of the smoothed
        difference. 0 within the kernel's reach of the edge, where what lies beyond is not known.
    """
    kernel = blur.kernel()
    again = light.coded(convolve(light.linear(result[..., 1]), kernel))
    off = cv2.blur(again - seen[..., 1].astype(np.float32), (MEAN_PX, MEAN_PX))
    rim = min(len(kernel) // 2 + MEAN_PX, min(off.shape) // 2)
    off[:rim], off[len(off) - rim :], off[:, :rim], off[:, off.shape[1] - rim :] = 0, 0, 0, 0
    return np.asarray(np.sqrt(np.maximum(cv2.GaussianBlur(off * off, (0, 0), WINDOW_SIGMA), 0)), np.float32)


def guarded(seen: Rgb, result: Rgb, blur: Blur, *, limit: float) -> Guarded:
    """The result, with the input in its place where they disagree by more than `limit` grey levels.

    Parameters
    ----------
    seen, result : (height, width, 3) uint8
    blur : Blur
    limit : float
        From data: the weights' card says what honest results reach.
    """
    off = disagreement(seen, result, blur)
    worst, bad = float(off.max(initial=0)), off > limit
    if not bad.any():
        return Guarded(result, 0.0, worst)
    reach = 2 * math.ceil(blur.extent_px / 2 + WINDOW_SIGMA) + 1
    wide = cv2.dilate(bad.astype(np.uint8), np.ones((reach, reach), np.uint8))
    share = float(wide.mean())
    if share > WHOLE:
        return Guarded(seen, 1.0, worst)
    keep = 1 - np.minimum(1, 2 * cv2.GaussianBlur(wide.astype(np.float32), (0, 0), FEATHER_PX))[..., None]
    keep[wide > 0] = 0
    mixed = seen + (result.astype(np.float32) - seen) * keep
    return Guarded(light.rounded(mixed), share, worst)
