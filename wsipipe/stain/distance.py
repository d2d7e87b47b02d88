"""How far stain vectors lie from haematoxylin and eosin.

Enters: two fitted vectors. Leaves: their order, and an angle. Next: `wsipipe.lesion.gate` refuses slides
whose angle is too large (immunohistochemistry, a stain that failed).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STANDARD = np.array([[0.600, 0.740, 0.300], [0.200, 0.920, 0.330]])
"""Directions of haematoxylin and eosin (density in R, G, B; rows nearly of unit length): the middle of what
`wsipipe.stain.extract.macenko` finds in the H&E pictures at hand. Published vectors lie to one side of them:
Ruifrok's eosin has hardly any red or blue and is 20 to 30 degrees from that of most scanners; the reference of
Macenko's code is about 23 degrees from that of the gland pictures."""

MAX_DEG = 25.0
"""A slide further than this from `STANDARD` is not H&E. ``tests/benchmarks/gate_stain.py`` prints the
table it was read from: of 138 H&E pictures 136 have 4 to 21 degrees and two dark ones under a grey lamp 27 and 28;
immunohistochemistry has 29 (blue and red, kidney) and 38 (brown). A counterstain without any positive cell
has one stain only, and what a fit makes of it is chance: this gate does not promise to refuse it."""


def he_distance(stain_matrix: NDArray[np.floating[Any]]) -> float:
    """Largest angle between fitted vectors and standard haematoxylin and eosin.

    Parameters
    ----------
    stain_matrix : (2, 3) floats
        Stain vectors as rows of any length, in either order: the order that fits better counts.

    Returns
    -------
    float
        Degrees, 0 to 180; NaN where the matrix holds NaN (no fit).
    """
    angles = angles_deg(in_order(stain_matrix), STANDARD)
    return float(np.max(angles))


def in_order(stain_matrix: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The same two rows, that of haematoxylin first: the order whose two angles to `STANDARD` add up to less.

    TIAToolbox and staintools put the vector with more red density first, which is the same wherever the
    fit is one of H&E, and arbitrary for pale slides, where both have about as much.
    """
    rows = np.asarray(stain_matrix, np.float64)
    turned = rows[::-1]
    return turned if angles_deg(turned, STANDARD).sum() < angles_deg(rows, STANDARD).sum() else rows


def angles_deg(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Angles between the rows of two (N, 3) arrays, in degrees."""
    cosine = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))), np.float64)
