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

from wsipipe.models.blur_kernel import SIDE, Blurs, defocus_kernels, linear, motion_kernels, straight, wiener

BLOCK = 64
"""Side of the blocks whose spectra are averaged."""
MOST_BLOCKS = 16
"""Blocks along a side, at most: wider pictures are sampled more sparsely."""
BAND = (0.03, 0.42)
"""Frequencies that are compared, cycles per pixel: below, the picture's own shapes; above, the corners' noise."""
CLEAR_NOISE = (0.02,)
SLOPES = (1.5, 2.25, 3.0)
HUBER = 0.5
LENGTHS, RADII, DIRECTIONS = (2.5, 24.0, 13), (0.8, 7.0, 18), 16
"""Grids: first, last and number of lengths and of radii, even in the logarithm; directions over half a turn."""
TURNS = (0.0, 0.5, 1.1)
"""Turns of a motion's path, radians. Bent the other way it leaves the same power: `_edges` decides between the two."""
STRAIGHT = 0.15
"""Radians below which a path counts as straight."""
RIVALS, ALIKE, CLEAR_PX = 3, 1.25, 256
"""Blurs of one kind that are looked at more closely; those with a loss of up to `ALIKE` times the least are undone on a
part of that side, and the one that leaves the fewest edges is taken: a wrong kernel leaves ghosts."""


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
    About 0.2 s on one core whatever the picture's size.
    """
    with torch.autocast(picture.device.type, enabled=False):
        bins = _bins(str(picture.device))
        power = mean_power(picture).flatten()[bins.inside]
        found = [_found(picture, power, blurs, response, bins) for blurs, response in _grids(str(picture.device))]
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
    spectrum: Tensor = torch.fft.rfft2(cells * window, norm="ortho")
    return spectrum.abs().square().mean(dim=(0, 1))


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


def _found(picture: Tensor, power: Tensor, blurs: Blurs, response: Tensor, bins: _Bins) -> tuple[Tensor, Blurs]:
    """The blur of a grid's kind: near its best few, and the clearest of those that fit as well."""
    rivals = _rivals(_loss(power, response, bins), blurs)
    near = [_nearer(power, _nearer(power, blur, bins, 1.0)[1], bins, 0.3) for blur in rivals]
    least = min(float(loss) for loss, _ in near)
    fit_well = [(loss, way) for loss, blur in near if float(loss) <= ALIKE * least for way in _ways(blur)]
    if len(fit_well) == 1:
        return fit_well[0]
    return min(fit_well, key=lambda one: _edges(wiener(_part(picture), one[1], CLEAR_NOISE)))


def _rivals(loss: Tensor, blurs: Blurs) -> list[Blurs]:
    """The best blur, and the best at up to two other lengths where the loss has a minimum along length."""
    lengths = torch.unique(blurs.length).tolist()
    rows = [int(torch.where(blurs.length == length, loss, torch.inf).argmin()) for length in lengths]
    low = [float(loss[row]) for row in rows]
    walls = [float("inf"), *low, float("inf")]
    dips = [n for n in range(len(low)) if walls[n] >= low[n] <= walls[n + 2]]
    order = sorted(dips, key=lambda n: low[n])[:RIVALS]
    return [Blurs(*(one[rows[n] : rows[n] + 1] for one in blurs)) for n in order]


def _ways(blur: Blurs) -> list[Blurs]:
    """The two paths of one power spectrum: a curved one bends either way."""
    if abs(float(blur.turn)) < STRAIGHT:
        return [blur._replace(turn=torch.zeros_like(blur.turn))]
    return [blur, blur._replace(turn=-blur.turn)]


def _best(power: Tensor, blurs: Blurs, response: Tensor, bins: _Bins) -> tuple[Tensor, Blurs]:
    loss = _loss(power, response, bins)
    row = loss.argmin()[None]
    return loss[row], Blurs(*(one[row] for one in blurs))


def _nearer(power: Tensor, blur: Blurs, bins: _Bins, step: float) -> tuple[Tensor, Blurs]:
    """The best of the blurs about one, `step` times the grid's own step away."""
    device = power.device
    fine = torch.linspace(-step, step, 5 if step == 1 else 3, device=device)
    length, radius, turn = (float(value) for value in (blur.length, blur.radius, blur.direction))
    one = torch.zeros(1, device=device)
    lengths = length * torch.exp(fine * 0.11) if length else one
    turns = turn + fine * math.pi / DIRECTIONS * 0.67 if length else one
    radii = radius * torch.exp(fine * (0.13 if length else 0.09)) if radius else one
    near = _curved(torch.cartesian_prod(lengths, turns, radii, _bends(blur, step)))
    return _best(power, near, _responses(near, bins), bins)


def _bends(blur: Blurs, step: float) -> Tensor:
    """Turns near a motion's; none where there is defocus too."""
    if not float(blur.length) or float(blur.radius):
        return torch.zeros_like(blur.turn)
    return (blur.turn + torch.tensor([-0.25, 0.0, 0.25], device=blur.turn.device) * step).clamp(min=0)


def _curved(grid: Tensor) -> Blurs:
    """Blurs of columns length, direction, radius, turn."""
    return straight(grid[:, 0], grid[:, 1], grid[:, 2])._replace(turn=grid[:, 3])


def _part(picture: Tensor) -> Tensor:
    """The middle of a picture, in linear light."""
    height, width = picture.shape[-2:]
    y, x = max(0, (height - CLEAR_PX) // 2), max(0, (width - CLEAR_PX) // 2)
    return linear(picture[..., y : y + CLEAR_PX, x : x + CLEAR_PX])


def _edges(light: Tensor) -> float:
    """Total variation over the root of the mean squared gradient, of the sum of the channels without a rim."""
    grey = light.mean(dim=1)[..., 16:-16, 16:-16]
    down, across = grey.diff(dim=-2), grey.diff(dim=-1)
    size = (down.square().mean() + across.square().mean()).sqrt().clamp(min=1e-9)
    return float((down.abs().mean() + across.abs().mean()) / size)


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
    smeared: Tensor = torch.fft.ifft2(torch.fft.fft2((first * second).abs().square()) * spread).real
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
    turns = torch.arange(DIRECTIONS, device=device) * math.pi / DIRECTIONS
    bends = torch.tensor(TURNS, device=device)
    none = torch.zeros(1, device=device)
    products = (
        torch.cartesian_prod(lengths, turns, none, bends),
        torch.cartesian_prod(none, none, radii, none),
        torch.cartesian_prod(lengths[1::2], turns[::2], radii[1::3], none),
    )
    grids = [_curved(grid) for grid in products]
    return tuple((blurs, _responses(blurs, _bins(device))) for blurs in grids)
