"""The log of a run: ``runs/<key>/log.jsonl``, one JSON object per line and event.

Enters: what a batch tells its observer. Leaves: lines, each appended with one write, so that a killed run leaves
whole ones. The terminal hears none of it. Next rooms: people, with `jq` or DuckDB.

Every line has ``time`` (UTC), ``run`` (the run's random id) and ``event``: run_started, setting_changed,
slide_started, step_started, unit_done, step_done, task_failed, slide_ended, run_ended. A de-identified run's lines
name slides by their fingerprint alone and quote no path and no library.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wsipipe.run.batch import Row, Running
from wsipipe.run.pool import Failure
from wsipipe.run.row import readable, slide_row
from wsipipe.run.work import Report
from wsipipe.store import place
from wsipipe.store.records import plain

LOG_FILE = "log.jsonl"
TOLD = ("status", "error", "reason", "tiles", "category", "seconds")
"""What is told of a slide's row."""


class Log:
    """An observer that writes lines.

    Parameters
    ----------
    path : Path
        The file; its folder exists. Runs of the same settings share it.
    run : str
        Id of the run.
    deidentify : bool
    """

    def __init__(self, path: Path, run: str, *, deidentify: bool = False) -> None:
        self.path, self._run, self._deidentify = path, run, deidentify

    def say(self, event: str, **facts: Any) -> None:
        """Append one event; facts that are None are left out."""
        told = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "run": self._run, "event": event}
        append(self.path, told | {name: value for name, value in facts.items() if value is not None})

    def slide_started(self, slide: Running) -> None:
        """A slide was prepared: its size is known."""
        work = slide.prepared
        self.say("slide_started", slide=work.id, mpp=work.frame.mpp, shape=list(work.frame.shape))

    def step_started(self, slide: Running, units: int) -> None:
        """A slide came to its next step."""
        self.say("step_started", slide=slide.prepared.id, step=slide.step_name, units=units)

    def task_done(self, slide: Running, report: Report) -> None:
        """A unit or a whole step is done."""
        event = "step_done" if report.unit is None else "unit_done"
        facts = {"unit": report.unit, "seconds": round(report.seconds, 4), "tiles": report.tiles}
        sizes = {"read_bytes": report.read, "written_bytes": report.written}
        self.say(event, slide=slide.prepared.id, step=report.step, **facts, **sizes)

    def task_failed(self, slide: Running, failure: Failure, *, unit: int | None = None, again: bool = False) -> None:
        """A task failed; what a library said of it is left out of a de-identified log, where it may quote a path."""
        known = slide.work
        told = {"error": type(failure.error).__name__, "again": again, "unit": unit}
        reason = None if self._deidentify else readable(failure.error.message)
        where = {"slide": known.id, "step": slide.step_name} if known else {}
        self.say("task_failed", **where, **told, reason=reason)

    def slide_ended(self, row: Row) -> None:
        """A slide is done, failed or skipped."""
        told = slide_row(row, deidentify=self._deidentify)
        self.say("slide_ended", slide=told["id"], **{name: told[name] for name in TOLD})


def append(path: Path, line: dict[str, Any]) -> None:
    """Append a JSON object as one line with one write: lines of two writers do not mix."""
    data = (json.dumps(plain(line), ensure_ascii=False, allow_nan=False) + "\n").encode()
    place.append(path, data)
