"""Stain vectors from a pooled sample of pixels: Macenko, Vahadane, Ruifrok.

Enters: (M, 3) uint8 pixels of stained tissue, as `wsipipe.stain.sample.pool` draws them from a whole slide. Leaves:
a (2, 3) matrix, rows of unit length, haematoxylin first, or None where there is nothing to fit.
Next: `wsipipe.stain.stage`. Fitted once per slide, never per tile: a tile of stroma alone has no haematoxylin, and
would be given some.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.stain.density import Float, density, nonnegative_codes, times, unmixer
from wsipipe.stain.distance import STANDARD, angles_deg, in_order

MIN_PIXELS = 1000
"""Fewer stained pixels than this say nothing of a slide."""
MIN_ANGLE_DEG = 4.0
"""Two vectors closer than this are one stain: unmixing them would only amplify noise."""
MOST_NEGATIVE = -0.1
"""A unit vector with a lower entry is no stain: it would make light."""

RUIFROK = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
"""Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23 (2001) 291, table 2; rows have unit length within 1 %."""


def macenko(pixels: NDArray[np.uint8], *, percentile: float = 1.0) -> Float | None:
    """Stain vectors as the extreme directions in the plane of greatest variance.

    Parameters
    ----------
    pixels : (M, 3) uint8
    percentile : float
        Percentage of pixels beyond each extreme.

    Returns
    -------
    (2, 3) float64 or None
        None for fewer than `MIN_PIXELS` pixels, or where they vary along a line.

    Notes
    -----
    Macenko et al., ISBI 2009. As in TIAToolbox and staintools the plane is that of the two largest
    eigenvectors of the covariance; what differs is which pixels enter (`wsipipe.stain.sample`).
    """
    if len(pixels) < MIN_PIXELS:
        return None
    od = density(pixels)
    away = od - od.mean(axis=0)
    values, vectors = np.linalg.eigh(np.einsum("mi,mj->ij", away, away) / (len(od) - 1))
    if values[1] <= 1e-6 * max(values[2], 1e-12):
        return None
    plane = vectors[:, [2, 1]]
    plane = plane * np.where(plane[0] < 0, -1.0, 1.0)
    at = times(od, plane)
    low, high = np.percentile(np.arctan2(at[:, 1], at[:, 0]), [percentile, 100 - percentile])
    return checked(np.stack([plane @ [np.cos(angle), np.sin(angle)] for angle in (low, high)]))


def vahadane(pixels: NDArray[np.uint8], *, penalty: float = 0.1, rounds: int = 200) -> Float | None:
    """Stain vectors by sparse non-negative matrix factorisation.

    Parameters
    ----------
    pixels : (M, 3) uint8
    penalty : float
        Weight of the sum of concentrations: a larger one draws the vectors apart, so that a pixel is made of
        one stain rather than two.
    rounds : int
        At most this many; it ends when neither vector turns by more than 0.001 degrees.

    Returns
    -------
    (2, 3) float64 or None

    Notes
    -----
    Vahadane et al., IEEE Trans. Med. Imaging 35 (2016) 1962: minimise ``|OD - C S|^2 / 2 + penalty |C|`` with
    C and S not negative. Exact codes and exact row updates in turn over all pixels, from Macenko's vectors:
    no random start, no time limit, unlike SPAMS, which staintools lets run for one second.
    """
    start = macenko(pixels)
    if start is None:
        return None
    od, stains = density(pixels), _unit(np.maximum(start, 0.0))
    for _ in range(rounds):
        codes = nonnegative_codes(od, stains, penalty)
        turned = _better(stains, np.einsum("mi,mj->ij", codes, codes), np.einsum("mi,mj->ij", codes, od))
        moved = angles_deg(stains, turned).max()
        stains = turned
        if moved < 1e-3:
            break
    return checked(stains)


def checked(stain_matrix: Float) -> Float | None:
    """Unit rows, haematoxylin first; None where they are not two stains (`MIN_ANGLE_DEG`, `MOST_NEGATIVE`, NaN)."""
    length = np.sqrt((stain_matrix**2).sum(axis=1, keepdims=True))
    if not np.isfinite(stain_matrix).all() or length.min() <= 0:
        return None
    stains = in_order(stain_matrix / length)
    alike = angles_deg(stains[:1], stains[1:])[0] < MIN_ANGLE_DEG
    return None if alike or stains.min() < MOST_NEGATIVE else stains


def greatest(pixels: NDArray[np.uint8], stain_matrix: Float) -> Float:
    """99th percentile of each stain's concentration: (2,) float64, in density along the unit vectors."""
    codes = times(density(pixels), unmixer(stain_matrix))
    return np.asarray(np.percentile(codes, 99, axis=0), np.float64)


def _better(stains: Float, codes_codes: Float, codes_od: Float) -> Float:
    """One exact update of each row, the other kept: least squares, not negative, of unit length at most."""
    rows = stains.copy()
    for row in range(2):
        weight = codes_codes[row, row]
        if weight <= 0:
            return np.asarray(STANDARD, np.float64)
        gradient = codes_od[row] - codes_codes[row, 0] * rows[0] - codes_codes[row, 1] * rows[1]
        free = np.maximum(rows[row] + gradient / weight, 0.0)
        rows[row] = free / max(float(np.sqrt((free**2).sum())), 1.0)
    return rows


def _unit(rows: Float) -> Float:
    return np.asarray(rows / np.sqrt(np.maximum((rows**2).sum(axis=1, keepdims=True), 1e-24)), np.float64)
