"""Augmentation: training pictures changed at random, the mask with them. Only `wsipipe.train` does this.

Enters: tiles with masks, settings, a seeded generator. Leaves: a batch as the network takes it. All chances are
drawn in NumPy from (seed, epoch, step), so a resumed training sees what an uninterrupted one sees, on any device.
Source: CN 112990339 A names flips, rotations, stretching, brightness, saturation, hue, contrast; the jitter of
stain concentrations (Tellez et al., 2018), slight blur and noise are ours: they stand for what normalisation leaves.
Next: `wsipipe.train.tiles`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsipipe.train.config import AugmentSection

HE = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density (R, G, B) of haematoxylin, eosin and a residual: Ruifrok & Johnston, 2001."""
GREY = np.array([0.299, 0.587, 0.114])
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Chances:
    """What is done to each of N tiles.

    ``affine`` (N, 2, 3): sampling places; ``density`` (N, 3, 3): of optical density; ``colour`` (N, 3, 4): of
    pixels from 0 to 1, after that; ``sigma_px`` (N,): blur; ``noise`` (N,): sigma; ``seed``: of the noise.
    """

    affine: Floats
    density: Floats
    colour: Floats
    sigma_px: Floats
    noise: Floats
    seed: int


def draw(rng: np.random.Generator, n: int, how: AugmentSection) -> Chances:
    """The chances of a batch of `n`."""
    return Chances(
        affine=_affine(rng, n, how),
        density=_density(rng, n, how),
        colour=_colour(rng, n, how),
        sigma_px=(rng.uniform(0, 1, n) * how.blur_px * (rng.random(n) < 0.5)).astype(np.float32),
        noise=(rng.uniform(0, 1, n) * how.noise).astype(np.float32),
        seed=int(rng.integers(2**62)),
    )


def cut(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], side: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], ...]:
    """A square of `side` at a random place; all of it where `side` is 0 or as large."""
    room = rgb.shape[0] - side if side else 0
    y, x = (int(v) for v in rng.integers(0, room + 1, 2))
    size = side or rgb.shape[0]
    return rgb[y : y + size, x : x + size], mask[y : y + size, x : x + size]


def turn(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One of the eight mirrors and turns by 90 degrees."""
    number = int(rng.integers(8))
    if number >= 4:
        rgb, mask = rgb[:, ::-1], mask[:, ::-1]
    return np.rot90(rgb, number % 4), np.rot90(mask, number % 4)


def apply(rgb: Tensor, mask: Tensor, chances: Chances) -> tuple[Tensor, Tensor]:
    """Stretch, turn, stain, colour, blur, noise.

    Parameters
    ----------
    rgb : (N, height, width, 3) uint8
    mask : (N, height, width) uint8
    chances : Chances

    Returns
    -------
    rgb : (N, 3, height, width) float32, 0 to 1, channels last
    mask : (N, height, width) int64
    """
    place = rgb.device
    pictures = rgb.permute(0, 3, 1, 2).to(torch.float32).div_(255)
    pictures, truth = _warped(pictures, mask, torch.from_numpy(chances.affine).to(place))
    pictures = _stained(pictures, torch.from_numpy(chances.density).to(place))
    pictures = _mixed(pictures, torch.from_numpy(chances.colour).to(place))
    pictures = _blurred(pictures, chances.sigma_px)
    if chances.noise.any():
        source = torch.Generator().manual_seed(chances.seed)
        grain = torch.randn(pictures.shape, generator=source).to(place)
        pictures = pictures + grain * torch.from_numpy(chances.noise).to(place)[:, None, None, None]
    return pictures.clamp_(0, 1).contiguous(memory_format=torch.channels_last), truth


def _affine(rng: np.random.Generator, n: int, how: AugmentSection) -> Floats:
    angle = np.deg2rad(rng.uniform(-how.turn_deg, how.turn_deg, n))
    scale = 1 + rng.uniform(-how.stretch, how.stretch, (n, 2))
    made = np.zeros((n, 2, 3), np.float32)
    made[:, 0, 0], made[:, 0, 1] = np.cos(angle) * scale[:, 0], -np.sin(angle) * scale[:, 1]
    made[:, 1, 0], made[:, 1, 1] = np.sin(angle) * scale[:, 0], np.cos(angle) * scale[:, 1]
    return made


def _density(rng: np.random.Generator, n: int, how: AugmentSection) -> Floats:
    """In optical density: unmix, scale each stain, mix again; rows are pixels, so it is multiplied from the right."""
    factor = 1 + rng.uniform(-how.stain, how.stain, (n, 3))
    factor[:, 2] = 1
    mixed: Floats = np.einsum("ij,nj,jk->nik", np.linalg.inv(HE), factor, HE).astype(np.float32)
    return mixed


def _colour(rng: np.random.Generator, n: int, how: AugmentSection) -> Floats:
    """Hue and saturation as a turn and a scale of the colour plane, then contrast about the middle, then brightness."""
    made = np.zeros((n, 3, 4), np.float32)
    for one in made:
        angle = math.radians(rng.uniform(-how.hue_deg, how.hue_deg))
        saturation, contrast, brightness = (
            1 + rng.uniform(-half, half) for half in (how.saturation, how.contrast, how.brightness)
        )
        plane = np.eye(3)
        plane[1:, 1:] = saturation * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        one[:, :3] = brightness * contrast * (np.linalg.inv(YIQ) @ plane @ YIQ)
        one[:, 3] = brightness * (1 - contrast) * 0.6
    return made


def _warped(pictures: Tensor, mask: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
    still = torch.eye(2, 3, device=affine.device)
    if bool((affine == still).all()):
        return pictures, mask.long()
    grid = F.affine_grid(affine, list(pictures.shape), align_corners=False)
    seen = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    truth = F.grid_sample(
        mask[:, None].to(torch.float32), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    return seen, truth[:, 0].round().long()


def _stained(pictures: Tensor, density: Tensor) -> Tensor:
    if bool((density == torch.eye(3, device=density.device)).all()):
        return pictures
    light = torch.log(pictures.clamp(min=1 / 255))  # minus the optical density; the sign goes through the mixing
    return torch.exp(torch.einsum("nchw,nck->nkhw", light, density))


def _mixed(pictures: Tensor, colour: Tensor) -> Tensor:
    return torch.einsum("nchw,nkc->nkhw", pictures, colour[:, :, :3]) + colour[:, :, 3, None, None]


def _blurred(pictures: Tensor, sigma_px: Floats) -> Tensor:
    """Separable Gaussian of seven samples per tile; sigma under 0.1 leaves a tile alone."""
    chosen = np.flatnonzero(sigma_px >= 0.1)
    if len(chosen) == 0:
        return pictures
    offsets = np.arange(-3, 4)
    taps = np.exp(-0.5 * (offsets / sigma_px[chosen, None]) ** 2)
    taps = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    kernel = torch.from_numpy(taps).to(pictures.device).repeat_interleave(3, dim=0)
    height, width = pictures.shape[-2:]
    some = pictures[chosen].contiguous().reshape(1, -1, height, width)
    for shape, pad in (((-1, 1, 7, 1), (0, 0, 3, 3)), ((-1, 1, 1, 7), (3, 3, 0, 0))):
        some = F.conv2d(F.pad(some, pad, mode="replicate"), kernel.reshape(shape), groups=some.shape[1])
    out = pictures.clone()
    out[chosen] = some.reshape(len(chosen), 3, height, width)
    return out
