"""The training loop that both networks share: epochs, steps, validation, early stopping, checkpoints.

Enters: a `Task` (network, batches, loss, validation) and settings. Leaves: ``best.safetensors`` and the history;
the network holds the weights of its best epoch. Next: `wsipipe.train.tiles` and `wsipipe.train.graphs` save them
with a card and write the report.

Killed at any moment and started again with the same command, it gives the same weights, byte for byte, on a CPU
with the same number of threads: the schedule is a pure function of the step, the order and the augmentation of
(seed, epoch, step), and a checkpoint holds the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file
from safetensors.torch import save as encode
from torch import Tensor, nn

from wsipipe.errors import WsipipeError
from wsipipe.train import checkpoint
from wsipipe.train.checkpoint import Progress
from wsipipe.train.file import put

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"


class Task(Protocol):
    """What is trained on what."""

    @property
    def module(self) -> nn.Module:
        """The network, on its device."""

    def steps(self, epoch: int) -> int:
        """Steps of an epoch."""

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch from step `start` on; the same for the same arguments."""

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """``loss``, to be minimised, and its parts, to be told."""

    def validate(self) -> dict[str, float]:
        """Measures on the validation part, of which ``score`` (higher is better) chooses the best epoch."""


class Schedule(Protocol):
    """What every network's schedule section has."""

    @property
    def epochs(self) -> int:
        """Most epochs."""

    @property
    def learning_rate(self) -> float:
        """Highest of the one-cycle schedule."""

    @property
    def warm_share(self) -> float:
        """Share of steps in which the rate rises."""

    @property
    def weight_decay(self) -> float:
        """Of AdamW."""

    @property
    def clip(self) -> float:
        """Largest norm of the gradient."""

    @property
    def patience(self) -> int:
        """Epochs without a better score before it stops early."""


class Watcher(Protocol):
    """Who is told how it goes: bars, logs."""

    def began(self, progress: Progress, epochs: int, steps: int) -> None:
        """Training begins or goes on."""

    def stepped(self, progress: Progress, parts: Mapping[str, float]) -> None:
        """A step is done."""

    def epoch_ended(self, progress: Progress) -> None:
        """An epoch is validated; its measures are the last of ``progress.history``."""


@dataclass(frozen=True)
class Plan:
    """Settings of one training."""

    schedule: Schedule
    identity: Mapping[str, Any]
    folder: Path
    checkpoint_s: float = 120.0
    seconds: float = 0.0
    """Most seconds of work; the schedule is then of the clock, not of steps, and ends in time. 0 counts steps."""


def fit(task: Task, plan: Plan, watcher: Watcher) -> Progress:
    """Train until the last epoch, or until `patience` epochs brought nothing better.

    Parameters
    ----------
    task : Task
    plan : Plan
        A checkpoint in its folder is resumed.
    watcher : Watcher

    Returns
    -------
    Progress
        The task's network holds the best epoch's weights.

    Raises
    ------
    WsipipeError
        Where the loss is NaN or infinite; the last good checkpoint is kept.
    ConfigError, StoreError
        See `wsipipe.train.checkpoint`.
    """
    optimizer = make_optimizer(task.module, plan.schedule)
    path, progress = plan.folder / CHECKPOINT, Progress()
    if path.is_file():
        progress = checkpoint.load(path, task.module, optimizer, plan.identity)
    run = _Run(task, plan, watcher, optimizer, progress)
    watcher.began(progress, plan.schedule.epochs, run.total)
    while progress.epoch < plan.schedule.epochs and not _tired(progress, plan.schedule.patience) and run.share() < 1:
        run.epoch()
    task.module.load_state_dict(load_file(plan.folder / BEST))
    return progress


def make_optimizer(module: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW; norms and biases do not decay."""
    decays = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decays, "weight_decay": schedule.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)


def one_cycle(step: float, total: int, *, peak: float, warm: float) -> float:
    """Learning rate of a step: a cosine from peak/25 up to `peak` over the share `warm`, then down to peak/1e4.

    After Smith & Topin, 2018, with cosines; the momentum is left alone.
    """
    rise = max(1.0, warm * total)
    if step < rise:
        return _cosine(peak / 25, peak, step / rise)
    return _cosine(peak, peak / 1e4, (step - rise) / max(1.0, total - 1 - rise))


class _Run:
    def __init__(
        self, task: Task, plan: Plan, watcher: Watcher, optimizer: torch.optim.Optimizer, progress: Progress
    ) -> None:
        self.task, self.plan, self.watcher = task, plan, watcher
        self.optimizer, self.progress = optimizer, progress
        self.total = sum(task.steps(epoch) for epoch in range(plan.schedule.epochs))
        self.saved = self.began = time.monotonic()
        self.before = progress.seconds

    def share(self) -> float:
        """How much of the time is used, 0 to 1 and more; 0 where no time is set."""
        worked = self.before + time.monotonic() - self.began
        return worked / self.plan.seconds if self.plan.seconds else 0.0

    def epoch(self) -> None:
        """One epoch (from where it stands), its validation, and a checkpoint."""
        progress, began = self.progress, time.perf_counter()
        self.task.module.train()
        for batch in self.task.batches(progress.epoch, progress.step):
            self._step(batch)
            if time.monotonic() - self.saved > self.plan.checkpoint_s:
                progress.seconds, began = progress.seconds + time.perf_counter() - began, time.perf_counter()
                self._save()
            if self.share() >= 1:
                break
        steps = max(1, progress.step)
        self.task.module.eval()
        row = {f"train_{name}": value / steps for name, value in progress.sums.items()} | self.task.validate()
        progress.seconds += time.perf_counter() - began
        self._ended(row)

    def _step(self, batch: Any) -> None:
        schedule, progress = self.plan.schedule, self.progress
        done, total = (self.share() * 1e6, 1_000_000) if self.plan.seconds else (progress.done, self.total)
        rate = one_cycle(done, total, peak=schedule.learning_rate, warm=schedule.warm_share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        parts = self.task.loss(batch)
        told = {name: float(value.detach()) for name, value in parts.items()}
        self._check(told, rate)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()  # type: ignore[no-untyped-call]  # torch's stubs lack it
        norm = nn.utils.clip_grad_norm_(self.task.module.parameters(), schedule.clip)
        self._check({"gradient": float(norm)}, rate)
        self.optimizer.step()
        progress.step, progress.done = progress.step + 1, progress.done + 1
        progress.sums = {name: progress.sums.get(name, 0.0) + value for name, value in told.items()}
        self.watcher.stepped(progress, told | {"rate": rate})

    def _check(self, told: Mapping[str, float], rate: float) -> None:
        wrong = [f"{name} is {value}" for name, value in told.items() if not math.isfinite(value)]
        if wrong:
            raise WsipipeError(
                f"training: {', '.join(wrong)} in epoch {self.progress.epoch + 1}, step {self.progress.step + 1} at a "
                f"rate of {rate:.2g}; the last good checkpoint is kept: lower schedule.learning_rate, or use float32",
                subject="loss",
            )

    def _ended(self, row: dict[str, float]) -> None:
        progress = self.progress
        progress.history.append({"epoch": float(progress.epoch + 1), **row})
        if row["score"] > progress.best_score:
            progress.best_score, progress.best_epoch = row["score"], progress.epoch
            state = {name: value.detach().cpu().contiguous() for name, value in self.task.module.state_dict().items()}
            put(self.plan.folder / BEST, encode(state), what="the best epoch's weights")
        progress.epoch, progress.step, progress.sums = progress.epoch + 1, 0, {}
        self._save()
        self.watcher.epoch_ended(progress)

    def _save(self) -> None:
        path = self.plan.folder / CHECKPOINT
        checkpoint.save(path, self.task.module, self.optimizer, self.progress, self.plan.identity)
        self.saved = time.monotonic()


def _tired(progress: Progress, patience: int) -> bool:
    return progress.best_epoch >= 0 and progress.epoch - 1 - progress.best_epoch >= patience


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, share))))
