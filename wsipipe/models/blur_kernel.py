"""Kernels of many blurs at once, in torch: the same numbers as `wsipipe.deblur.motion` and `wsipipe.deblur.defocus`.

Enters: numbers per blur. Leaves: kernels, spectra, blurred pictures and Wiener-filtered ones. Next: the network,
which filters with the estimated blur, and training, which degrades whole batches on the device.

All in linear light; a picture's values run from 0 to 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

POINTS = 128
"""Moments of the exposure that are accumulated along a motion's path (midpoints of equal spans of time)."""
SIDE = 47
"""Side of kernels: motions up to 40 px, defocus up to a radius of 22; both share it where they come together."""
WRAP = 48
"""Pixels over which a picture's last row leads over to its first, so that the Fourier transform sees no step."""


class Blurs(NamedTuple):
    """N blurs: ``length`` px and ``direction`` radians of motion (0 along x, towards y), ``radius`` px of defocus.

    ``turn`` (radians over the whole path) and ``acceleration`` (-1 to 1) bend and hurry the path; ``gaussian`` says
    whose defocus is a Gaussian of sigma ``radius / 2`` rather than a disk. All (N,).
    """

    length: Tensor
    direction: Tensor
    radius: Tensor
    turn: Tensor
    acceleration: Tensor
    gaussian: Tensor


def straight(length: Tensor, direction: Tensor, radius: Tensor) -> Blurs:
    """Blurs by even, straight motion and by disks: what the classifier estimates."""
    none = torch.zeros_like(length)
    return Blurs(length, direction, radius, none, none, none > 0)


def motion_kernels(blurs: Blurs, side: int = SIDE) -> Tensor:
    """(N, side, side) float32, each summing to 1 with its centre of mass in the middle; length 0 is a delta."""
    y, x = _path(blurs)
    middle = side // 2
    kernels = torch.zeros(len(y), side * side, dtype=torch.float64, device=y.device)
    top, left = torch.floor(y), torch.floor(x)
    fy, fx = y - top, x - left
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            row, column = ((low + step + middle).clamp(0, side - 1) for low, step in ((top, dy), (left, dx)))
            kernels.scatter_add_(1, (row * side + column).long(), wy * wx)
    return (kernels / kernels.sum(dim=1, keepdim=True)).view(-1, side, side).float()


def defocus_kernels(radius: Tensor, gaussian: Tensor, side: int = SIDE) -> Tensor:
    """(N, side, side) float32 disks (or Gaussians), each summing to 1; radius 0 is a delta."""
    offset = torch.arange(side, device=radius.device, dtype=torch.float64) - side // 2
    distance = torch.hypot(offset[:, None], offset[None, :])
    r = radius.double()[:, None, None]
    disk = (r + 0.5 - distance).clamp(0, 1)
    bell = torch.exp(-2 * (distance / r.clamp(min=1e-3)) ** 2)
    kernels = torch.where(gaussian[:, None, None], bell, disk)
    return (kernels / kernels.sum(dim=(1, 2), keepdim=True)).float()


def transfer(blurs: Blurs, shape: tuple[int, int]) -> Tensor:
    """Optical transfer functions (N, height, width // 2 + 1), complex64: spectra of the kernels about the corner."""
    both = (motion_kernels(blurs), defocus_kernels(blurs.radius, blurs.gaussian))
    first, second = (torch.fft.rfft2(centred(kernels, shape)) for kernels in both)
    return torch.as_tensor(first * second)


def centred(kernels: Tensor, shape: tuple[int, int]) -> Tensor:
    """Kernels (N, k, k) on a plane of that shape, their middle at the corner (0, 0), wrapped round."""
    side = kernels.shape[-1]
    plane = F.pad(kernels, (0, shape[1] - side, 0, shape[0] - side))
    return torch.roll(plane, (-(side // 2), -(side // 2)), dims=(-2, -1))


def blurred(light: Tensor, transfers: Tensor) -> Tensor:
    """Pictures (N, 3, height, width) under transfer functions; the plane is wrapped round."""
    spectrum = torch.fft.rfft2(light) * transfers[:, None]
    return torch.as_tensor(torch.fft.irfft2(spectrum, s=light.shape[-2:]))


def wiener(light: Tensor, blurs: Blurs, noise: tuple[float, ...]) -> Tensor:
    """Pictures filtered by Wiener's rule for each ratio of noise to signal.

    Parameters
    ----------
    light : (N, 3, height, width) float32
    blurs : Blurs
        N, or one for all.
    noise : tuple of float
        Ratios at a frequency of a quarter per pixel; the signal's power is taken to fall with the frequency's square.

    Returns
    -------
    (N, 3 * len(noise), height, width) float32
    """
    height, width = light.shape[-2:]
    closed = _closed(light)
    shape = (closed.shape[-2], closed.shape[-1])
    otf = transfer(blurs, shape)[:, None]
    power = _frequency2(shape, light.device) * 16 + 1e-2
    spectrum = torch.fft.rfft2(closed) * otf.conj()
    gain = otf.real**2 + otf.imag**2
    filtered = [torch.fft.irfft2(spectrum / (gain + ratio * power), s=shape) for ratio in noise]
    # at frequency 0 the filter's gain is 1 / (1 + ratio / 100): the mean is put back
    scale = [1 + ratio * 1e-2 for ratio in noise]
    return torch.cat([one[..., :height, :width] * by for one, by in zip(filtered, scale, strict=True)], dim=1)


def linear(coded: Tensor) -> Tensor:
    """SRGB values from 0 to 1 in linear light."""
    return torch.where(coded <= 0.04045, coded / 12.92, ((coded.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def coded(light: Tensor) -> Tensor:
    """Linear light from 0 to 1 in sRGB values; clipped."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def _path(blurs: Blurs) -> tuple[Tensor, Tensor]:
    """Where the picture is at each moment, about the path's centre of mass: y and x, (N, POINTS) float64."""
    length, direction, turn, hurry = (
        value.double()[:, None] for value in (blurs.length, blurs.direction, blurs.turn, blurs.acceleration)
    )
    edges = torch.arange(POINTS + 1, device=length.device, dtype=torch.float64) / POINTS
    way = (1 - hurry / 2) * edges + hurry / 2 * edges**2
    middle, step = (way[:, 1:] + way[:, :-1]) / 2, way[:, 1:] - way[:, :-1]
    heading = direction + turn * (middle - 0.5)
    found = []
    for along in (torch.sin(heading), torch.cos(heading)):
        moved = along * step * length
        at = torch.cumsum(moved, dim=1) - moved / 2
        found.append(at - at.mean(dim=1, keepdim=True))
    return found[0], found[1]


def _closed(light: Tensor) -> Tensor:
    """The picture with a strip below and to the right that leads from its last values to its first."""
    height, width = light.shape[-2:]
    ramp = (torch.arange(WRAP, device=light.device, dtype=light.dtype) + 1) / (WRAP + 1)
    right = light[..., -1:] * (1 - ramp) + light[..., :1] * ramp
    wide = torch.cat([light, right], dim=-1)
    below = wide[..., -1:, :] * (1 - ramp[:, None]) + wide[..., :1, :] * ramp[:, None]
    closed = torch.cat([wide, below], dim=-2)
    more = [_smooth(side) - side for side in (height + WRAP, width + WRAP)]
    return F.pad(closed, (0, more[1], 0, more[0]), mode="replicate") if any(more) else closed


def _smooth(side: int) -> int:
    """The next multiple of 16: quick lengths for the transform."""
    return math.ceil(side / 16) * 16


def _frequency2(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Squared frequency, cycles per pixel, (height, width // 2 + 1)."""
    fy = torch.fft.fftfreq(shape[0], device=device)
    fx = torch.fft.rfftfreq(shape[1], device=device)
    return torch.as_tensor(fy[:, None] ** 2 + fx[None, :] ** 2)
