"""Degrade a sharp picture as a microscope's camera would: blur in linear light, noise, 8 bit, perhaps JPEG.

Enters: uint8 RGB and kernels. Leaves: uint8 RGB. Next: tests, `wsipipe.evaluate.deblur`; training degrades with the
same kernels on its device (`wsipipe.models.blur_kernel`).

CN 111462010 A makes m > 1 versions of one sharp picture that differ in level and direction, and may combine kinds;
linear light, noise of photons and of reading, and rounding are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from wsipipe.deblur import light
from wsipipe.errors import ConfigError

Rgb = NDArray[np.uint8]
Kernel = NDArray[np.float64]
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Camera:
    """What happens to light after the lens.

    Parameters
    ----------
    noise : float
        Standard deviation of even noise, grey levels of the stored picture; 0 is none.
    photons : float
        Electrons of a pixel at white, whose number is Poisson's; 0 is none of this noise.
    jpeg : int
        Quality of JPEG compression, 1 to 100; 0 is none.
    """

    noise: float = 1.0
    photons: float = 0.0
    jpeg: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 255 or not 0 <= self.photons < np.inf or not 0 <= self.jpeg <= 100:
            raise ConfigError(
                f"noise is 0 to 255 grey levels, photons 0 or more, jpeg 0 to 100, got {self.noise:g}, "
                f"{self.photons:g}, {self.jpeg}: correct them",
                subject="camera",
            )


def degrade(rgb: Rgb, kernel: Kernel, *, camera: Camera | None = None, seed: int = 0) -> Rgb:
    """One blurred version of a picture.

    Parameters
    ----------
    rgb : (height, width, 3) uint8
    kernel : (k, k) float64
        Odd side, 0 or more, sum 1.
    camera : Camera, optional
        Noise of one grey level if not given.
    seed : int
        Of the noise.

    Returns
    -------
    (height, width, 3) uint8
        With a delta and no noise, exactly the picture. What lies beyond the edge is mirrored: a rim of half a kernel is
        not what a camera would have seen.

    Raises
    ------
    ConfigError
        For a kernel that is none, or a picture that is not uint8 RGB.
    """
    camera = Camera() if camera is None else camera
    _check(rgb, kernel)
    rng = np.random.default_rng(seed)
    seen = blur(light.linear(rgb), kernel)
    if camera.photons:
        seen = (rng.poisson(np.clip(seen, 0, 1) * camera.photons) / camera.photons).astype(np.float32)
    levels = light.coded(seen)
    if camera.noise:
        levels = levels + rng.normal(0, camera.noise, levels.shape).astype(np.float32)
    made = light.rounded(levels)
    return _compressed(made, camera.jpeg) if camera.jpeg else made


def versions(rgb: Rgb, kernels: Sequence[Kernel] | Kernel, *, camera: Camera | None = None, seed: int = 0) -> Rgb:
    """One sharp picture in m blurred versions, (m, height, width, 3) uint8, each with noise of its own."""
    return np.stack([degrade(rgb, one, camera=camera, seed=seed + number) for number, one in enumerate(kernels)])


def blur(values: NDArray[np.float32], kernel: Kernel) -> NDArray[np.float32]:
    """Convolve every channel (not correlate: a kernel is what a point becomes); the edge is mirrored."""
    if len(kernel) == 1:
        return values
    reach = len(kernel) // 2
    if len(kernel) <= 11:
        flipped = np.ascontiguousarray(kernel[::-1, ::-1]).astype(np.float32)
        return np.asarray(cv2.filter2D(values, -1, flipped, borderType=cv2.BORDER_REFLECT_101))
    wide = cv2.copyMakeBorder(values, reach, reach, reach, reach, cv2.BORDER_REFLECT_101)
    shaped = kernel.astype(np.float32).reshape(*kernel.shape, *(1,) * (values.ndim - 2))
    return np.asarray(fftconvolve(wide, shaped, mode="valid", axes=(0, 1)), np.float32)


def _compressed(rgb: Rgb, quality: int) -> Rgb:
    _, stored = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR))[..., ::-1])


def _check(rgb: Rgb, kernel: Kernel) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ConfigError(
            f"degrading: an RGB picture of 8 bit is needed, got {rgb.shape} {rgb.dtype}: convert it", subject="picture"
        )
    square = kernel.ndim == 2 and kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 2 == 1
    if not square or float(kernel.min()) < 0 or abs(float(kernel.sum()) - 1) > SUM_TOLERANCE:
        raise ConfigError(
            f"degrading: a kernel is square with an odd side, 0 or more and sums to 1, got {kernel.shape} with sum "
            f"{float(kernel.sum()):g}: divide it by its sum",
            subject="kernel",
        )
