"""Which pixels speak for a slide's stains.

Enters: a few tiles of tissue. Leaves: a pooled sample of pixels. Next: `wsipipe.stain.extract`.

A percentile of angles is moved by one pixel in a hundred, so what is no stain is left out before: glass, ink,
folds, blood. And a mean of 3 x 3 pixels is taken first: compression and demosaicing colour single
pixels, which in pale slides is a third direction as strong as the second stain (on the 85 gland pictures it
turns eosin by up to 30 degrees); a nucleus is 12 pixels across at 0.5 um.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.stain.density import density

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
    low, high = _extremes(rgb)
    return np.asarray((high - low >= GREY) & (low <= LIGHT) & ~is_dirt(rgb), np.bool_)


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
    red, green = rgb[..., 0], rgb[..., 1]
    _, high = _extremes(rgb)
    ink = (green > red) & (green - np.minimum(red, green) >= INK)
    od = density(rgb)
    blood = (od[..., 0] < 0.35 * od[..., 1]) & (od[..., 2] > 0.85 * od[..., 1]) & (od[..., 1] > DENSE)
    return np.asarray(ink | (high < DARK) | blood, np.bool_)


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
        dirty = cv2.dilate(is_dirt(tile).astype(np.uint8), np.ones((SMOOTH_PX, SMOOTH_PX), np.uint8))
        kept.append(smooth[speaks(smooth) & (dirty == 0)])
    pixels = np.concatenate(kept)
    if len(pixels) <= most:
        return pixels
    drawn = np.random.default_rng(seed).choice(len(pixels), most, replace=False)
    return np.asarray(pixels[np.sort(drawn)], np.uint8)


def _extremes(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Smallest and greatest channel; written out because a reduction over an axis of three is slow."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
