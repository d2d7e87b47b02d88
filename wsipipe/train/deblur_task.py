"""Training of the deblurring network: what a step learns from, and what validation asks.

Enters: pictures on the device, settings. Leaves: a `Task` of `wsipipe.train.loop`. Next: `wsipipe.train.deblur`.

After CN 111462010 A a training sample is one sharp picture and its n blurred versions, sub-model j restores version
j, and the loss is the sum of the sub-models' losses with weights by kind and level. Ours: in the first epochs the
sub-models are one (the blurs all go to the first, the others then begin as copies of it), which lets a short training
see each picture n times as often; the classifier learns in the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wsipipe.models.blur_kernel import Blurs
from wsipipe.models.deblur_config import KINDS
from wsipipe.models.deblurring import DeblurNet, Estimate
from wsipipe.models.device import Execution
from wsipipe.train.deblur_config import DeblurTraining
from wsipipe.train.deblur_degrade import RIM, Blurry, colours, every_way
from wsipipe.train.deblur_pictures import Pictures
from wsipipe.train.tiles import mixed

VALIDATED, VALID_SIDE = 24, 192
DECIBEL_SCALE = 0.01
"""Factor of the logarithm, so that its gradient is about that of the mean error."""


@dataclass(frozen=True)
class Step:
    """One batch: pictures, which phase of the training it belongs to, and errors of estimates (3, N)."""

    data: Blurry
    together: bool
    jitter: Tensor


@dataclass
class DeblurTask:
    """A `Task` of `wsipipe.train.loop`."""

    config: DeblurTraining
    module: DeblurNet
    how: Execution
    train: Pictures
    val: Pictures
    together: bool = False
    """Whether the last step trained one sub-model for all."""

    def steps(self, epoch: int) -> int:  # noqa: ARG002 (every epoch has as many)
        """Steps of an epoch."""
        return self.config.schedule.steps

    def batches(self, epoch: int, start: int) -> Iterator[Step]:
        """Batches of an epoch from `start` on, each from its own seed."""
        schedule = self.config.schedule
        first_apart = math.ceil(schedule.together * schedule.epochs)
        for step in range(start, schedule.steps):
            generator = self._generator(schedule.seed, epoch * schedule.steps + step)
            side = schedule.crop_px + 2 * RIM
            wide = colours(self.train.crops(schedule.batch, side, generator), generator)
            data = every_way(wide, self.config.blurs, generator)
            jitter = torch.randn(3, len(data.kind), generator=generator, device=wide.device) * schedule.jitter
            yield Step(data, epoch < first_apart, jitter)

    def loss(self, batch: Step) -> dict[str, Tensor]:
        """The sub-models' weighted losses and the classifier's, and their parts."""
        self.together = batch.together
        data, how = batch.data, self.config.loss
        with mixed(self.how):
            trunk = self.module.look(data.seen)
            estimate = self.module.estimate(data.seen, trunk)
            blurry = torch.nonzero(data.kind > 0).flatten()
            known = nearly(data.blurs, batch.jitter)
            charged, error = self._restored(data.of(blurry), trunk[blurry], _rows(known, blurry))
        kind, level, direction = classifier_losses(data, estimate)
        loss = charged + how.kind * kind + how.level * level + how.direction * direction + how.error * error
        return {"loss": loss, "restore": charged, "kind": kind, "level": level, "direction": direction}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Decibels gained over the blurred pictures of the validation part, and how often the kind is right."""
        if self.together:
            self._copy()
        generator = self._generator(self.config.schedule.seed + 1, 2**31)
        wide = self.val.crops(VALIDATED, VALID_SIDE + 2 * RIM, generator)
        data = every_way(wide, self.config.blurs, generator)
        right: list[float] = []
        gains: dict[str, list[float]] = {kind: [] for kind in KINDS[1:]}
        for row in range(len(data.kind)):
            one = data.of(torch.tensor([row], device=data.kind.device))
            kind = int(one.kind)
            with mixed(self.how):
                trunk = self.module.look(one.seen)
                estimate = self.module.estimate(one.seen, trunk)
                right.append(float(estimate.kind.argmax() == kind))
                if kind:
                    number = self.module.config.route(KINDS[kind], float(one.extent))
                    known = nearly(one.blurs, torch.zeros(3, 1, device=one.seen.device))
                    restored = self.module.restore(one.seen, trunk, known, number).picture
                    gains[KINDS[kind]].append(decibels(restored.clamp(0, 1), one) - decibels(one.seen, one))
        told = {f"gain_{kind}": sum(each) / len(each) for kind, each in gains.items()}
        score = sum(told.values()) / len(told)
        return {"score": score, "kind_right": sum(right) / len(right), **told}

    def _restored(self, data: Blurry, trunk: Tensor, known: Blurs) -> tuple[Tensor, Tensor]:
        """Weighted loss of the restored pictures, and how badly their error was foreseen."""
        config, power = self.module.config, self.config.loss.extent_power
        routes = [config.route(KINDS[k], e) for k, e in zip(data.kind.tolist(), data.extent.tolist(), strict=True)]
        weight = torch.tensor([config.submodels[route].weight for route in routes], device=data.seen.device)
        weight = weight * (data.extent / 9) ** power
        number = torch.tensor(routes, device=data.seen.device) * (not self.together)
        charged, error = torch.zeros_like(weight), torch.zeros_like(weight)
        for route in sorted(set(number.tolist())):
            rows = torch.nonzero(number == route).flatten()
            part = data.of(rows)
            restored = self.module.restore(part.seen, trunk[rows], _rows(known, rows), route)
            off = self._inner(restored.picture - part.sharp)
            charged[rows] = charge(off, self.config.loss.measure)
            found = off.detach().abs().mean(dim=1, keepdim=True).clamp(min=1e-3)
            said = self._inner(restored.log_error)
            error[rows] = (found / said.exp() + said).mean(dim=(1, 2, 3))
        return (charged * weight).mean(), error.mean()

    def _inner(self, picture: Tensor) -> Tensor:
        rim = self.config.schedule.margin_px
        return picture[..., rim:-rim, rim:-rim] if rim else picture

    def _copy(self) -> None:
        """The other sub-models become what the first is."""
        first = self.module.submodels[0].state_dict()
        for other in list(self.module.submodels)[1:]:
            other.load_state_dict(first)

    def _generator(self, seed: int, step: int) -> torch.Generator:
        return torch.Generator(self.how.device).manual_seed((seed << 32) + step)


def charge(off: Tensor, measure: str) -> Tensor:
    """Loss (N,) of errors (N, 3, y, x), shares of white: the mean error, or in ``decibels``.

    ``decibels`` counts a picture by the logarithm of its mean squared error (as NAFNet does: Chen et al., 2022), so a
    slight blur, whose errors are small, weighs as much as a strong one.
    """
    if measure == "absolute":
        return torch.sqrt(off.square() + 1e-6).mean(dim=(1, 2, 3))
    return DECIBEL_SCALE * torch.log(off.square().mean(dim=(1, 2, 3)) + 1e-7)


def nearly(blurs: Blurs, jitter: Tensor) -> Blurs:
    """The blurs that a filter is told in training: the truth with an estimate's error, even, straight if defocused."""
    none = torch.zeros_like(blurs.length)
    turn = torch.where(blurs.radius > 0, none, blurs.turn * (1 + 3 * jitter[0]))
    levels = (blurs.length * jitter[0].exp(), blurs.direction + jitter[1], blurs.radius * jitter[2].exp())
    return Blurs(*levels, turn, none, none > 0)


def classifier_losses(data: Blurry, estimate: Estimate) -> tuple[Tensor, Tensor, Tensor]:
    """Of the kind, of the logarithms of the levels, and of the direction, each over the pictures that have one."""
    kind = F.cross_entropy(estimate.kind.float(), data.kind)
    moved, soft = data.blurs.length > 0, data.blurs.radius > 0
    truth = torch.log(torch.stack([data.blurs.length, data.blurs.radius], dim=1).clamp(min=0.1))
    off = F.smooth_l1_loss(estimate.log_levels, truth, reduction="none", beta=0.1)
    level = off[:, 0][moved].mean() + off[:, 1][soft].mean()
    twice = 2 * data.blurs.direction
    aim = torch.stack([torch.cos(twice), torch.sin(twice)], dim=1)
    direction = (estimate.turn - aim).square().sum(dim=1)[moved].mean()
    return kind, level, direction


def decibels(picture: Tensor, data: Blurry) -> float:
    """Peak signal-to-noise ratio against the sharp picture, without a rim of 8 px."""
    off = (picture - data.sharp)[..., 8:-8, 8:-8]
    return float(-10 * torch.log10(off.square().mean()))


def _rows(blurs: Blurs, rows: Tensor) -> Blurs:
    return Blurs(*(one[rows] for one in blurs))
