"""What every `wsipipe run` verb shares: find slides, start the workers, show progress, tell the results.

Enters: a pipeline's `Launch` and the command's options. Leaves: an exit code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsipipe.cli.crew import Hands, enlist
from wsipipe.cli.progress import Bars
from wsipipe.cli.report import after_run
from wsipipe.errors import StoreError, UsageError, WsipipeError
from wsipipe.run.batch import FAILURES, Batch, Row, Running, Task
from wsipipe.run.job import Job
from wsipipe.run.policy import Policy
from wsipipe.run.pool import Failure
from wsipipe.run.report import Journal
from wsipipe.run.row import slide_row
from wsipipe.run.session import Session
from wsipipe.run.slide_list import sources
from wsipipe.run.source import MppPolicy, Source, close_all
from wsipipe.run.start import Launch
from wsipipe.run.stop import Signals
from wsipipe.run.work import Report
from wsipipe.slide import cache, find_slides
from wsipipe.store.place import checked_folder, make_folder
from wsipipe.store.records import WITH_RESULTS

DONE, FAILED = 0, 3
TABLE_WIDTH = 160
"""Columns of the results' table where the terminal has fewer or is none."""


@dataclass(frozen=True)
class Options:
    """A run verb's options that no configuration holds."""

    out: Path
    slides: list[str] = field(default_factory=list)
    slide_list: Path | None = None
    hands: Hands = field(default_factory=Hands)
    policy: Policy = field(default_factory=Policy)
    deidentify: bool = False
    dry_run: bool = False
    as_json: bool = False
    wait: bool = True
    overwrite: bool = False
    cache_dir: Path | None = None
    cache_size: str | None = None


def start(launch: Launch, options: Options) -> int:
    """Run, or only estimate; returns the exit code."""
    if not options.slides and options.slide_list is None:
        raise UsageError("which slides? give files or directories, or --slide-list CSV")
    if options.policy.timed and options.hands.in_process:
        raise UsageError("a time limit kills the worker that takes too long: give --workers 1 or more, or no limit")
    cache.use(options.cache_dir, options.cache_size)
    found = sources(find_slides(options.slides) if options.slides else [], options.slide_list, launch.facts)
    job = Job(launch.recipe, str(checked_folder(options.out)), MppPolicy.parse(launch.mpp_policy), options.deidentify)
    if options.dry_run:
        from wsipipe.cli.dry_run import estimate  # deferred: only a dry run needs it

        return estimate(job, found, options)
    make_folder(options.out)
    rows, signal = _run(job, launch, found, options)
    _tell(rows, options)
    return signal or (FAILED if any(row.status in FAILURES for row in rows) else DONE)


def _mute(line: str) -> None:
    """Nothing on stderr where a machine reads the answer."""


def say(line: str) -> None:
    """A line for people, on stderr."""
    typer.echo(f"wsipipe: {line}", err=True)


def _run(job: Job, launch: Launch, found: list[Source], options: Options) -> tuple[list[Row], int]:
    """Rows, and the exit code of the signal that stopped the run (0 for none)."""
    journal = Journal(job, launch.weights)
    bars = Bars(len(found), quiet=options.as_json, deidentify=options.deidentify)
    how = {"wait": options.wait, "overwrite": options.overwrite}
    with (
        Session(journal, sources=len(found), tell=say, **how) as session,
        enlist(session.job, options.hands, gpu=launch.device == "cuda", say=_mute if options.as_json else say) as pool,
        bars,
        Signals(pool.stop) as signals,
    ):
        batch = Batch(session.job, found, pool, Noted(bars, journal, session), policy=options.policy)
        with _recorded(journal, batch, options):
            batch.run()
            close_all()  # with --workers 0 the slides were opened in this process
            journal.note(batch.rows)
            whole = len(batch.rows) == len(found)
            journal.end(batch.rows, status="ended" if whole else "interrupted" if signals.number else "stopped")
    after_run(options.out, interrupted=not whole, quiet=options.as_json)
    return batch.rows, signals.exit_code if signals.number and not whole else 0


@contextmanager
def _recorded(journal: Journal, batch: Batch, options: Options) -> Iterator[None]:
    """A context that leaves a run which does not come to its end recorded as interrupted, where there is room for that.

    Raises
    ------
    StoreError
        Where the run's own records cannot be written: a full disk, a folder that is gone.
    """
    try:
        yield
    except (KeyboardInterrupt, WsipipeError, OSError) as error:
        with suppress(OSError):
            journal.end(batch.rows, status="interrupted")
            if not isinstance(error, KeyboardInterrupt):  # who wants it to stop at once gets no report
                after_run(options.out, interrupted=True, quiet=options.as_json)
        if isinstance(error, OSError):
            raise StoreError(
                f"writing the run's records: {error.strerror or error}; make room, then the same command continues",
                subject=str(options.out),
            ) from error
        raise


class Noted:
    """The progress bars, the session, and the journal after every slide."""

    def __init__(self, bars: Bars, journal: Journal, session: Session) -> None:
        self._bars, self._journal, self._session = bars, journal, session
        self.rows: list[Row] = []

    def slide_started(self, slide: Running) -> None:
        """A slide was prepared."""
        self._session.slide_started(slide)
        self._bars.slide_started(slide)

    def step_started(self, slide: Running, units: int) -> None:
        """A slide came to its next step."""
        self._session.step_started(slide, units)
        self._bars.step_started(slide, units)

    def task_done(self, slide: Running, report: Report) -> None:
        """A unit or a whole step is done."""
        self._session.task_done(slide, report)
        self._bars.task_done(slide, report)

    def task_failed(self, slide: Running, task: Task, failure: Failure, *, again: bool) -> None:
        """A task failed, and is run again or not."""
        self._session.task_failed(slide, failure, unit=task.unit if task.verb == "unit" else None, again=again)

    def slide_ended(self, row: Row) -> None:
        """A slide is done, partial, failed or skipped; its row is written."""
        self.rows = [*(one for one in self.rows if one.source != row.source), row]
        self._session.slide_ended(row)
        self._journal.note(self.rows)
        self._bars.slide_ended(row)


def _tell(rows: list[Row], options: Options) -> None:
    table = sorted((slide_row(row, deidentify=options.deidentify) for row in rows), key=lambda row: row["id"])
    if options.as_json:
        typer.echo(json.dumps({"results": str(options.out), "slides": table}, indent=2))
        return
    wide = Console(highlight=False)
    Console(highlight=False, width=max(wide.width, TABLE_WIDTH)).print(_table(table), crop=False, no_wrap=True)
    for row in table:
        if row["reason"]:
            name = row["path"] if row["status"] in FAILURES and row["path"] else row["id"]
            typer.echo(f"{name}: {row['error'] + ': ' if row['error'] else ''}{row['reason']}")
    for row in table:
        picture = options.out / row["id"] / "overview.png"
        if row["status"] in WITH_RESULTS and picture.is_file():
            typer.echo(f"picture: {picture}")
    typer.echo(f"results: {options.out}")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("status", "category", "p", "tiles", "mpp", "s", "slide", box=None, pad_edge=False)
    for row in rows:
        category = row["category"]
        probability = row[f"p_{category}"] if category else None
        cells = (category, probability, row["tiles"], row["mpp"], row["seconds"], row["id"])
        table.add_row(row["status"], *(_cell(value) for value in cells))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-" if value in (None, "") else escape(str(value))
