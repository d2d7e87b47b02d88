"""A run as others see it: its lease, its log, its sums and metrics, and which layers it refers to.

Enters: a journal and what a batch tells. Leaves: ``lease/``, ``runs/<key>/log.jsonl``, ``runs/<key>/layers.jsonl``,
``metrics.prom``. Next rooms: `wsipipe.query`, `wsipipe clean`, people.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from wsipipe.errors import StoreError
from wsipipe.run.batch import Row, Running
from wsipipe.run.changes import changed
from wsipipe.run.job import Job
from wsipipe.run.log import LOG_FILE, Log, append
from wsipipe.run.metrics import METRICS_FILE, Metrics
from wsipipe.run.pool import Failure
from wsipipe.run.report import Journal
from wsipipe.run.row import told_config
from wsipipe.run.work import Report
from wsipipe.store import staging
from wsipipe.store.layout import LAYERS_FILE
from wsipipe.store.lease import Lease
from wsipipe.store.place import flush, place
from wsipipe.store.references import recorded


class Session:
    """A run from the taking of its lease to its last line; use it as a context manager, it observes the batch.

    Parameters
    ----------
    journal : Journal
    sources : int
        Slides that the run was given.
    wait : bool
        Wait for a run that is at work in the same results directory, or raise UsageError.
    overwrite : bool
        Make every slide anew.
    tell : callable
        Says a line to people.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        sources: int,
        wait: bool,
        overwrite: bool = False,
        tell: Callable[[str], None] = print,
    ) -> None:
        self.journal, self._wait, self._overwrite, self._tell = journal, wait, overwrite, tell
        self._results, self._job = place(journal.job.results), journal.job
        self.tally = journal.tally
        self.tally.sources = sources
        self._lease = Lease(self._results, self._job.deidentify, self._beat)
        self._staging: Path | None = None

    @property
    def job(self) -> Job:
        """The job as workers are to have it."""
        return replace(self._job, overwrite=str(self._staging or ""))

    def __enter__(self) -> Session:
        self._lease.take(wait=self._wait, tell=self._tell)
        with contextlib.ExitStack() as undo:
            undo.callback(self._lease.release)
            self._begin()
            undo.pop_all()
        return self

    def _begin(self) -> None:
        told = {"config": told_config(self._job), "weights": dict(self.journal.weights)}
        changes = changed(self._results, told, deidentify=self._job.deidentify)
        self.journal.run = self._lease.me.run
        self.journal.begin()
        folder = self.journal.folder
        self._log = Log(folder / LOG_FILE, self._lease.me.run, deidentify=self._job.deidentify)
        labels = {"run": self._lease.me.run, "key": self.journal.key}
        self._metrics = Metrics(self._results / METRICS_FILE, self.tally, **labels)
        self._layers, self._referred = folder / LAYERS_FILE, recorded(folder / LAYERS_FILE)
        self._log.say("run_started", key=self.journal.key, sources=self.tally.sources, **told)
        for line in changes:
            self._tell(f"setting changed since the last run: {line}")
            self._log.say("setting_changed", change=line)
        if self._overwrite:
            self._begin_overwrite()
        self._metrics.write()

    def _begin_overwrite(self) -> None:
        self._staging = staging.begin(self._results, self.journal.key)
        if done := staging.replaced(self._staging):
            self._tell(f"going on with an overwrite that was interrupted: {done} slides are made anew already")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._metrics.up = False
            whole = self.tally.slides["done"] + self.tally.slides["skipped"] == self.tally.sources
            if self._staging and whole and kind is None:
                staging.end(self._staging)
            with contextlib.suppress(OSError, StoreError):  # a full disk: what matters is that the lease is given back
                self._log.say("run_ended", status="ended" if kind is None else "interrupted", slides=self.tally.slides)
                self._metrics.write()
                for path in (self._log.path, self._layers):
                    flush(path)
        finally:
            self._lease.release()

    def _beat(self) -> None:
        if hasattr(self, "_metrics"):
            self._metrics.write()

    def more(self, sources: int) -> None:
        """So many slides were added to the run."""
        self.tally.sources += sources

    def slide_started(self, slide: Running) -> None:
        """A slide was prepared; the layers that its settings name are recorded."""
        self._refer(slide)
        self.tally.slide_started(slide)
        self._log.slide_started(slide)

    def step_started(self, slide: Running, units: int) -> None:
        """A slide came to its next step."""
        self._lease.check()
        self._refer(slide)  # its keys change where units were left out
        self._log.step_started(slide, units)

    def task_done(self, slide: Running, report: Report) -> None:
        """A unit or a whole step is done. Raises StoreError where the lease was lost."""
        self._lease.check()
        self.tally.task_done(slide, report)
        self._log.task_done(slide, report)

    def task_failed(self, slide: Running, failure: Failure, *, unit: int | None = None, again: bool = False) -> None:
        """A task failed, and is done again or not."""
        self._log.task_failed(slide, failure, unit=unit, again=again)

    def slide_ended(self, row: Row) -> None:
        """A slide is done, failed or skipped."""
        self.tally.slide_ended(row)
        self._log.slide_ended(row)

    def _refer(self, slide: Running) -> None:
        work = slide.prepared
        steps = self._job.recipe.build().steps
        names = [f"{step.name}-{key}" for step, key in zip(steps, work.keys, strict=True) if step.outputs]
        if self._referred.get(work.id) != names:
            self._referred[work.id] = names
            line: dict[str, Any] = {"slide": work.id, "layers": names}
            append(self._layers, line)
