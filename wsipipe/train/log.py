"""What is told while a network is trained: a bar on stderr, lines of JSON, and TensorBoard's event files.

Enters: progress. Leaves: ``log.jsonl`` (one line per epoch) and ``events/`` in the training's folder. Next: people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch.utils.tensorboard import SummaryWriter

from wsipipe.train.checkpoint import Progress

TOLD = ("score", "macro_f1", "dice", "log_loss", "kind_right")
"""Measures that the line of an epoch shows, where they are there."""


class Log:
    """A watcher that shows a bar and writes both logs.

    A resumed training writes the finished epochs again from its checkpoint, so the files hold each epoch once.

    Parameters
    ----------
    folder : Path
    quiet : bool
        Write files only.
    every : int
        Steps between two points of TensorBoard's curves.
    """

    def __init__(self, folder: Path, *, quiet: bool = False, every: int = 20) -> None:
        self._folder, self._every = folder, every
        self._console = Console(stderr=True, quiet=quiet)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        live = self._console.is_terminal and not quiet
        self._bar = Bar(*columns, console=self._console, disable=not live, transient=True)
        self._task = self._bar.add_task("training", total=None, told="")
        self._events: SummaryWriter | None = None

    def __enter__(self) -> Log:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._events is not None:
            self._events.close()

    def gathered(self, done: int, total: int) -> None:
        """So many slides of the cache are cut."""
        self._bar.update(self._task, total=total, completed=done, description="cutting tiles", told="slides")
        if self._bar.disable:
            self._tenth(done, total)

    def _tenth(self, done: int, total: int) -> None:
        """Where no bar can be drawn: a line every tenth of the way."""
        if done == total or done % max(1, total // 10) == 0:
            self._console.print(f"slides {done}/{total}", highlight=False)

    def began(self, progress: Progress, epochs: int, steps: int) -> None:
        """Open the files where a training begins or goes on."""
        self._bar.update(
            self._task, total=steps, completed=progress.done, description=f"epoch {progress.epoch + 1}/{epochs}"
        )
        self._events = SummaryWriter(str(self._folder / "events"), purge_step=progress.done)
        write_lines(self._folder / "log.jsonl", progress.history)
        if progress.done:
            self._console.print(f"resumed at epoch {progress.epoch + 1}, step {progress.step + 1}", highlight=False)

    def stepped(self, progress: Progress, parts: Mapping[str, float]) -> None:
        """One step further."""
        self._bar.update(self._task, completed=progress.done, told=f"loss {parts['loss']:.4f}")
        if self._events is not None and progress.done % self._every == 0:
            for name, value in parts.items():
                self._events.add_scalar(f"step/{name}", value, progress.done)

    def epoch_ended(self, progress: Progress) -> None:
        """One epoch further."""
        row = progress.history[-1]
        write_lines(self._folder / "log.jsonl", progress.history)
        if self._events is not None:
            for name, value in row.items():
                self._events.add_scalar(f"epoch/{name}", value, progress.done)
            self._events.flush()
        told = "  ".join(f"{name} {row[name]:.4f}" for name in TOLD if name in row)
        best = " (best)" if progress.best_epoch == progress.epoch - 1 else ""
        line = f"epoch {progress.epoch}: loss {row.get('train_loss', float('nan')):.4f}  {told}{best}"
        self._console.print(line, f"{progress.seconds:.0f} s", highlight=False, soft_wrap=True)
        self._bar.update(self._task, description=f"epoch {progress.epoch + 1}")


def write_lines(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
