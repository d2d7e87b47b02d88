"""The degradation model of `wsipipe.vessel.degrade` for a batch of patches on the training's device.

Enters: clean patches and what is done to each. Leaves: poor patches, equal to `wsipipe.vessel.degrade.apply` but for
its rounding to 8 bits. Next: `wsipipe.train.retina_task`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsipipe.vessel.degrade import SPOT_COUNT, Degradation, Spot, blur_kernel

NOWHERE = Spot(-9.0, -9.0, 0.01, 0.01, 0.0)
"""A disc far outside that adds nothing."""


def degrade(clean: Tensor, field: Tensor, done: Sequence[Degradation | None]) -> Tensor:
    """Poor patches.

    Parameters
    ----------
    clean : (N, 3, height, width) floats
        Shares of white.
    field : (N, 1, height, width) bool
        Field of view; outside of it nothing changes.
    done : N of Degradation or None
        None leaves a patch clean.

    Returns
    -------
    (N, 3, height, width) floats, 0 to 1
    """
    light = _lit(clean, done)
    light = (light + _spots(clean, done)).clamp(0, 1)
    return torch.where(field, _blurred(light, done).clamp(0, 1), clean)


def _lit(light: Tensor, done: Sequence[Degradation | None]) -> Tensor:
    found = [one.light if one else None for one in done]
    if not any(found):
        return light
    factors = _tensor([(u.brightness, u.contrast, u.saturation, *u.tint) if u else (1,) * 6 for u in found], light)
    brightness, contrast, saturation = (factors[:, index, None, None, None] for index in range(3))
    grey = light.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    made = light * brightness
    mean = (made * grey).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    made = (made - mean) * contrast + mean
    level = (made * grey).sum(dim=1, keepdim=True)
    made = ((made - level) * saturation + level).clamp(0, 1)
    short = min(light.shape[2:])
    halos, holes = ([getattr(u, name) if u else NOWHERE for u in found] for name in ("halo", "hole"))
    gains = _tensor([(halo.gain, hole.gain) for halo, hole in zip(halos, holes, strict=True)], light)[..., None, None]
    outside = 1 - _discs(light, [[halo] for halo in halos], short)
    made = made + gains[:, :1] * outside * factors[:, 3:, None, None]
    made = (made * (1 - gains[:, 1:] * _discs(light, [[hole] for hole in holes], short))).clamp(0, 1)
    lit = torch.tensor([u is not None for u in found], device=light.device).view(-1, 1, 1, 1)
    return torch.where(lit, made, light)


def _spots(light: Tensor, done: Sequence[Degradation | None]) -> Tensor:
    """Light added by the spots (N, 1, height, width)."""
    spots = [list(one.spots) if one else [] for one in done]
    full = [some + [NOWHERE] * (SPOT_COUNT[1] - len(some)) for some in spots]
    gains = _tensor([[spot.gain for spot in some] for some in full], light)
    return (_discs(light, full, light.shape[2]) * gains[..., None, None]).sum(dim=1, keepdim=True)


def _blurred(light: Tensor, done: Sequence[Degradation | None]) -> Tensor:
    """Each patch through its own small kernel, along both axes."""
    height, width = light.shape[2:]
    kernels = [blur_kernel(one.blur, min(height, width)) if one and one.blur else np.ones(1) for one in done]
    side = max(len(kernel) for kernel in kernels)
    if side == 1:
        return light
    full = np.stack([np.pad(kernel, (side - len(kernel)) // 2) for kernel in kernels])
    kernel, half, n = _tensor(full, light).repeat_interleave(3, dim=0), side // 2, len(done)
    made = F.pad(light, (half,) * 4, mode="reflect").reshape(1, 3 * n, height + 2 * half, width + 2 * half)
    made = F.conv2d(made, kernel.view(3 * n, 1, side, 1), groups=3 * n)
    made = F.conv2d(made, kernel.view(3 * n, 1, 1, side), groups=3 * n)
    return made.reshape(n, 3, height, width)


def _discs(light: Tensor, spots: Sequence[Sequence[Spot]], length: int) -> Tensor:
    """1 inside each disc, 0 outside, soft between: (N, discs, height, width)."""
    height, width = light.shape[2:]
    told = _tensor([[(s.y, s.x, s.radius, s.soft) for s in some] for some in spots], light)[..., None, None]
    y = torch.arange(height, device=light.device, dtype=light.dtype).view(1, 1, -1, 1)
    x = torch.arange(width, device=light.device, dtype=light.dtype).view(1, 1, 1, -1)
    away = torch.sqrt((y - told[:, :, 0] * height).square() + (x - told[:, :, 1] * width).square())
    return 0.5 * (1 - torch.erf((away - told[:, :, 2] * length) / (math.sqrt(2) * told[:, :, 3] * length)))


def _tensor(values: object, like: Tensor) -> Tensor:
    made = torch.from_numpy(np.asarray(values, np.float32))
    return made.to(like.device, like.dtype, non_blocking=True)
