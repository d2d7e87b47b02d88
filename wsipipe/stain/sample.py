"""Which pixels speak for a slide's stains.

Enters: a few tiles of tissue. Leaves: a pooled sample of pixels. Next: `wsipipe.stain.extract`.

A percentile of angles is moved by one pixel in a hundred, so what is no stain is left out before: glass, ink,
folds, blood. And a mean of 3 x 3 pixels is taken first: compression and demosaicing colour single
pixels, which in pale slides is a third direction as strong as the second stain (on the 85 gland pictures it
turns eosin by up to 30 degrees); a nucleus is 12 pixels across at 0.5 um.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from wsipipe.stain.density import TABLE

Plane = NDArray[np.uint8]

DENSE = 0.2
"""A pixel where no channel is this dense is glass. Macenko's rule, *every* channel over 0.15, throws eosin out,
which leaves red light alone: it turns eosin by up to 19 degrees."""
LIGHT = 208
"""The same as a grey level: 208 is the last that is dense."""
INK = 25
"""Grey levels by which green exceeds red in ink, never in H&E."""
GREY = 10
"""Less chroma than this is black ink, a fold, dust."""
DARK = 25
"""A pixel whose brightest channel is below this is too dark to have a direction."""
SMOOTH_PX = 3
"""Side of the mean filter before pixels are drawn; odd."""


def speaks(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels are stained tissue.

    Parameters
    ----------
    rgb : (..., 3) uint8

    Returns
    -------
    (...) bool
        False for glass (`DENSE`), grey pixels (`GREY`), and what `is_dirt`.
    """
    return _marked(rgb, _speaking)


def is_dirt(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels are coloured by something else than a stain.

    Parameters
    ----------
    rgb : (..., 3) uint8

    Returns
    -------
    (...) bool
        True for ink (`INK`), black (`DARK`), and blood: as dense in blue as in green and hardly in red. The
        brown of diaminobenzidine, denser in red, is none: the gate must see it.
    """
    return _marked(rgb, _dirty)


def pool(tiles: NDArray[np.uint8], *, most: int, seed: int) -> NDArray[np.uint8]:
    """Draw pixels of stained tissue from smoothed tiles; none that dirt was smoothed into.

    Parameters
    ----------
    tiles : (N, height, width, 3) uint8
        N may be 0.
    most : int
        Pixels to draw; all where there are fewer.
    seed : int

    Returns
    -------
    (M, 3) uint8
        In the order of tiles, rows and columns.
    """
    import cv2

    kept = [np.zeros((0, 3), np.uint8)]
    for tile in tiles:
        smooth = cv2.blur(tile, (SMOOTH_PX, SMOOTH_PX), borderType=cv2.BORDER_REPLICATE)
        dirty = cv2.dilate(_dirty(cv2.split(tile)), np.ones((SMOOTH_PX, SMOOTH_PX), np.uint8))
        said = cv2.bitwise_and(_speaking(cv2.split(smooth)), cv2.bitwise_not(dirty))
        kept.append(smooth.reshape(-1, 3).take(np.flatnonzero(said), axis=0))
    pixels = np.concatenate(kept)
    if len(pixels) <= most:
        return pixels
    drawn = np.random.default_rng(seed).choice(len(pixels), most, replace=False)
    return np.asarray(pixels.take(np.sort(drawn), axis=0), np.uint8)


def _marked(rgb: NDArray[np.uint8], rule: Callable[[Sequence[Plane]], Plane]) -> NDArray[np.bool_]:
    """A rule of planes asked of pixels of any shape."""
    import cv2

    if not rgb.size:
        return np.zeros(rgb.shape[:-1], np.bool_)
    return np.asarray(rule(cv2.split(rgb.reshape(-1, 1, 3))).reshape(rgb.shape[:-1]) > 0)


def _speaking(planes: Sequence[Plane]) -> Plane:
    """255 where pixels are stained tissue, 0 elsewhere, in 8 bits all through."""
    import cv2

    red, green, blue = planes
    low, high = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    stained = cv2.bitwise_and(cv2.inRange(cv2.subtract(high, low), GREY, 255), cv2.inRange(low, 0, LIGHT))
    return np.asarray(cv2.bitwise_and(stained, cv2.bitwise_not(_dirty(planes))), np.uint8)


def _dirty(planes: Sequence[Plane]) -> Plane:
    """255 where pixels are dirt, 0 elsewhere; blood by what green allows red and blue to be."""
    import cv2

    red, green, blue = planes
    ink = cv2.inRange(cv2.subtract(green, red), INK, 255)
    dark = cv2.inRange(cv2.max(cv2.max(red, green), blue), 0, DARK - 1)
    light_red = cv2.compare(red, cv2.LUT(green, _RED_OVER), cv2.CMP_GT)
    dense_blue = cv2.compare(blue, cv2.LUT(green, _BLUE_UNDER), cv2.CMP_LT)
    return np.asarray(cv2.bitwise_or(cv2.bitwise_or(ink, dark), cv2.bitwise_and(light_red, dense_blue)), np.uint8)


def _blood() -> tuple[Plane, Plane]:
    """For each green: red is over, and blue under, these in blood. Density falls as a grey level rises."""
    green = TABLE[:, None]
    over = 255 - ((0.35 * green > TABLE) & (green > DENSE)).sum(axis=1)
    under = (0.85 * green < TABLE).sum(axis=1)
    return np.minimum(over, 255).astype(np.uint8), np.minimum(under, 255).astype(np.uint8)


_RED_OVER, _BLUE_UNDER = _blood()
