"""Progress on stderr: one bar for the batch, one for each slide under way; plain lines where it is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from wsipipe.run.batch import Row, Running
from wsipipe.run.row import slide_row
from wsipipe.run.work import Report

COLOURS = {"done": "green", "partial": "yellow", "failed": "red", "skipped": "yellow"}


class Bars:
    """An observer of a batch that draws it.

    Parameters
    ----------
    slides : int
        How many sources the batch has.
    quiet : bool
        Draw nothing (``--json``).
    deidentify : bool
        Name no file.
    """

    def __init__(self, slides: int, *, quiet: bool = False, deidentify: bool = False) -> None:
        self._deidentify = deidentify
        self._console = Console(stderr=True, quiet=quiet)
        self._live = self._console.is_terminal and not quiet
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._live, transient=True)
        self._batch = self._progress.add_task("batch", total=slides, unit="slides")
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def more(self, slides: int) -> None:
        """So many slides were added to the batch."""
        total = self._progress.tasks[0].total or 0
        self._progress.update(self._batch, total=total + slides)

    def slide_started(self, slide: Running) -> None:
        """Open the slide's bar."""
        self._bars[slide.prepared.id] = self._progress.add_task(f"  {slide.prepared.id}", total=None, unit="")

    def step_started(self, slide: Running, units: int) -> None:
        """Begin the bar anew for the step's units."""
        name = f"  {slide.prepared.id}  {slide.step_name}"
        self._progress.reset(self._bars[slide.prepared.id], total=units or None, description=name, unit="units")

    def task_done(self, slide: Running, report: Report) -> None:  # noqa: ARG002 (the bars count tasks, not seconds)
        """One unit further."""
        self._progress.advance(self._bars[slide.prepared.id])

    def slide_ended(self, row: Row) -> None:
        """Close the slide's bar, and say in a line what became of it."""
        if row.status != "skipped" and row.id in self._bars:  # an alias has the id of the slide that still runs
            self._progress.remove_task(self._bars.pop(row.id))
        self._progress.advance(self._batch)
        told = slide_row(row, deidentify=self._deidentify)
        name = row.id or (told["id"] if self._deidentify else row.source.path.rsplit("/", 1)[-1])
        line = f"{name}: {told['category'] or told['reason']}"
        line += f" ({row.seconds:.1f} s)" if row.status == "done" else ""
        self._console.print(f"[{COLOURS[row.status]}]{row.status:>7}[/]", escape(line), highlight=False, soft_wrap=True)
        sys.stderr.flush()
