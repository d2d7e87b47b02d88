"""Bars for the steps of an evaluation, on stderr.

Enters: names of steps, how far each is. Leaves: nothing. Next: nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Steps:
    """One bar per step; lines every tenth of the way where no bar can be drawn."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("ETA"), TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, console=self._console, disable=quiet or not self._console.is_terminal)

    def __enter__(self) -> Steps:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def of(self, name: str) -> Callable[[int, int], None]:
        """What a step calls with what is done and the whole of it."""
        task = self._bar.add_task(name, total=None)

        def told(done: int, total: int) -> None:
            self._bar.update(task, completed=done, total=total)
            if self._bar.disable and (done == total or done % max(1, total // 10) == 0):
                self._console.print(f"{name}: {done}/{total}", highlight=False)

        return told
