"""Stopping a run: signals in the process that runs it, a flag in the processes that work.

Enters: SIGINT, SIGTERM. Leaves: a `StoppedError` in every task that asks `check` between its batches; the unit is
dropped without a mark, and the next run does it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from wsipipe.errors import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ASKED: set[str] = set()
_HERE = threading.local()


def ask(run: str) -> None:
    """Note in this process that a run is to stop. Runs have ids of their own: a worker may serve several."""
    _ASKED.add(run)


@contextmanager
def during(run: str) -> Iterator[None]:
    """A context in which this thread works for a run."""
    _HERE.run = run
    try:
        yield
    finally:
        _HERE.run = ""


def check() -> None:
    """Called between batches. Raises StoppedError where the run that this thread works for is to stop."""
    if getattr(_HERE, "run", "") in _ASKED:
        raise StoppedError("dropped half way: the run was asked to stop; the same command does it again")


class Signals:
    """A context in which the first SIGINT or SIGTERM calls `stop`, and a second one raises KeyboardInterrupt.

    Parameters
    ----------
    stop : callable
        Called inside the signal handler: it must only take note.

    Attributes
    ----------
    number : int
        The first signal that came; 0 for none.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.number = 0
        self._stop = stop
        self._before: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal stopped: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
            self._before = {one: signal.signal(one, self._took) for one in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _took(self, number: int, _: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        self._stop()
