"""The batch: many slides through one pipeline, as many at a time as there are workers.

Enters: a job and its sources. Leaves: one `Row` per source. The stores are written by `wsipipe.run.work` in
workers; this room only decides what comes next, and never opens a slide.

A slide goes through its steps in order; the units of a map step go out together. Slides are admitted as
workers free up, so memory and the task graph do not grow with the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from wsipipe.errors import StoppedError, UnitError, UnitTimeoutError, WsipipeError
from wsipipe.run import running, work
from wsipipe.run.admission import largest_first
from wsipipe.run.job import Job, SlideWork
from wsipipe.run.policy import Policy
from wsipipe.run.pool import Errand, Failure, Pool
from wsipipe.run.running import Row, Running
from wsipipe.run.source import Source
from wsipipe.run.work import Opened, Report

FAILURES = ("failed", "partial")
"""Statuses of slides that are not whole: exit code 3."""

__all__ = ["Batch", "Observer", "Row", "Running", "Task"]


class Observer(Protocol):
    """Who is told how the batch goes: the progress bars, the log."""

    def slide_started(self, slide: Running) -> None:
        """A slide was prepared."""

    def step_started(self, slide: Running, units: int) -> None:
        """A slide came to its next step, which has so many units to do (0: it is done whole)."""

    def task_done(self, slide: Running, report: Report) -> None:
        """A unit or a whole step is done."""

    def task_failed(self, slide: Running, task: Task, failure: Failure, *, again: bool) -> None:
        """A task failed, and is run again or not."""

    def slide_ended(self, row: Row) -> None:
        """A slide is done, partial, failed or skipped."""


@dataclass(frozen=True)
class Task:
    """One thing to do for a slide: ``prepare`` it, ``open`` a step, do a ``unit`` of it, ``close`` it."""

    slide: Running
    verb: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    unit: int = -1
    tries: int = 0


class Batch:
    """State of one run over many sources. `run` is all that others call; the pool asks `left` and `next`."""

    def __init__(
        self, job: Job, sources: Iterable[Source], pool: Pool, observer: Observer, *, policy: Policy | None = None
    ) -> None:
        self.job, self.pool, self.observer, self.policy = job, pool, observer, policy or Policy()
        self.sources = deque(largest_first(sources))
        self.given = len(self.sources)
        self.active: list[Running] = []
        self.ready: deque[Task] = deque()
        self.rows: list[Row] = []
        self.seen: dict[str, str] = {}
        self.admitted = self.turn = 0
        self.held: dict[int, tuple[Task, Any]] = {}

    def add(self, sources: Iterable[Source]) -> None:
        """More sources while it runs, for an observer to hand over; they come after those given before."""
        self.sources.extend((index + self.given, source) for index, source in largest_first(sources))
        self.given = self.admitted + len(self.sources)

    def run(self) -> list[Row]:
        """Work until every source has a row or the pool stops; rows are in the order in which slides ended."""
        for task, answer in self.pool.answers(self):
            task.slide.come()
            self._take(task, answer)
        return self.rows

    def left(self) -> bool:
        """Whether a worker that is free now would get something to do."""
        waiting = self.ready or any(slide.waiting for slide in self.active)
        return bool(waiting or (self.sources and len(self.active) <= self.pool.slots))

    def next(self) -> Errand | None:
        """The oldest slide's next task; a new slide where the active ones have none to give."""
        task = self._next()
        if task is None:
            return None
        limit_s = self.policy.limit_s(task.slide.busy_s)
        task.slide.leave()
        return Errand(task, task.function, task.args, limit_s)

    def _next(self) -> Task | None:
        if self.ready:
            return self.ready.popleft()
        for slide in self.active:
            if slide.waiting:
                unit = slide.waiting.popleft()
                return Task(slide, "unit", work.do_unit, (slide.prepared, slide.step, unit), unit)
        if self.sources and len(self.active) <= self.pool.slots:
            index, source = self.sources.popleft()
            slide = Running(source, index, self.admitted)
            self.admitted += 1
            self.active.append(slide)
            return Task(slide, "prepare", work.prepare, (self.job, slide.source))
        return None

    def _take(self, task: Task, answer: Any) -> None:
        """Deal with an answer; slides are prepared in order of admission, so the first of two copies counts."""
        if isinstance(answer, Failure) and self._again(task, answer):
            return
        if task.verb != "prepare":
            self._settle(task, answer)
            return
        self.held[task.slide.turn] = task, answer
        while self.turn in self.held:
            first, prepared = self.held.pop(self.turn)
            self.turn += 1
            self._settle(first, prepared)

    def _again(self, task: Task, failure: Failure) -> bool:
        """Tell of a failed task, and run it again where the policy says so."""
        again = task.slide.failure is None and self.policy.again(failure.error, task.tries)
        if not isinstance(failure.error, StoppedError):
            self.observer.task_failed(task.slide, task, failure, again=again)
        if again:
            self.ready.append(replace(task, tries=task.tries + 1))
        return again

    def _settle(self, task: Task, answer: Any) -> None:
        slide = task.slide
        if isinstance(answer, Failure):
            self._failed(task, answer)
        elif slide.failure is None:
            self._went_well(task, answer)
        if slide.failure and slide.out == 0:
            self._end(slide, running.failed(slide, slide.failure))

    def _went_well(self, task: Task, answer: Any) -> None:
        if task.verb == "prepare":
            self._prepared(task.slide, answer)
        elif task.verb == "open":
            self._opened(task.slide, answer)
        else:
            self._reported(task, answer)

    def _failed(self, task: Task, failure: Failure) -> None:
        """A task has failed for good: its slide goes on without the unit, or fails; a stopped one stays as it is."""
        slide = task.slide
        if isinstance(failure.error, StoppedError):
            return
        late = isinstance(failure.error, UnitTimeoutError) and self.policy.overdue(slide.busy_s)
        named = Failure(self._named(task, failure, late=late), failure.trace)
        if self.policy.partial and task.verb == "unit" and not late and slide.failure is None:
            slide.miss(task.unit, named)
            self._units_ended(slide)
            return
        slide.failure = slide.failure or named
        slide.waiting.clear()
        self.ready = deque(other for other in self.ready if other.slide is not slide)

    def _named(self, task: Task, failure: Failure, *, late: bool) -> WsipipeError:
        """The failure's error; where a worker failed, it says what the worker was doing."""
        error = failure.error
        if not isinstance(error, UnitError):
            return error
        doing = "opening the slide" if task.verb == "prepare" else f"step {task.slide.step_name}"
        doing += f", unit {task.unit}" if task.verb == "unit" else ""
        limit = f" (--slide-timeout {self.policy.slide_timeout:g} s)" if late else ""
        return type(error)(f"{doing}: {error.message}{limit}", subject=error.subject)

    def _prepared(self, slide: Running, prepared: SlideWork | None) -> None:
        if prepared is None:
            self._end(slide, running.skipped(slide, "no sane mpp, and the mpp policy is skip"))
            return
        if prepared.fingerprint in self.seen:
            reason = f"an alias: the same content as {self.seen[prepared.fingerprint]}"
            self._end(slide, running.skipped(slide, reason, prepared))
            return
        self.seen[prepared.fingerprint] = prepared.id
        slide.work = prepared
        self.observer.slide_started(slide)
        self._open(slide)

    def _open(self, slide: Running) -> None:
        self.ready.append(Task(slide, "open", work.begin_step, (slide.prepared, slide.step)))

    def _opened(self, slide: Running, opened: Opened) -> None:
        self.observer.step_started(slide, len(opened.pending))
        slide.open(opened)
        self._units_ended(slide)

    def _units_ended(self, slide: Running) -> None:
        """Close the step once all its units have ended; a step of which no unit could be done fails the slide."""
        if slide.left:
            return
        if slide.missing and len(slide.missing) == slide.needed:
            slide.failure = next(iter(slide.missing.values()))
            return
        slide.set_apart()
        self.ready.append(Task(slide, "close", work.close_step, (slide.prepared, slide.step)))

    def _reported(self, task: Task, report: Report) -> None:
        slide = task.slide
        slide.note(report)
        self.observer.task_done(slide, report)
        if task.verb == "unit":
            slide.left -= 1
            self._units_ended(slide)
            return
        slide.step += 1
        if slide.step < len(slide.prepared.keys):
            self._open(slide)
        else:
            self._end(slide, running.ended(slide))

    def _end(self, slide: Running, row: Row) -> None:
        self.active.remove(slide)
        self.rows.append(row)
        self.observer.slide_ended(row)
        if self.policy.fail_fast and row.status in FAILURES:
            self.pool.stop()
