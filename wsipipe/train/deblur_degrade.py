"""Batches of blurred pictures made on the device, with what blurred them.

Enters: sharp crops. Leaves: the same crops, each blurred by motion, by defocus, by both and not at all, with noise and
8-bit rounding. Next: `wsipipe.train.deblur_task`. The kernels are those of `wsipipe.deblur.degrade`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsipipe.models import blur_kernel
from wsipipe.models.blur_kernel import Blurs
from wsipipe.train.deblur_config import BlursSection, Span

RIM = 24
"""Pixels around a crop that the kernels may reach."""


@dataclass(frozen=True)
class Blurry:
    """N pictures as the network sees them, the truth, the kind (N,) as `KINDS` numbers it, and the blurs."""

    seen: Tensor
    sharp: Tensor
    kind: Tensor
    blurs: Blurs

    @property
    def extent(self) -> Tensor:
        """Length of motion or diameter of defocus, whichever is larger, px."""
        return torch.maximum(self.blurs.length, 2 * self.blurs.radius)

    def of(self, rows: Tensor) -> Blurry:
        """Some of the pictures."""
        return Blurry(self.seen[rows], self.sharp[rows], self.kind[rows], Blurs(*(one[rows] for one in self.blurs)))


def every_way(wide: Tensor, how: BlursSection, generator: torch.Generator) -> Blurry:
    """Each picture in the four ways of `KINDS`, one way after the other.

    Parameters
    ----------
    wide : (N, 3, side + 2 * RIM, side + 2 * RIM) float32
        sRGB from 0 to 1, with a rim that is cut off.
    """
    wide = wide.repeat(4, 1, 1, 1)
    kind = torch.arange(4, device=wide.device).repeat_interleave(len(wide) // 4)
    blurs = draw(kind, how, generator)
    return degrade(wide, kind, blurs, how, generator)


def degrade(wide: Tensor, kind: Tensor, blurs: Blurs, how: BlursSection, generator: torch.Generator) -> Blurry:
    """Blur in linear light, then noise of photons and of reading, then 8 bit."""
    inner = (slice(None), slice(None), slice(RIM, -RIM), slice(RIM, -RIM))
    light = blur_kernel.linear(wide)
    shape = (light.shape[-2], light.shape[-1])
    light = blur_kernel.blurred(light, blur_kernel.transfer(blurs, shape))[inner].clamp(0, 1)
    full = span(how.photons, len(wide), generator)[:, None, None, None]
    noisy = light + _normal(light, generator) * (light / full).sqrt()
    light = torch.where(torch.rand(len(wide), 1, 1, 1, generator=generator, device=wide.device) < 0.5, noisy, light)
    sigma = span(how.noise, len(wide), generator)[:, None, None, None] / 255
    seen = blur_kernel.coded(light) + _normal(light, generator) * sigma
    seen = torch.floor(seen.clamp(0, 1) * 255 + 0.5) / 255
    return Blurry(seen, wide[inner], kind, blurs)


def draw(kind: Tensor, how: BlursSection, generator: torch.Generator) -> Blurs:
    """Blurs of the kinds that are asked for."""
    count = len(kind)
    moved, soft = (kind == 1) | (kind == 3), kind >= 2
    uniform = torch.rand(5, count, generator=generator, device=kind.device)
    none = torch.zeros(count, device=kind.device)
    length = torch.where(moved, span(how.length_px, count, generator), none)
    radius = torch.where(soft, span(how.radius_px, count, generator), none)
    turn = torch.where(uniform[1] < how.curved, (2 * uniform[2] - 1) * math.radians(how.turn_deg), none)
    return Blurs(
        length, math.pi * uniform[0], radius, turn, (2 * uniform[3] - 1) * how.acceleration, uniform[4] < how.gaussian
    )


def span(ends: Span, count: int, generator: torch.Generator) -> Tensor:
    """Draws even in the logarithm, (count,) float32."""
    low, high = (math.log(end) for end in ends)
    return torch.exp(low + (high - low) * torch.rand(count, generator=generator, device=generator.device))


def colours(wide: Tensor, generator: torch.Generator) -> Tensor:
    """Stain strengths changed: every channel's optical density by a factor of its own, and one for all."""
    draw_ = torch.rand(len(wide), 4, 1, 1, generator=generator, device=wide.device)
    power = (0.75 + 0.5 * draw_[:, :3]) * (0.8 + 0.45 * draw_[:, 3:])
    return wide.clamp(min=1 / 512) ** power


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device)
