"""How sharp the tissue of a tile is, in one number that does not mind the stain's strength or empty glass.

Enters: uint8 RGB tiles. Leaves: a number per tile. Next: `wsipipe.deblur.stage` makes a stage of it; the gate and
the deblur step read it.

Blur flattens small distances and leaves large ones: of the differences of density between pixels of tissue
`near_px` apart, and `far_px` apart, the mean squares are compared. That is Brenner's measure over a measure of
contrast of the same kind; a variance in the denominator would count vignetting, and glass, as contrast.
Source: Brenner et al., J. Histochem. Cytochem. 24 (1976) 100, for the numerator; the ratio is ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GLASS = 219
"""A pixel whose darkest channel is lighter than this (density below 0.15) is glass and is not compared."""
MIN_SHARE = 0.02
"""Tiles where less than this share of pixel pairs are tissue have no measure."""
MIN_CONTRAST = 1e-3
"""Least mean square of density differences `far_px` apart (0.03 in density); below, only noise could be measured."""
MIN_FOCUS = 0.08
"""Proposed limit of a slide's median at 0.5 um a pixel. There, sharp tiles of the two slides have 0.21 to 0.36, of
made slides 0.12 and more; blurred by a Gaussian of 2 px (1 um) 0.06 to 0.12, of 3 px 0.05 to 0.07. At other mpp the
numbers are others: finer pixels of the same sharp tissue (0.25 um) have 0.08 to 0.10."""

_DENSITY = -np.log(np.maximum(np.arange(256), 1) / 255.0).astype(np.float32)


def sharpness(rgb: NDArray[np.uint8], *, near_px: int = 2, far_px: int = 12) -> float:
    """Contrast at a small distance over contrast at a large one.

    Parameters
    ----------
    rgb : (height, width, 3) uint8
        Sides larger than `far_px`.
    near_px, far_px : int
        The two distances, in pixels; ``1 <= near_px < far_px``.

    Returns
    -------
    float
        0 to about 1: ``(near_px / far_px) ** 2`` and a little more for what has no detail left, 0.2 to 0.4 for sharp
        H&E at 0.5 um, 1 for noise. NaN where less than `MIN_SHARE` of the tile is tissue or it has less
        than `MIN_CONTRAST`: nothing to be sharp.

    Notes
    -----
    Of the green channel's density, where both stains absorb, after a Gaussian of 0.7 px that keeps noise
    and compression from passing for detail. Scaling all densities changes nothing.
    """
    import cv2

    red, green, blue = cv2.split(np.ascontiguousarray(rgb))
    density = cv2.GaussianBlur(cv2.LUT(green, _DENSITY), (0, 0), 0.7)
    tissue = cv2.compare(cv2.min(cv2.min(red, green), blue), GLASS, cv2.CMP_LE)
    near, _ = _mean_square(density, tissue, near_px)
    far, pairs = _mean_square(density, tissue, far_px)
    enough = pairs >= MIN_SHARE * 2 * tissue.size and far >= MIN_CONTRAST
    return near / far if enough else float("nan")


def _mean_square(density: Any, tissue: Any, step: int) -> tuple[float, int]:
    """Mean square of differences `step` apart along both axes, of pairs that are both tissue, and their number."""
    import cv2

    total, pairs = 0.0, 0
    early, late = slice(None, -step), slice(step, None)
    for first, second in ((early, ...), (late, ...)), ((..., early), (..., late)):
        both = cv2.bitwise_and(tissue[first], tissue[second])
        total += cv2.norm(density[first], density[second], cv2.NORM_L2SQR, both)
        pairs += cv2.countNonZero(both)
    return total / max(pairs, 1), pairs
