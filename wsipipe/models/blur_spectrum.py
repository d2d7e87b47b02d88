"""Levels and direction of a blur from a picture's mean power spectrum, by fitting what each blur would leave of it.

Enters: a picture. Leaves: for each kind of blur its best levels and direction, and how well it fits. Next:
`wsipipe.models.deblurring` decides the kind with these fits, `wsipipe.deblur.network` undoes the blur.

The power of a blurred picture is ``A f^-b |K(f)|^2 + N``: a sharp picture's falls with a power of frequency (Field, J.
Opt. Soc. Am. A 4 (1987) 2379), the kernel K multiplies it, noise is added. K is sought on a grid of levels and
directions, then near the best; A and b are fitted for each. The measure is the mean Huber loss of the logarithms.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wsipipe.models.blur_kernel import SIDE, Blurs, defocus_kernels, motion_kernels, straight

BLOCK = 64
"""Side of the blocks whose spectra are averaged."""
MOST_BLOCKS = 24
"""Blocks along a side, at most: wider pictures are sampled more sparsely."""
BAND = (0.03, 0.42)
"""Frequencies that are compared, cycles per pixel: below, the picture's own shapes; above, the corners' noise."""
SLOPES = (1.5, 2.25, 3.0)
HUBER = 0.5
LENGTHS, RADII, TURNS = (2.5, 22.0, 14), (0.8, 7.0, 18), 18
"""Grids: first, last and number of lengths and of radii, even in the logarithm; directions over half a turn."""


class Fitted(NamedTuple):
    """Per kind of `KINDS`: the loss (4,), and the blur of each (4 blurs)."""

    loss: Tensor
    blurs: Blurs


class _Bins(NamedTuple):
    inside: Tensor
    weight: Tensor
    log_frequency: Tensor


def fit(picture: Tensor) -> Fitted:
    """The best blur of each kind.

    Parameters
    ----------
    picture : (1, 3, height, width) float32
        sRGB, 0 to 1; sides of 64 px or more.

    Notes
    -----
    About 0.05 s on one core whatever the picture's size, and as long again for 1 Mpx of spectra.
    """
    with torch.autocast(picture.device.type, enabled=False):
        bins = _bins(str(picture.device))
        power = mean_power(picture).flatten()[bins.inside]
        found = [_best(power, blurs, response, bins) for blurs, response in _grids(str(picture.device))]
        found = [_nearer(power, blur, bins) for _, blur in found]
        none = torch.zeros(1, device=picture.device)
        sharp = _loss(power, torch.ones(1, len(power), device=picture.device), bins)
        loss = torch.cat([sharp, *(one[0] for one in found)])
        blurs = Blurs(
            *(torch.cat(parts) for parts in zip(straight(none, none, none), *(b for _, b in found), strict=True))
        )
    return Fitted(loss, blurs)


def mean_power(picture: Tensor) -> Tensor:
    """(64, 33) mean power of overlapping, windowed blocks of the green channel; each block's mean is taken off."""
    window = _window(str(picture.device))
    green = picture[0, 1]
    steps = [max(16, (side - BLOCK) // MOST_BLOCKS) for side in green.shape]
    cells = green.unfold(0, BLOCK, steps[0]).unfold(1, BLOCK, steps[1])
    cells = cells - cells.mean(dim=(-2, -1), keepdim=True)
    return torch.fft.rfft2(cells * window, norm="ortho").abs().square().mean(dim=(0, 1))


def _loss(power: Tensor, response: Tensor, bins: _Bins) -> Tensor:
    """Loss of each response (C, bins) with its best A and b."""
    floor = 0.9 * torch.quantile(power, 0.03)
    above = bins.weight * (power > 3 * floor)
    above = above / above.sum().clamp(min=1e-12)
    said, signal = torch.log(power), torch.log((power - floor).clamp(min=1e-12))
    log_response = torch.log(response)
    found = []
    for slope in SLOPES:
        shape = log_response - slope * bins.log_frequency
        level = ((signal - shape) * above).sum(dim=1, keepdim=True)
        for _ in range(2):
            model = torch.exp(level + shape)
            off = said - torch.log(model + floor)
            share = model / (model + floor) * bins.weight
            level = level + (share * off).sum(dim=1, keepdim=True) / share.sum(dim=1, keepdim=True).clamp(min=1e-6)
        off = said - torch.log(torch.exp(level + shape) + floor)
        found.append((F.huber_loss(off, torch.zeros_like(off), reduction="none", delta=HUBER) * bins.weight).sum(dim=1))
    return torch.stack(found).amin(dim=0)


def _best(power: Tensor, blurs: Blurs, response: Tensor, bins: _Bins) -> tuple[Tensor, Blurs]:
    loss = _loss(power, response, bins)
    row = loss.argmin()[None]
    return loss[row], Blurs(*(one[row] for one in blurs))


def _nearer(power: Tensor, blur: Blurs, bins: _Bins) -> tuple[Tensor, Blurs]:
    """The best of the blurs about one, at a third of the grid's step."""
    device = power.device
    fine = torch.linspace(-1, 1, 5, device=device)
    length, radius, turn = (float(value) for value in (blur.length, blur.radius, blur.direction))
    one = torch.zeros(1, device=device)
    lengths = length * torch.exp(fine * 0.11) if length else one
    turns = turn + fine * math.pi / TURNS * 0.67 if length else one
    radii = radius * torch.exp(fine * (0.13 if length else 0.09)) if radius else one
    grid = torch.cartesian_prod(lengths, turns, radii)
    near = straight(grid[:, 0], grid[:, 1], grid[:, 2])
    return _best(power, near, _responses(near, bins), bins)


def _responses(blurs: Blurs, bins: _Bins) -> Tensor:
    """|K|^2 of each blur in the bins, smeared as the window smears."""
    device = blurs.length.device
    window = _window(str(device))
    spread = torch.fft.fft2(window).abs().square()
    spread = torch.fft.fft2(spread / spread.sum())
    first, second = (
        torch.fft.fft2(F.pad(kernels, (0, BLOCK - SIDE, 0, BLOCK - SIDE)))
        for kernels in (motion_kernels(blurs), defocus_kernels(blurs.radius, blurs.gaussian))
    )
    smeared = torch.fft.ifft2(torch.fft.fft2((first * second).abs().square()) * spread).real
    return smeared[..., : BLOCK // 2 + 1].flatten(1)[:, bins.inside].clamp(min=1e-8)


@lru_cache(maxsize=4)
def _window(device: str) -> Tensor:
    line = torch.hann_window(BLOCK, device=device)
    return line[:, None] * line[None, :]


@lru_cache(maxsize=4)
def _bins(device: str) -> _Bins:
    fy, fx = torch.fft.fftfreq(BLOCK, device=device)[:, None], torch.fft.rfftfreq(BLOCK, device=device)[None, :]
    frequency = torch.sqrt(fy**2 + fx**2)
    inside = ((frequency > BAND[0]) & (frequency < BAND[1])).flatten()
    twice = torch.where((fx == 0) | (fx == 0.5), 0.5, 1.0).expand(BLOCK, -1).flatten()[inside]
    weight = twice / frequency.flatten()[inside].sqrt()
    return _Bins(inside, weight / weight.sum(), torch.log(frequency.flatten()[inside]))


@lru_cache(maxsize=4)
def _grids(device: str) -> tuple[tuple[Blurs, Tensor], ...]:
    """Motions, defocus and both on their grids, with their responses; made once per process."""
    lengths, radii = (
        torch.exp(torch.linspace(math.log(low), math.log(high), count, device=device))
        for low, high, count in (LENGTHS, RADII)
    )
    turns = torch.arange(TURNS, device=device) * math.pi / TURNS
    none = torch.zeros(1, device=device)
    products = (
        torch.cartesian_prod(lengths, turns, none),
        torch.cartesian_prod(none, none, radii),
        torch.cartesian_prod(lengths[1::2], turns[::2], radii[1::3]),
    )
    grids = [straight(grid[:, 0], grid[:, 1], grid[:, 2]) for grid in products]
    return tuple((blurs, _responses(blurs, _bins(device))) for blurs in grids)
