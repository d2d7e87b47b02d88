"""A slide on its way, and the row that it ends as.

Enters: reports and failures of tasks. Leaves: a `Row` per source. Who decides: `wsipipe.run.batch`.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from wsipipe.run import partial
from wsipipe.run.job import SlideWork
from wsipipe.run.pool import Failure
from wsipipe.run.source import Source
from wsipipe.run.work import Opened, Report

MOST_TRACES = 10
"""Tracebacks of missing units that a partial slide's error file holds."""


@dataclass(frozen=True)
class Row:
    """What became of one source.

    ``status`` is done, partial, failed or skipped; ``error`` the name of the error's type and ``reason`` its one line
    (also why a slide is skipped or has no category); ``record`` what the finishing steps tell.
    """

    source: Source
    status: str
    index: int = 0
    id: str = ""
    fingerprint: str = ""
    mpp: float | None = None
    error: str = ""
    reason: str = ""
    trace: str = ""
    seconds: float = 0.0
    record: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
    tiles: dict[str, int] = field(default_factory=dict)


@dataclass
class Running:
    """A slide on its way.

    ``index`` is its place in the list given, ``turn`` its place in the order of admission; ``out`` counts tasks that
    are with workers, ``left`` units of the step that have not ended; ``missing`` holds what the step's units failed
    with, ``lacks`` the same of earlier steps.
    """

    source: Source
    index: int = 0
    turn: int = 0
    started: float = field(default_factory=time.perf_counter)
    work: SlideWork | None = None
    step: int = 0
    waiting: deque[int] = field(default_factory=deque)
    out: int = 0
    left: int = 0
    needed: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
    tiles: dict[str, int] = field(default_factory=dict)
    missing: dict[int, Failure] = field(default_factory=dict)
    lacks: dict[str, dict[int, Failure]] = field(default_factory=dict)
    failure: Failure | None = None
    _busy_s: float = 0.0
    _since: float = 0.0

    @property
    def prepared(self) -> SlideWork:
        """The prepared slide; asked for only after `prepare` has answered."""
        if self.work is None:
            raise RuntimeError("the slide is not prepared yet")
        return self.work

    @property
    def step_name(self) -> str:
        """Name of the step that the slide is at."""
        return self.prepared.job.recipe.build().steps[self.step].name

    @property
    def busy_s(self) -> float:
        """Seconds in which at least one of its tasks was with a worker."""
        return self._busy_s + (time.perf_counter() - self._since if self.out else 0.0)

    def leave(self) -> None:
        """One of its tasks goes to a worker."""
        if self.out == 0:
            self._since = time.perf_counter()
        self.out += 1

    def come(self) -> None:
        """One of its tasks is back."""
        self._busy_s = self.busy_s
        self._since = time.perf_counter()
        self.out -= 1

    def open(self, opened: Opened) -> None:
        """Its step begins with these units."""
        self.waiting.extend(opened.pending)
        self.left, self.needed = len(opened.pending), opened.needed

    def miss(self, unit: int, failure: Failure) -> None:
        """Go on without a unit."""
        self.missing[unit] = failure
        self.left -= 1

    def set_apart(self) -> None:
        """The step ends without some units: what is computed from now on is kept apart from a whole slide's."""
        if not self.missing:
            return
        self.lacks[self.step_name] = self.missing
        self.work = self.prepared.without(self.step, tuple(sorted(self.missing)))
        self.missing = {}

    def note(self, report: Report) -> None:
        """Add a task's report to the slide's sums."""
        self.timing[report.step] = self.timing.get(report.step, 0.0) + report.seconds
        self.tiles[report.step] = self.tiles.get(report.step, 0) + report.tiles
        self.record |= report.record


def ended(slide: Running) -> Row:
    """The row of a slide that came to its last step: done, or partial where units are missing."""
    if not slide.lacks:
        return _row(slide, "done", record=slide.record, reason=str(slide.record.get("reason", "")))
    failures = [failure for units in slide.lacks.values() for failure in units.values()]
    first = failures[0].error
    return _row(
        slide,
        "partial",
        record=slide.record | {"missing": {step: sorted(units) for step, units in slide.lacks.items()}},
        error=type(first).__name__,
        reason=f"{partial.missing_line(slide.lacks)}; the first failed with: {first.message}",
        trace="\n".join(failure.trace for failure in failures[:MOST_TRACES]),
    )


def skipped(slide: Running, reason: str, prepared: SlideWork | None = None) -> Row:
    """The row of a slide that is not to be worked on."""
    return _row(slide, "skipped", prepared, reason=reason)


def failed(slide: Running, failure: Failure) -> Row:
    """The row of a slide that could not be done."""
    name, reason = type(failure.error).__name__, failure.error.message
    return _row(slide, "failed", error=name, reason=reason, trace=failure.trace)


def _row(slide: Running, status: str, prepared: SlideWork | None = None, **more: Any) -> Row:
    work = prepared or slide.work
    facts: dict[str, Any] = {}
    if work:
        nominal = work.job.recipe.build().scale is not None  # then it says nothing of the slide's size
        facts = {"id": work.id, "fingerprint": work.fingerprint, "mpp": None if nominal else work.frame.mpp}
    seconds = time.perf_counter() - slide.started
    return Row(
        slide.source, status, slide.index, seconds=seconds, timing=slide.timing, tiles=slide.tiles, **facts, **more
    )
