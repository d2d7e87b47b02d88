"""Defocus: point spreads as disks, as Gaussians, and as measured from pictures.

Enters: a radius, or pictures. Leaves: kernels. Next: `wsipipe.deblur.degrade`, `wsipipe.deblur.classical`.

CN 111462010 A takes real out-of-focus pictures of the same field where there are any; `from_pair` measures the
spread of such a pair, `from_point` that of a picture of a small bright object. Disks and Gaussians are ours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError

Float = NDArray[np.float64]


def disk(radius_px: float, *, side: int | None = None) -> Float:
    """Geometric defocus: an even disk whose edge is smoothed over a pixel.

    Parameters
    ----------
    radius_px : float
        0 (exactly one pixel of value 1) or more.
    side : int, optional
        Odd; without it the least that holds the disk.

    Returns
    -------
    (side, side) float64
        0 or more, sum 1.

    Raises
    ------
    ConfigError
        For a radius that is negative or not finite, a side that is even or too small.
    """
    distance = _distance(radius_px, math.ceil(max(0.0, radius_px) + 0.5) if radius_px else 0, side)
    made = np.clip(radius_px + 0.5 - distance, 0, 1)
    return np.asarray(made / made.sum(), np.float64)


def gaussian(radius_px: float, *, side: int | None = None) -> Float:
    """A Gaussian with the standard deviation of a disk of that radius, half of it; cut at three deviations."""
    distance = _distance(radius_px, math.ceil(1.5 * max(0.0, radius_px)), side)
    made = np.exp(-2 * (distance / max(radius_px, 1e-3)) ** 2)
    return np.asarray(made / made.sum(), np.float64)


def from_point(picture: NDArray[np.floating], *, side: int = 15) -> Float:
    """The spread in a picture of one small bright object (a bead, a pinhole) on a darker, even ground.

    Parameters
    ----------
    picture : (height, width) floats
        Linear light. The object is where it is brightest; no other may be nearer than `side` pixels.
    side : int
        Odd.

    Returns
    -------
    (side, side) float64
        0 or more, sum 1, about the object's centre of mass to the pixel.

    Raises
    ------
    ConfigError
        Where nothing stands out of the ground, or the object is too near to the edge.
    """
    values = np.asarray(picture, np.float64) - float(np.median(picture))
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    reach = side // 2
    for _ in range(3):
        cut = values[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        if cut.shape != (side, side) or not cut.max() > 0:
            raise ConfigError(
                f"measuring a point spread: a bright object at least {reach} px from every edge is needed, the "
                f"brightest pixel is at row {y}, column {x} of {values.shape[0]} x {values.shape[1]}: cut it about one",
                subject="picture",
            )
        light = np.clip(cut - 0.02 * cut.max(), 0, None)
        offset = np.arange(side) - reach
        y += int(np.rint((light.sum(axis=1) * offset).sum() / light.sum()))
        x += int(np.rint((light.sum(axis=0) * offset).sum() / light.sum()))
    return np.asarray(light / light.sum(), np.float64)


def from_pair(
    sharp: NDArray[np.floating], blurred: NDArray[np.floating], *, side: int = 15, noise: float = 1e-3
) -> Float:
    """The spread that makes one picture of a field from another: least squares over frequencies.

    Parameters
    ----------
    sharp, blurred : (height, width) floats
        Linear light, of one field to the pixel.
    side : int
        Odd.
    noise : float
        Power of noise against the sharp picture's mean power, more than 0: larger is smoother.

    Returns
    -------
    (side, side) float64
        0 or more, sum 1.

    Raises
    ------
    ConfigError
        Where the pictures' shapes differ or are smaller than the spread.
    """
    if sharp.shape != blurred.shape or min(sharp.shape) < 2 * side:
        raise ConfigError(
            f"measuring a point spread: two pictures of one shape, at least {2 * side} px a side, are needed, got "
            f"{sharp.shape} and {blurred.shape}: cut them to the same field",
            subject="pair",
        )
    window = np.hanning(sharp.shape[0])[:, None] * np.hanning(sharp.shape[1])[None, :]
    first, second = (np.fft.fft2((one - one.mean()) * window) for one in (sharp, blurred))
    power = np.abs(first) ** 2
    spread = np.fft.fftshift(np.fft.ifft2(second * first.conj() / (power + noise * power.mean())).real)
    y, x = (length // 2 for length in spread.shape)
    reach = side // 2
    made = np.clip(spread[y - reach : y + reach + 1, x - reach : x + reach + 1], 0, None)
    return np.asarray(made / made.sum(), np.float64)


def _distance(radius_px: float, reach: int, side: int | None) -> Float:
    side = 2 * reach + 1 if side is None else side
    if not 0 <= radius_px <= 200 or side < 2 * reach + 1 or side % 2 == 0:
        raise ConfigError(
            f"a defocus has a radius of 0 to 200 px and a kernel with an odd side of {2 * reach + 1} or more, got "
            f"{radius_px:g} px and {side}: correct them",
            subject="defocus",
        )
    offset = np.arange(side) - side // 2
    return np.hypot(offset[:, None], offset[None, :])
