"""The fit of one slide's stains.

Enters: pooled pixels of stained tissue. Leaves: a `Fit`. Next: `wsipipe.stain.stage` writes it down as five
slide-level arrays; `wsipipe.stain.reference` makes targets of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsipipe.stain import reinhard
from wsipipe.stain.backends import extract
from wsipipe.stain.density import Float
from wsipipe.stain.distance import he_distance
from wsipipe.stain.extract import MIN_PIXELS, RUIFROK, checked, greatest, macenko, vahadane

Method = Literal["macenko", "vahadane", "reinhard", "ruifrok", "none"]

MIN_MAX = 0.05
"""A stain whose 99th percentile is below this density is absent, and cannot be scaled."""


@dataclass(frozen=True)
class Fit:
    """What is known of a slide's stains; NaN throughout where it could not be found.

    Parameters
    ----------
    matrix : (2, 3) float64
        Unit stain vectors, haematoxylin first.
    greatest : (2,) float64
        99th percentiles of concentrations.
    lab : (2, 3) float64
        Means and deviations in LAB.
    valid : bool
        Whether the method asked for can be applied.
    distance_deg : float
        `he_distance` of Macenko's vectors, whatever the method: Ruifrok's are constants and say nothing.
    """

    matrix: Float
    greatest: Float
    lab: Float
    valid: bool
    distance_deg: float


def fit_pixels(pixels: NDArray[np.uint8], *, method: str = "macenko", backend: str = "wsipipe") -> Fit:
    """Fit a slide's stains.

    Parameters
    ----------
    pixels : (M, 3) uint8
        Of stained tissue, pooled over the slide; fewer than `MIN_PIXELS` give nothing.
    method : {"macenko", "vahadane", "reinhard", "ruifrok", "none"}
        ``reinhard`` and ``none`` carry Macenko's vectors for the record.
    backend : {"wsipipe", "staintools", "tiatoolbox"}
        Whose extractor, for ``macenko`` and ``vahadane``; the others are the same in all three.

    Returns
    -------
    Fit

    Raises
    ------
    UsageError
        Where the back end is not installed.
    """
    own = macenko(pixels)
    matrix = _matrix(pixels, method, backend, own)
    strengths = greatest(pixels, matrix) if matrix is not None and len(pixels) >= MIN_PIXELS else None
    lab = reinhard.statistics(pixels) if len(pixels) >= MIN_PIXELS else np.full((2, 3), np.nan)
    unmixes = strengths is not None and bool(strengths.min() >= MIN_MAX)
    stretches = bool(lab[1].min() >= reinhard.MIN_SPREAD)
    return Fit(
        matrix=np.full((2, 3), np.nan) if matrix is None else matrix,
        greatest=np.full(2, np.nan) if strengths is None else strengths,
        lab=lab,
        valid=stretches if method == "reinhard" else unmixes,
        distance_deg=float("nan") if own is None else he_distance(own),
    )


def _matrix(pixels: NDArray[np.uint8], method: str, backend: str, own: Float | None) -> Float | None:
    if method == "ruifrok":
        return checked(RUIFROK)
    if method in ("reinhard", "none"):
        return own
    if backend != "wsipipe":
        return extract(pixels, backend=backend, method=method)
    return vahadane(pixels) if method == "vahadane" else own
