"""The batch: many slides through one pipeline, as many at a time as there are workers.

Enters: a job and its sources. Leaves: one `Row` per source. The stores are written by `wsipipe.run.work` in
workers; this room only decides what comes next, and never opens a slide.

A slide goes through its steps in order; the units of a map step go out together. Slides are admitted as
workers free up, so memory and the task graph do not grow with the batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from wsipipe.run import work
from wsipipe.run.pool import Failure, Pool
from wsipipe.run.source import Source
from wsipipe.run.work import Job, Report, SlideWork


class Observer(Protocol):
    """Who is told how the batch goes: the progress bars, the log."""

    def slide_started(self, slide: Running) -> None:
        """A slide was prepared."""

    def step_started(self, slide: Running, units: int) -> None:
        """A slide came to its next step, which has so many units to do (0: it is done whole)."""

    def task_done(self, slide: Running, report: Report) -> None:
        """A unit or a whole step is done."""

    def slide_ended(self, row: Row) -> None:
        """A slide is done, failed or skipped."""


@dataclass(frozen=True)
class Row:
    """What became of one source.

    ``status`` is done, failed or skipped; ``error`` the name of the error's type and ``reason`` its one line
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
    """A slide on its way."""

    source: Source
    index: int = 0
    started: float = field(default_factory=time.perf_counter)
    work: SlideWork | None = None
    step: int = 0
    waiting: deque[int] = field(default_factory=deque)
    out: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
    tiles: dict[str, int] = field(default_factory=dict)
    failure: Failure | None = None

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

    def note(self, report: Report) -> None:
        """Add a task's report to the slide's sums."""
        self.timing[report.step] = self.timing.get(report.step, 0.0) + report.seconds
        self.tiles[report.step] = self.tiles.get(report.step, 0) + report.tiles
        self.record |= report.record


Task = tuple[str, Callable[..., Any], tuple[Any, ...]]


class Batch:
    """State of one run over many sources. `run` is all that others call."""

    def __init__(self, job: Job, sources: Iterable[Source], pool: Pool, observer: Observer) -> None:
        self.job, self.pool, self.observer = job, pool, observer
        self.sources = deque(sources)
        self.active: list[Running] = []
        self.ready: deque[tuple[Running, Task]] = deque()
        self.rows: list[Row] = []
        self.seen: dict[str, str] = {}
        self.admitted = self.turn = 0
        self.held: dict[int, tuple[Running, Any]] = {}

    def add(self, sources: Iterable[Source]) -> None:
        """More sources while it runs, for an observer to hand over."""
        self.sources.extend(sources)

    def run(self) -> list[Row]:
        """Work until every source has a row; rows are in the order in which slides ended."""
        self._feed()
        for (slide, verb), answer in self.pool.answers():
            slide.out -= 1
            self._take(slide, verb, answer)
            self._feed()
        return self.rows

    def _feed(self) -> None:
        """Keep every worker busy and one task in reserve for each."""
        while self.pool.running < 2 * self.pool.slots:
            found = self._next()
            if found is None:
                return
            slide, (verb, function, args) = found
            slide.out += 1
            self.pool.submit((slide, verb), function, *args)

    def _next(self) -> tuple[Running, Task] | None:
        """The oldest slide's next task; a new slide where the active ones have none to give."""
        if self.ready:
            return self.ready.popleft()
        for slide in self.active:
            if slide.waiting:
                return slide, ("unit", work.do_unit, (slide.prepared, slide.step, slide.waiting.popleft()))
        if self.sources and len(self.active) <= self.pool.slots:
            slide = Running(self.sources.popleft(), self.admitted)
            self.admitted += 1
            self.active.append(slide)
            return slide, ("prepare", work.prepare, (self.job, slide.source))
        return None

    def _take(self, slide: Running, verb: str, answer: Any) -> None:
        """Deal with an answer; slides are prepared in the order given, so that of two copies the first one counts."""
        if verb != "prepare":
            self._settle(slide, verb, answer)
            return
        self.held[slide.index] = slide, answer
        while self.turn in self.held:
            first, prepared = self.held.pop(self.turn)
            self.turn += 1
            self._settle(first, verb, prepared)

    def _settle(self, slide: Running, verb: str, answer: Any) -> None:
        if isinstance(answer, Failure):
            slide.failure, slide.waiting = slide.failure or answer, deque()
        if slide.failure:
            if slide.out == 0:
                self._end(slide, _failed(slide, slide.failure))
        elif verb == "prepare":
            self._prepared(slide, answer)
        elif verb == "open":
            self._opened(slide, answer)
        else:
            self._reported(slide, verb, answer)

    def _prepared(self, slide: Running, prepared: SlideWork | None) -> None:
        if prepared is None:
            self._end(slide, _skipped(slide, "no sane mpp, and the mpp policy is skip"))
            return
        if prepared.fingerprint in self.seen:
            reason = f"an alias: the same content as {self.seen[prepared.fingerprint]}"
            self._end(slide, _skipped(slide, reason, prepared))
            return
        self.seen[prepared.fingerprint] = prepared.id
        slide.work = prepared
        self.observer.slide_started(slide)
        self._open(slide)

    def _open(self, slide: Running) -> None:
        self.ready.append((slide, ("open", work.open_step, (slide.prepared, slide.step))))

    def _opened(self, slide: Running, units: list[int]) -> None:
        self.observer.step_started(slide, len(units))
        slide.waiting.extend(units)
        if not units:
            self._close(slide)

    def _close(self, slide: Running) -> None:
        self.ready.append((slide, ("close", work.close_step, (slide.prepared, slide.step))))

    def _reported(self, slide: Running, verb: str, report: Report) -> None:
        slide.note(report)
        self.observer.task_done(slide, report)
        if verb == "unit":
            if not slide.waiting and slide.out == 0:
                self._close(slide)
            return
        slide.step += 1
        if slide.step < len(slide.prepared.keys):
            self._open(slide)
        else:
            self._end(slide, _done(slide))

    def _end(self, slide: Running, row: Row) -> None:
        self.active.remove(slide)
        self.rows.append(row)
        self.observer.slide_ended(row)


def _base(slide: Running, status: str, prepared: SlideWork | None, **more: Any) -> Row:
    facts: dict[str, Any] = {}
    if prepared:
        facts = {"id": prepared.id, "fingerprint": prepared.fingerprint, "mpp": prepared.frame.mpp}
    seconds = time.perf_counter() - slide.started
    return Row(
        slide.source, status, slide.index, seconds=seconds, timing=slide.timing, tiles=slide.tiles, **facts, **more
    )


def _done(slide: Running) -> Row:
    return _base(slide, "done", slide.work, record=slide.record, reason=str(slide.record.get("reason", "")))


def _skipped(slide: Running, reason: str, prepared: SlideWork | None = None) -> Row:
    return _base(slide, "skipped", prepared, reason=reason)


def _failed(slide: Running, failure: Failure) -> Row:
    name, reason = type(failure.error).__name__, failure.error.message
    return _base(slide, "failed", slide.work, error=name, reason=reason, trace=failure.trace)
