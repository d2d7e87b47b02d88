"""Deblurring with a known point spread, whatever its shape: Wiener's filter and Richardson and Lucy's iteration.

Enters: uint8 RGB tiles. Leaves: uint8 RGB tiles of the same size. Next: `wsipipe.deblur.stage`.

Channel by channel, through scikit-image. Named baselines for the learned network, and of use by themselves where
the blur is slight and even (a scanner's optics). A tile needs a halo: its edge is repeated beyond it, which
is wrong by as far as the filter reaches.

Sources: Wiener 1949 in the form of Orieux et al., JOSA A 27 (2010) 1593; Richardson, JOSA 62 (1972) 55; Lucy, Astron.
J. 79 (1974) 745.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsipipe.deblur import light

Shape = Literal["gaussian", "disk", "motion"]
Float = NDArray[np.float64]

FLOOR = 1e-6
"""Least value that Richardson and Lucy's iteration divides by."""


def point_spread(sigma_px: float, *, shape: str = "gaussian") -> Float:
    """A point spread of a given width.

    Parameters
    ----------
    sigma_px : float
        Standard deviation along either axis, more than 0.
    shape : {"gaussian", "disk"}
        ``disk`` is defocus by geometry: a disk of radius ``2 sigma_px``, its edge smoothed over a pixel.

    Returns
    -------
    (k, k) float64
        k odd, 0 or more, sum 1; cut at 3 sigma (Gaussian) or at the disk's edge.
    """
    radius = math.ceil(3 * sigma_px if shape == "gaussian" else 2 * sigma_px + 0.5)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    if shape == "gaussian":
        spread = np.exp(-(y * y + x * x) / (2 * sigma_px**2))
    else:
        spread = np.clip(2 * sigma_px + 0.5 - np.hypot(y, x), 0, 1)
    return np.asarray(spread / spread.sum(), np.float64)


def wiener(
    rgb: NDArray[np.uint8], spread: Float, *, balance: float = 0.01, in_light: bool = False
) -> NDArray[np.uint8]:
    """Wiener's filter with a smoothness prior.

    Parameters
    ----------
    rgb : (height, width, 3) uint8
    spread : (k, k) floats
        As `point_spread`, `wsipipe.deblur.motion` or `wsipipe.deblur.defocus` gives it; any kernel with an odd side.
    balance : float
        Weight of smoothness (the Laplacian) against fidelity, more than 0: larger is smoother.
    in_light : bool
        Filter linear light, where blur adds up, rather than the stored sRGB values.

    Returns
    -------
    (height, width, 3) uint8
        Clipped and rounded half up.
    """
    from skimage.restoration import wiener as filtered

    pad = len(spread)
    padded = _padded(rgb, pad, in_light=in_light)
    planes = [filtered(padded[..., channel], spread, balance, clip=False) for channel in range(3)]
    return _pixels(np.stack(planes, axis=-1), pad, in_light=in_light)


def richardson_lucy(
    rgb: NDArray[np.uint8], spread: Float, *, iterations: int = 8, in_light: bool = False
) -> NDArray[np.uint8]:
    """Richardson and Lucy's iteration, stopped early: more iterations are sharper and noisier.

    Parameters
    ----------
    rgb : (height, width, 3) uint8
    spread : (k, k) floats
    iterations : int
        1 or more.
    in_light : bool
        Work on linear light rather than the stored sRGB values.

    Returns
    -------
    (height, width, 3) uint8
        Clipped and rounded half up.

    Notes
    -----
    About 1 s for 512 x 512 and 8 iterations on one core, thirty times as long as `wiener`.
    """
    from skimage.restoration import richardson_lucy as iterated

    pad = len(spread)
    padded = _padded(rgb, pad, in_light=in_light)
    planes = [
        iterated(padded[..., channel], spread, num_iter=iterations, clip=True, filter_epsilon=FLOOR)
        for channel in range(3)
    ]
    return _pixels(np.stack(planes, axis=-1), pad, in_light=in_light)


def reach_px(sigma_px: float, *, iterations: int = 0, shape: str = "gaussian") -> int:
    """Pixels from an edge to where a tile restored alone is within a grey level of the restored whole.

    Parameters
    ----------
    sigma_px : float
    iterations : int
        Of `richardson_lucy`; 0 is `wiener`.
    shape : {"gaussian", "disk"}

    Returns
    -------
    int
        Measured on the CMU region: Wiener's response fades within 16 sigma for a Gaussian (balance 0.001 or
        more) and, because a disk's spectrum has zeros, within 32 for a disk (balance 0.01 or more); an
        iteration reaches a kernel further each time, but what it carries fades with the square root of their number.
    """
    if iterations:
        return math.ceil(sigma_px * (8 + 1.5 * math.sqrt(iterations)))
    return math.ceil(sigma_px * (32 if shape == "disk" else 16))


def _padded(rgb: NDArray[np.uint8], pad: int, *, in_light: bool) -> Float:
    """Values from 0 to 1 with the edge repeated `pad` pixels outwards."""
    values = light.linear(rgb).astype(np.float64) if in_light else rgb.astype(np.float64) / 255
    return np.pad(values, ((pad, pad), (pad, pad), (0, 0)), mode="edge")


def _pixels(values: Float, pad: int, *, in_light: bool) -> NDArray[np.uint8]:
    """The inner part as pixels."""
    inner = values[pad:-pad, pad:-pad]
    return light.rounded(light.coded(inner) if in_light else inner * 255)
