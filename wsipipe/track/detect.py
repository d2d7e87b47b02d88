"""Objects of one frame: bright or dark spots, or the labels of a picture that is segmented already.

Enters: a grey frame, or a label picture. Leaves: a table with ``y``, ``x``. Next room: `wsipipe.track.link`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import regionprops_table

COLUMNS = ("y", "x", "mass", "label")
NOISE_SIGMAS = 6.0
"""A spot stands out by this many of the filtered frame's robust standard deviations."""


def spots(
    grey: NDArray[Any], *, sigma_px: float = 2.0, threshold: float | None = None, dark: bool = False
) -> pd.DataFrame:
    """Spots by the Laplacian of a Gaussian (Lindeberg, 1998), to a part of a pixel.

    Parameters
    ----------
    grey : (H, W) numbers
    sigma_px : float
        Of the spots: their radius over the root of 2.
    threshold : float, optional
        Of the filtered frame; by default `NOISE_SIGMAS` robust standard deviations.
    dark : bool
        Dark spots on bright ground.

    Returns
    -------
    DataFrame
        ``y``, ``x`` (pixels, middle of the first pixel is 0), ``mass`` (response of the filter), ``label`` (0).
    """
    frame = grey.astype(np.float64)
    filtered = -(sigma_px**2) * ndimage.gaussian_laplace(frame, sigma_px, mode="nearest")
    filtered = -filtered if dark else filtered
    middle = float(np.median(filtered))
    spread = 1.4826 * float(np.median(np.abs(filtered - middle)))
    least = middle + NOISE_SIGMAS * spread + 1e-9 if threshold is None else threshold
    peaks = peak_local_max(filtered, min_distance=max(1, round(sigma_px)), threshold_abs=least, exclude_border=False)
    peaks = peaks[np.lexsort((peaks[:, 1], peaks[:, 0]))]
    rows = [(*_refined(filtered, int(y), int(x)), float(filtered[y, x]), 0) for y, x in peaks]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _refined(filtered: NDArray[np.float64], y: int, x: int) -> tuple[float, float]:
    """The top of a parabola through the neighbours on each axis."""
    found = []
    for at, line in ((y, filtered[:, x]), (x, filtered[y])):
        if not 0 < at < len(line) - 1:
            found.append(float(at))
            continue
        below, here, above = line[at - 1 : at + 2]
        bend = below - 2 * here + above
        found.append(at + float(np.clip((below - above) / (2 * bend), -0.5, 0.5)) if bend < 0 else float(at))
    return found[0], found[1]


def labelled(labels: NDArray[np.integer[Any]]) -> pd.DataFrame:
    """Middles of the labels of a segmented frame; 0 is background. ``mass`` is the area in pixels."""
    found = regionprops_table(labels.astype(np.int32), properties=("centroid", "area", "label"))
    return pd.DataFrame({
        "y": found["centroid-0"], "x": found["centroid-1"], "mass": found["area"].astype(float), "label": found["label"]
    })  # fmt: skip
