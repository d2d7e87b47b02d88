"""The training loop of the dual-branch network: steps on one-cycle rates, a running mean of the weights, checkpoints.

Enters: a task (network, batch of a step, loss) and a schedule. Leaves: the running mean of the weights. Next:
`wsipipe.train.retina` saves it with a card.

Unlike `wsipipe.train.loop` it has no validation that chooses among epochs: with two dozen pictures, choosing on some of
them costs more than it gives, and the running mean stands in. Killed and started again it gives the same bytes on
a CPU with the same number of threads, unless ``schedule.seconds`` lets the clock decide how many steps there are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from wsipipe.errors import WsipipeError
from wsipipe.train import checkpoint
from wsipipe.train.checkpoint import Progress
from wsipipe.train.loop import CHECKPOINT, Watcher, one_cycle
from wsipipe.train.retina_config import RetinaScheduleSection

LOOKED = 10
"""Steps between two looks at the losses: each look waits for the device."""


class StepTask(Protocol):
    """What is trained on what."""

    @property
    def module(self) -> nn.Module:
        """The network, on its device."""

    def loss(self, step: int, share: float) -> dict[str, Tensor]:
        """``loss`` and its parts for the batch of a step, `share` of the way (0 to 1) along the schedule."""


@dataclass(frozen=True)
class StepPlan:
    """Settings of one training."""

    schedule: RetinaScheduleSection
    identity: Mapping[str, Any]
    folder: Path
    checkpoint_s: float = 120.0


class Both(nn.Module):
    """The network that learns, and the running mean of its weights: what a checkpoint holds."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.mean = network, deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def follow(self, decay: float, done: int) -> None:
        """Move the mean towards the network; quickly at first."""
        share = 1 - min(decay, (1 + done) / (10 + done))
        pairs = list(zip(self.mean.state_dict().values(), self.network.state_dict().values(), strict=True))
        floats = [(mean, now) for mean, now in pairs if mean.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floats], [now for _, now in floats], share)
        for mean, now in pairs:
            if not mean.is_floating_point():
                mean.copy_(now)


def fit_steps(task: StepTask, plan: StepPlan, watcher: Watcher) -> tuple[nn.Module, Progress]:
    """Train to the last step, or until `schedule.seconds` are over.

    Parameters
    ----------
    task : StepTask
    plan : StepPlan
        A checkpoint in its folder is resumed.
    watcher : Watcher

    Returns
    -------
    module : nn.Module
        The running mean, in evaluation mode.
    progress : Progress

    Raises
    ------
    WsipipeError
        Where the loss is NaN or infinite; the last good checkpoint is kept.
    ConfigError, StoreError
        See `wsipipe.train.checkpoint`.
    """
    run = _Run(task, plan, watcher)
    run.resume()
    watcher.began(run.progress, 1, plan.schedule.steps)
    while run.share() < 1:
        run.step()
    run.save()
    return run.both.mean.eval(), run.progress


class _Run:
    def __init__(self, task: StepTask, plan: StepPlan, watcher: Watcher) -> None:
        self.task, self.plan, self.watcher = task, plan, watcher
        self.both, self.progress = Both(task.module), Progress()
        self.optimizer = _optimizer(task.module, plan.schedule)
        self.saved = self.began = time.monotonic()
        self.sums: dict[str, Tensor] = {}

    def resume(self) -> None:
        path = self.plan.folder / CHECKPOINT
        if path.is_file():
            self.progress = checkpoint.load(path, self.both, self.optimizer, self.plan.identity)

    def share(self) -> float:
        """How much of the schedule is done, by steps or by the clock, whichever is further."""
        schedule, done = self.plan.schedule, self.progress.done
        by_clock = self._seconds() / schedule.seconds if schedule.seconds else 0.0
        return max(done / schedule.steps, by_clock)

    def step(self) -> None:
        """One step; now and then a look, a line, a checkpoint."""
        schedule, progress, share = self.plan.schedule, self.progress, self.share()
        steps = schedule.steps
        rate = one_cycle(share * steps, steps, peak=schedule.learning_rate, warm=schedule.warm_share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.task.module.train()
        parts = self.task.loss(progress.done, share)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()  # type: ignore[no-untyped-call]  # torch's stubs lack it
        parts["gradient"] = nn.utils.clip_grad_norm_(self.task.module.parameters(), schedule.clip)
        self.optimizer.step()
        self.both.follow(schedule.average, progress.done)
        progress.done, progress.step = progress.done + 1, progress.step + 1
        self._added({name: value.detach() for name, value in parts.items()})
        if progress.done % LOOKED == 0:
            self._look(rate)
        if progress.step >= schedule.round_steps:
            self._round()
        if time.monotonic() - self.saved > self.plan.checkpoint_s:
            self.save()

    def save(self) -> None:
        """A checkpoint of what is good."""
        self._look(0.0)
        progress, self.progress.seconds = self.progress, self._seconds()
        self.began = time.monotonic()
        checkpoint.save(self.plan.folder / CHECKPOINT, self.both, self.optimizer, progress, self.plan.identity)
        self.saved = time.monotonic()

    def _seconds(self) -> float:
        return self.progress.seconds + time.monotonic() - self.began

    def _added(self, parts: Mapping[str, Tensor]) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()

    def _look(self, rate: float) -> None:
        """Fetch the losses since the last look, refuse what is no number."""
        if not self.sums:
            return
        told = {name: float(value) for name, value in self.sums.items()}
        wrong = [name for name, value in told.items() if not math.isfinite(value)]
        if wrong:
            raise WsipipeError(
                f"training: {', '.join(wrong)} is no number near step {self.progress.done} at a rate of {rate:.2g}; "
                "the last good checkpoint is kept: lower schedule.learning_rate, or use float32",
                subject="loss",
            )
        kept = self.progress.sums
        self.progress.sums = {name: kept.get(name, 0.0) + value for name, value in told.items()}
        self.sums = {}
        self.watcher.stepped(self.progress, {"loss": told["loss"] / LOOKED, "rate": rate})

    def _round(self) -> None:
        self._look(0.0)
        progress = self.progress
        row = {f"train_{name}": value / progress.step for name, value in progress.sums.items()}
        progress.history.append({"epoch": float(progress.epoch + 1), "steps": float(progress.done), **row})
        progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, {}
        progress.seconds, self.began = self._seconds(), time.monotonic()
        self.watcher.epoch_ended(progress)


def _optimizer(module: nn.Module, schedule: RetinaScheduleSection) -> torch.optim.AdamW:
    """AdamW; norms and biases do not decay."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    decays, rest = [p for p in learned if p.ndim > 1], [p for p in learned if p.ndim <= 1]
    groups = [{"params": decays, "weight_decay": schedule.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)
