"""Labelled retinal pictures on the training's device, and batches of random patches of them.

Enters: folders and made pictures. Leaves: `Patches`: clean, poor, truth. Next: `wsipipe.train.retina_task`.

All pictures (a few dozen at the working scale) live on the device as seven maps of 8 bits each; patches, turns, colours
and degradations are batched operations there. Every draw of a step comes from (seed, step), on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsipipe.errors import UsageError
from wsipipe.train.retina_config import RetinaAugmentSection, RetinaConfig, RetinaDataSection
from wsipipe.train.retina_degrade import degrade
from wsipipe.train.retina_loss import Truth
from wsipipe.vessel.colour import AS_IS, standardised, statistics
from wsipipe.vessel.degrade import KINDS, Degradation, draw
from wsipipe.vessel.folder import Case, cases

RED, ARTERY, VEIN, CROSSING, FIELD = 0, 3, 4, 5, 6
"""First or only channel of the seven maps: picture (3), artery, vein, crossing, field."""
ORDER = 20_000_000
"""Added to the seed, so that patches and the network's start are drawn apart."""


@dataclass(frozen=True)
class Pool:
    """Pictures of one source.

    Attributes
    ----------
    maps : (n, 7, height, width) uint8
        On the device; smaller pictures are padded with 0 below and to the right.
    sizes : (n, 2) int
        Height and width of each.
    weight : float
    """

    maps: Tensor
    sizes: NDArray[np.int64]
    weight: float


@dataclass(frozen=True)
class Patches:
    """A batch.

    Attributes
    ----------
    poor : (N, 3, side, side) floats
        x, in shares of white, partly clean.
    truth : Truth
        Labels and the clean patches y.
    """

    poor: Tensor
    truth: Truth


def held_out(names: Sequence[str], data: RetinaDataSection) -> list[bool]:
    """Which of a folder's pictures, in order of their names, are kept for judging: every `folds`-th from `fold`."""
    return [data.folds > 1 and index % data.folds == data.fold for index in range(len(names))]


def split(data: RetinaDataSection) -> list[tuple[list[Case], list[Case]]]:
    """Training and judged cases of each folder, at the working scale.

    Raises
    ------
    UsageError, SlideError
        See `wsipipe.vessel.folder.cases`; and where a fold leaves nothing to train on.
    """
    found = []
    for folder in data.folders:
        found_here = cases(Path(folder.path))
        whole = [case.working(field_px=folder.field_px, covered=folder.covered) for case in found_here]
        out = held_out([case.name for case in whole], data)
        kept = [case for case, judged in zip(whole, out, strict=True) if not judged]
        if not kept:
            raise UsageError(f"{data.folds} folds of {len(whole)} pictures leave none to train on", subject=folder.path)
        found.append((kept, [case for case, judged in zip(whole, out, strict=True) if judged]))
    return found


def pool(found: Sequence[Case], weight: float, device: str, *, colour: str = AS_IS) -> Pool:
    """Cases as maps on the device; `colour` says whether their colours are made alike (`wsipipe.vessel.colour`)."""
    height, width = (max(case.label.shape[axis] for case in found) for axis in (0, 1))
    maps = np.zeros((len(found), 7, height, width), np.uint8)
    for row, case in zip(maps, found, strict=True):
        inside = (slice(0, case.label.shape[0]), slice(0, case.label.shape[1]))
        row[RED:ARTERY, *inside] = _picture(case, colour).transpose(2, 0, 1)
        for channel, code in ((ARTERY, 1), (VEIN, 2), (CROSSING, 3)):
            row[channel, *inside] = 255 * (case.label == code)
        row[FIELD, *inside] = 255 * case.field
    sizes = np.array([case.label.shape for case in found], np.int64)
    return Pool(torch.from_numpy(maps).to(device), sizes, weight)


def _picture(case: Case, colour: str) -> NDArray[np.uint8]:
    if colour == AS_IS:
        return case.picture
    return standardised(case.picture, case.field, statistics(case.picture, case.field))


def colour_statistics(pools: Sequence[Pool]) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation per colour inside the field of view, shares of white."""
    means, squares, total = np.zeros(3), np.zeros(3), 0.0
    for one in pools:
        inside = one.maps[:, FIELD:] > 127
        light = one.maps[:, RED:ARTERY].double() / 255 * inside
        weight = one.weight / float(inside.sum())
        means += weight * light.sum(dim=(0, 2, 3)).cpu().numpy()
        squares += weight * light.square().sum(dim=(0, 2, 3)).cpu().numpy()
        total += one.weight
    mean = means / total
    std = np.sqrt(np.maximum(squares / total - mean**2, 1e-4))
    r, g, b = (round(float(value), 4) for value in mean)
    sr, sg, sb = (round(float(value), 4) for value in std)
    return (r, g, b), (sr, sg, sb)


class Source:
    """Draws batches from pools.

    Parameters
    ----------
    real : sequence of Pool
        Of folders; may be empty.
    made : Pool or None
        Of made pictures.
    config : RetinaConfig
    """

    def __init__(self, real: Sequence[Pool], made: Pool | None, config: RetinaConfig) -> None:
        self.real, self.made, self.config = list(real), made, config

    def batch(self, step: int, share: float) -> Patches:
        """The batch of a step; `share` of the training, 0 to 1, says how many of its pictures are made ones."""
        schedule, augment = self.config.schedule, self.config.augment
        rng = np.random.default_rng([ORDER + schedule.seed, step])
        chosen = self._choose(rng, share)
        maps = torch.cat([_patch(one, index, augment, schedule.crop_px, rng) for one, index in chosen])
        clean = _coloured(maps[:, RED:ARTERY], maps[:, FIELD:], augment, rng)
        done = [_drawn(rng, schedule.degraded) for _ in range(len(maps))]
        poor = degrade(clean, maps[:, FIELD:] > 0.5, done)
        if augment.noise:
            poor = _noisy(poor, augment.noise, rng)
        return Patches(poor, _truth(maps, clean))

    def _choose(self, rng: np.random.Generator, share: float) -> list[tuple[Pool, NDArray[np.int64]]]:
        """Rows of each pool that the batch takes."""
        batch, made = self.config.schedule.batch, self.config.data.made
        both = [*self.real, *([self.made] if self.made else [])]
        weights = np.array([one.weight for one in self.real], np.float64)
        later = made.later_share if share >= made.first_share else 1.0
        if self.made is not None:
            weights = np.append(weights / max(weights.sum(), 1e-9) * (1 - later), later if self.real else 1.0)
        drawn = rng.choice(len(both), batch, p=weights / weights.sum())
        return [
            (one, rng.integers(0, len(one.maps), int((drawn == row).sum())))
            for row, one in enumerate(both)
            if (drawn == row).any()
        ]


def _patch(
    one: Pool, index: NDArray[np.int64], augment: RetinaAugmentSection, side: int, rng: np.random.Generator
) -> Tensor:
    """Turned, scaled, mirrored patches (n, 7, side, side), 0 to 1; 0 outside of the picture."""
    height, width = one.maps.shape[2:]
    turn = np.deg2rad(rng.uniform(-1, 1, len(index)) * augment.turn_deg)
    scale = np.exp(rng.uniform(-1, 1, len(index)) * augment.scale)
    flip = rng.choice([-1.0, 1.0], (len(index), 2)) if augment.flips else np.ones((len(index), 2))
    sizes = one.sizes[index].astype(np.float64)
    half = np.minimum(side / scale / 2, 1e9)[:, None] * 0.8
    low, high = np.minimum(half, sizes / 2), np.maximum(sizes - half, sizes / 2)
    middle = rng.uniform(low, high)
    # from a patch's pixel to the picture's, both from -1 to 1, as torch asks: x first
    away = side / scale / np.array([[width], [height]])
    cos, sin = np.cos(turn), np.sin(turn)
    rows = np.zeros((len(index), 2, 3), np.float32)
    rows[:, 0, 0], rows[:, 0, 1] = cos * flip[:, 1] * away[0], -sin * flip[:, 0] * away[0]
    rows[:, 1, 0], rows[:, 1, 1] = sin * flip[:, 1] * away[1], cos * flip[:, 0] * away[1]
    rows[:, 0, 2], rows[:, 1, 2] = 2 * middle[:, 1] / width - 1, 2 * middle[:, 0] / height - 1
    device = one.maps.device
    grid = F.affine_grid(torch.from_numpy(rows).to(device), [len(index), 7, side, side], align_corners=False)
    picked = one.maps[torch.from_numpy(index).to(device)].float() / 255
    return F.grid_sample(picked, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _coloured(light: Tensor, field: Tensor, augment: RetinaAugmentSection, rng: np.random.Generator) -> Tensor:
    """Gains and gamma, of the clean and so of the poor patch."""
    n = len(light)
    gain = (1 + rng.uniform(-1, 1, (n, 3)) * augment.gain) * (1 + rng.uniform(-1, 1, (n, 1)) * augment.brightness)
    gamma = np.exp(rng.uniform(-1, 1, (n, 1)) * augment.gamma)
    factors = torch.from_numpy(np.hstack([gain, gamma]).astype(np.float32)).to(light.device)[..., None, None]
    made: Tensor = (light.clamp_min(1e-4) ** factors[:, 3:] * factors[:, :3]).clamp(0, 1)
    return torch.where(field > 0.5, made, light)


def _drawn(rng: np.random.Generator, share: float) -> Degradation | None:
    kind = KINDS[int(rng.integers(len(KINDS)))]
    return draw(kind, rng) if rng.random() < share else None


def _noisy(poor: Tensor, most: float, rng: np.random.Generator) -> Tensor:
    sigma = torch.from_numpy(rng.uniform(0, most, (len(poor), 1, 1, 1)).astype(np.float32)).to(poor.device)
    generator = torch.Generator(poor.device).manual_seed(int(rng.integers(2**31)))
    noise = torch.randn(poor.shape, generator=generator, device=poor.device)
    return (poor + sigma * noise).clamp(0, 1)


def _truth(maps: Tensor, clean: Tensor) -> Truth:
    artery, vein, crossing, field = (maps[:, index : index + 1] for index in (ARTERY, VEIN, CROSSING, FIELD))
    inside = (field > 0.5).float()
    known = inside * (1 - crossing)
    label = torch.cat([artery, vein, (artery + vein + crossing).clamp(0, 1)], dim=1)
    return Truth(label, torch.cat([known, known, torch.ones_like(inside)], dim=1), clean)
