"""How a run bears what goes wrong: retries, time limits, and when to give up.

Enters: a command's options. Leaves: a frozen value that `wsipipe.run.batch` asks. Nothing here changes a byte of a
result, so nothing here is part of a key.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsipipe.errors import MppError, StoppedError, TileSizeError, UnitTimeoutError, UsageError, WorkerLostError
from wsipipe.errors import WsipipeError as Error

FINAL = (MppError, TileSizeError, UsageError, UnitTimeoutError, WorkerLostError, StoppedError)
"""Errors that another try would not change, or that had theirs already."""
FAIL, PARTIAL = "fail", "partial"


@dataclass(frozen=True)
class Policy:
    """What a run does about failures.

    Parameters
    ----------
    retries : int
        How often a task that raises is run again before it counts as failed. A unit that took too long is not run
        again; one whose worker died is run once more, alone on a worker, whatever this number is.
    on_unit_failure : {"fail", "partial"}
        A failed unit ends its slide (``failed``), or is left out while the slide's others are done (``partial``).
    fail_fast : bool
        Stop the run at the first slide that is failed or partial.
    unit_timeout, slide_timeout : float or None
        Seconds that one task (a unit, opening a slide, a step that is done whole) and that one slide may take. A
        slide's clock stands still while none of its tasks is with a worker.
    """

    retries: int = 1
    on_unit_failure: str = FAIL
    fail_fast: bool = False
    unit_timeout: float | None = None
    slide_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.on_unit_failure not in (FAIL, PARTIAL):
            raise UsageError(f"--on-unit-failure is {FAIL} or {PARTIAL}, got {self.on_unit_failure!r}")

    @property
    def partial(self) -> bool:
        """Whether a slide goes on without its failed units."""
        return self.on_unit_failure == PARTIAL

    @property
    def timed(self) -> bool:
        """Whether there is any time limit."""
        return self.unit_timeout is not None or self.slide_timeout is not None

    def again(self, error: Error, tries: int) -> bool:
        """Whether a task that ended with this error is run once more, after so many tries before."""
        return tries < self.retries and not isinstance(error, FINAL)

    def limit_s(self, busy_s: float) -> float | None:
        """Seconds that the next task of a slide may take, once the slide was worked on for `busy_s`."""
        limits = [self.unit_timeout, None if self.slide_timeout is None else max(0.0, self.slide_timeout - busy_s)]
        return min((limit for limit in limits if limit is not None), default=None)

    def overdue(self, busy_s: float) -> bool:
        """Whether a slide took longer than it may."""
        return self.slide_timeout is not None and busy_s >= self.slide_timeout
