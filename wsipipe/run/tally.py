"""Sums of a run while it goes: slides by status; units, seconds and bytes by step.

Enters: what a batch tells its observer. Leaves: numbers. Next rooms: `wsipipe.run.metrics` offers them to Prometheus,
`wsipipe.run.report` writes them into ``run.json``.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from wsipipe.run.batch import Row, Running
from wsipipe.run.work import Report


@dataclass
class Tally:
    """An observer that counts.

    Parameters
    ----------
    sources : int
        Slides that the run was given.
    """

    sources: int = 0
    began: float = field(default_factory=time.time)
    slides: Counter[str] = field(default_factory=Counter)
    active: int = 0
    units: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    read: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)

    def slide_started(self, slide: Running) -> None:  # noqa: ARG002 (counted, not named)
        """One more is under way."""
        self.active += 1

    def step_started(self, slide: Running, units: int) -> None:
        """Nothing to count."""

    def task_done(self, slide: Running, report: Report) -> None:  # noqa: ARG002 (sums are the run's)
        """Add a unit's or a step's figures."""
        self.units[report.step] += report.unit is not None
        self.seconds[report.step] = self.seconds.get(report.step, 0.0) + report.seconds
        self.read[report.step] += report.read
        self.written[report.step] += report.written

    def slide_ended(self, row: Row) -> None:
        """One more has ended; a skipped copy was never under way."""
        self.slides[row.status] += 1
        self.active -= row.status != "skipped" and bool(row.id)
