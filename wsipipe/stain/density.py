"""Optical density, which adds up where stains lie on one another, and concentrations in it.

Enters: uint8 RGB. Leaves: densities and concentrations as float64. Next: `wsipipe.stain.extract`.

Natural logarithm and white at 255: ``od = max(-ln(max(v, 1) / 255), 1e-6)``. That is the convention of
TIAToolbox and staintools, so their stain matrices and greatest concentrations mean the same here. (Macenko
2009 has ``-log10((v + 1) / 256)``; directions differ by less than a degree, lengths by a factor of 2.3.)

Sums are written out instead of left to BLAS, whose last digits depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

TABLE = np.maximum(-np.log(np.maximum(np.arange(256), 1) / 255.0), 1e-6)
"""Density of each of the 256 values: 1e-6 at 255, 5.54 at 1 and 0."""


def density(rgb: NDArray[np.uint8]) -> Float:
    """Optical density of each channel: (..., 3) uint8 to (..., 3) float64, 1e-6 to 5.54."""
    return np.asarray(TABLE[rgb], np.float64)


def times(rows: NDArray[np.floating[Any]], matrix: NDArray[np.floating[Any]]) -> Float:
    """``rows @ matrix`` for few columns, the same bytes for a row whatever rows stand beside it.

    Parameters
    ----------
    rows : (M, K) floats
        K is 2 or 3.
    matrix : (K, L) floats

    Returns
    -------
    (M, L) float64
    """
    made = np.zeros((len(rows), matrix.shape[1]), np.float64)
    for column, weights in zip(rows.T, matrix, strict=True):
        made += column[:, None] * weights
    return made


def unmixer(stain_matrix: NDArray[np.floating[Any]]) -> Float:
    """The (3, 2) pseudo-inverse that turns densities into concentrations by least squares."""
    return np.asarray(np.linalg.pinv(np.asarray(stain_matrix, np.float64)), np.float64)


def nonnegative_codes(od: NDArray[np.floating[Any]], stain_matrix: Float, penalty: float) -> Float:
    """Concentrations of two stains, none negative, by the lasso in closed form.

    Parameters
    ----------
    od : (M, 3) floats
    stain_matrix : (2, 3) float64
        Unit rows.
    penalty : float
        Weight of the sum of concentrations, 0 or more; 0 is non-negative least squares.

    Returns
    -------
    (M, 2) float64
        Minimisers of ``|od - c S|^2 / 2 + penalty * sum(c)`` over ``c >= 0``; the ``mode=2`` of SPAMS.

    Notes
    -----
    With ``q = od S' - penalty`` and ``g`` the cosine of the stains the free optimum is
    ``(q1 - g q2, q2 - g q1) / (1 - g^2)``. Where it has a negative entry that stain is 0 and the other
    ``max(q, 0)``; both cannot be negative unless both q are.
    """
    cosine = float((stain_matrix[0] * stain_matrix[1]).sum())
    pull = times(od, stain_matrix.T) - penalty
    free = (pull - cosine * pull[:, ::-1]) / (1.0 - cosine**2)
    alone = np.maximum(pull, 0.0)
    return np.where(free < 0, 0.0, np.where(free[:, ::-1] < 0, alone, free))
