"""Glass or tissue, by Otsu's threshold on how coloured a pixel is, with a verdict where there are no two classes.

Enters: a small picture of a slide, or a tile, as uint8 RGB. Leaves: a threshold, and binary masks.
Next: `wsipipe.tissue.stage` makes stages of them; the run keeps the tiles with enough tissue.

Why colour and not darkness: glass is white, grey, or shaded (vignetting, dust, stitched fields of unequal
brightness), but hardly coloured, while pale eosin is as light as shaded glass and still pink. Over the
pictures we have, sampled at 16 px a pixel, the chroma ``max(R, G, B) - min(R, G, B)`` of empty tiles has the
median 6 and of the palest tissue fields 39; their darkness is 40 and 56 of 255, with tails that overlap. HSV
saturation (chroma over maximum) separates as well but is noise in black borders. The square root spreads the
pale end, where the choice is made: plain chroma puts the threshold midway to the *strongest* colour and
loses loose stroma of a deeply stained slide.

Pen and borders, as far as one pixel tells: black ones, and those greener than red by `PEN` (green, cyan
and most blue ink; no more than 1 in 1,000 of the H&E pixels that we have, the cut edge of the CMU region, which
is inked, apart) are never tissue. Red pen looks like eosin and stays.

Source: Otsu, IEEE Trans. SMC 9 (1979) 62. CN 112990339 A asks for Otsu tile by tile and does not say what to do
with a tile that is all tissue or all glass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

GLASS = 64.0
"""A class whose mean colour is at most this (chroma 16) is glass."""
TINTED_GLASS = 96.0
"""The same (chroma 36) where the class is `FLAT` and stands apart: glass under a warm lamp, or a tinted mountant."""
FLAT = 6
"""Middle half of a class of tinted glass, levels from first to third quartile: real glass that was tinted has 0 to 6,
the lower class of fields that are all tissue 7 to 42."""
SEPARATE = 0.75
"""Otsu's eta from which classes stand apart. One bell curve has 0.64, even grey 0.75; real whole slides 0.90 and
0.94, and 0.76 to 0.94 once tinted."""
LEAST = 40.0
"""A threshold between glass and tissue is at least this (chroma 6): JPEG colours glass that much at finer scales."""
DUST = 1e-4
"""A smaller share of coloured pixels on an otherwise blank slide is dust."""
BLACK = 25
"""A pixel whose brightest channel is under this is a border or black ink."""
PEN = 25
"""Green less red from which a pixel is ink."""

KEEP_ALL = -1.0
"""The threshold that every pixel exceeds."""
KEEP_NONE = 255.0
"""The threshold that no pixel exceeds."""

_ROOT = np.floor(16.0 * np.sqrt(np.arange(256)) + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class Split:
    """What a histogram says of a picture.

    Parameters
    ----------
    threshold : float
        A pixel is tissue where its colour exceeds this; `KEEP_ALL` or `KEEP_NONE` where there are no two classes.
    bimodal : bool
        Whether there are two classes, glass and tissue.
    kind : {"both", "tissue", "glass"}
        What there is.
    """

    threshold: float
    bimodal: bool
    kind: Literal["both", "tissue", "glass"]


def colour(rgb: Pixels) -> Pixels:
    """How coloured each pixel is.

    Parameters
    ----------
    rgb : (..., 3) uint8

    Returns
    -------
    (...) uint8
        16 times the square root of the chroma, rounded half up: 0 grey, white and black; 16 to 45 glass;
        65 and more tissue; at most 255.
    """
    return _coloured(_planes(rgb)).reshape(rgb.shape[:-1])


def is_ink(rgb: Pixels) -> NDArray[np.bool_]:
    """Which pixels are black borders, or ink greener than red: (...) bool. Red ink is not told from eosin."""
    return _inked(_planes(rgb)).reshape(rgb.shape[:-1])


def histogram(rgb: Pixels) -> NDArray[np.int64]:
    """Counts of `colour` over the pixels that are no ink: (256,) int64."""
    planes = _planes(rgb)
    return np.bincount(_coloured(planes)[~_inked(planes)], minlength=256)


def otsu(counts: NDArray[np.integer[Any]]) -> tuple[int, float]:
    """Otsu's threshold of a histogram.

    Parameters
    ----------
    counts : (L,) integers
        Pixels of each grey level; at least one.

    Returns
    -------
    level : int
        Pixels up to and with it are the lower class; the smallest where several separate equally well, and the
        only level where there is but one.
    eta : float
        Variance between the classes over total variance, 0 to 1; 0 where there is only one level.
    """
    weights = counts.astype(np.float64) / counts.sum()
    levels = np.arange(len(weights), dtype=np.float64)
    below, sums = np.cumsum(weights), np.cumsum(weights * levels)
    mean = sums[-1]
    product = below * (1 - below)
    between = np.divide((mean * below - sums) ** 2, product, out=np.zeros_like(below), where=product > 1e-12)
    total = float((weights * (levels - mean) ** 2).sum())
    if total == 0:
        return int(np.argmax(weights)), 0.0
    level = int(np.argmax(between))
    return level, float(between[level]) / total


def split(counts: NDArray[np.integer[Any]]) -> Split:
    """Where to part glass from tissue, and whether there is anything to part.

    Parameters
    ----------
    counts : (256,) integers
        As `histogram` gives them; all 0 is a picture of nothing but ink: glass.

    Returns
    -------
    Split

    Notes
    -----
    With the classes that `otsu` finds and their mean colours:

    1. The lower class is not glass: its mean exceeds `GLASS`, and it is not the flat, separate class of tinted
       glass either (mean at most `TINTED_GLASS`, quartiles at most `FLAT` apart, eta at least `SEPARATE`).
       There is only tissue, and all is kept.
    2. The upper class is not tissue (mean at most `GLASS`): the threshold parts glass from glass. Where
       more than `DUST` of the pixels exceed `GLASS` these are a small piece of tissue, and `GLASS` is the
       threshold; else there is only glass, and nothing is kept.
    3. Otherwise Otsu's threshold, at least `LEAST`.
    """
    if not counts.any():
        return Split(KEEP_NONE, False, "glass")
    level, eta = otsu(counts)
    lower, upper = _mean(counts, 0, level), _mean(counts, level + 1, len(counts) - 1)
    tinted = eta >= SEPARATE and _middle_half(counts[: level + 1]) <= FLAT
    if lower > (TINTED_GLASS if tinted else GLASS):
        return Split(KEEP_ALL, False, "tissue")
    if upper > GLASS:
        return Split(max(float(level), LEAST), True, "both")
    if counts[int(GLASS) + 1 :].sum() > DUST * counts.sum():
        return Split(GLASS, True, "both")
    return Split(KEEP_NONE, False, "glass")


def tissue(rgb: Pixels, threshold: float | NDArray[np.floating[Any]], *, median_px: int = 3) -> Pixels:
    """Which pixels of pictures are tissue.

    Parameters
    ----------
    rgb : (height, width, 3) or (N, height, width, 3) uint8
        One picture, or several that have nothing to do with each other.
    threshold : float, or (N, 1, 1) floats
        Of `colour`; tissue exceeds it.
    median_px : int
        Side of the median that smooths the mask, odd; 1 smooths nothing. The outer ``median_px // 2`` pixels
        of what is returned depend on pixels that are not there: the edge is repeated, or with several pictures is
        the next one's.

    Returns
    -------
    (height, width) or (N, height, width) uint8
        1 tissue, 0 not.
    """
    import cv2

    planes, shape = _planes(rgb), rgb.shape[:-1]
    raw = ((_coloured(planes).reshape(shape) > threshold) & ~_inked(planes).reshape(shape)).astype(np.uint8)
    if median_px == 1 or not raw.size:
        return raw
    if raw.ndim == 2:
        return np.asarray(cv2.medianBlur(raw, median_px), np.uint8)
    beside = raw.transpose(1, 0, 2).reshape(shape[1], -1)  # wide rows, which OpenCV is quick with
    made = np.asarray(cv2.medianBlur(beside, median_px), np.uint8).reshape(shape[1], shape[0], shape[2])
    return made.transpose(1, 0, 2)


def _planes(rgb: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Red, green, blue of every pixel, each (pixels,) and in one piece, for OpenCV's loops."""
    import cv2

    if not rgb.size:
        return (np.zeros(0, np.uint8),) * 3
    red, green, blue = cv2.split(np.ascontiguousarray(rgb).reshape(1, -1, 3))
    return red[0], green[0], blue[0]


def _coloured(planes: tuple[Pixels, Pixels, Pixels]) -> Pixels:
    import cv2

    red, green, blue = planes
    if not red.size:
        return red
    chroma = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return np.asarray(cv2.LUT(chroma, _ROOT), np.uint8).ravel()


def _inked(planes: tuple[Pixels, Pixels, Pixels]) -> NDArray[np.bool_]:
    import cv2

    red, green, blue = planes
    if not red.size:
        return red.astype(np.bool_)
    bright, greener = cv2.max(cv2.max(red, green), blue), cv2.subtract(green, red)
    return np.asarray((bright < BLACK) | (greener >= PEN), np.bool_).ravel()


def _mean(counts: NDArray[np.integer[Any]], first: int, last: int) -> float:
    """Mean level from `first` to `last`, both included; minus infinity where there is no pixel."""
    part = counts[first : last + 1]
    return float(part @ np.arange(first, last + 1) / part.sum()) if part.any() else float("-inf")


def _middle_half(counts: NDArray[np.integer[Any]]) -> int:
    """Levels from the first to the third quartile of a histogram that is not empty."""
    below = np.cumsum(counts) / counts.sum()
    first, third = np.searchsorted(below, [0.25, 0.75])
    return int(third - first)
