"""What is told of a run: ``slides.parquet`` after every slide, ``run.json`` when it ends.

Enters: rows of the batch. Leaves: two files at the top of the results directory, and copies below ``runs/<key>/``
so that another configuration in the same directory does not lose them.
"""

from __future__ import annotations

import getpass
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsipipe import __version__
from wsipipe.errors import UsageError
from wsipipe.run.batch import Row
from wsipipe.run.job import Job
from wsipipe.run.plan import library_versions
from wsipipe.run.row import readable, slide_row, told_config
from wsipipe.run.tally import Tally
from wsipipe.stage import digest
from wsipipe.store.layout import RUN_FILE, RUNS, SLIDES_FILE
from wsipipe.store.place import place, replace_file
from wsipipe.store.records import STATUSES, plain, read_slides, write_json, write_slides
from wsipipe.store.write import sweep_records

ERRORS = "errors"
"""Folder of tracebacks, one file a failed slide; none in a de-identified run."""


@dataclass
class Journal:
    """Keeps the run's files up to date.

    Parameters
    ----------
    job : Job
    weights : mapping
        sha256 of every weights file by its role.
    run : str
        Random id of this run.
    tally : Tally
        Its sums so far.
    """

    job: Job
    weights: Mapping[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    run: str = ""
    tally: Tally = field(default_factory=Tally)

    @property
    def key(self) -> str:
        """Hash of pipeline, configuration and weights: runs with one key have equal settings."""
        return digest(
            {"factory": self.job.recipe.factory, "config": self.job.recipe.config, "weights": dict(self.weights)}
        )

    @property
    def folder(self) -> Path:
        """``runs/<key>``."""
        return self._folders()[1]

    def begin(self) -> None:
        """Say that the run is under way; raises UsageError where the results directory cannot be written."""
        try:
            sweep_records(self.job.results)
            self.end([], status="running")
        except OSError as error:
            raise UsageError(
                f"writing results: {error.strerror}; give an --out that can be written", subject=self.job.results
            ) from error

    def note(self, rows: Sequence[Row]) -> None:
        """Write ``slides.parquet``, whole: these rows, and those of earlier runs of the same settings."""
        told = [slide_row(row, deidentify=self.job.deidentify) for row in rows]
        table = told + _kept(self._folders()[1] / SLIDES_FILE, told)
        for folder in self._folders():
            write_slides(folder / SLIDES_FILE, table)
        if rows and not self.job.deidentify:
            self._keep_trace(told[-1]["id"], rows[-1].trace)

    def _keep_trace(self, slide_id: str, trace: str) -> None:
        """The traceback of a failed slide in a file of its own; one that is done now has none."""
        path = self._folders()[1] / ERRORS / f"{slide_id}.txt"
        if trace:
            path.parent.mkdir(exist_ok=True)
            replace_file(path, readable(trace).encode())
        else:
            path.unlink(missing_ok=True)

    def end(self, rows: Sequence[Row], *, status: str) -> dict[str, Any]:
        """Write ``run.json`` and return what it says."""
        told = self._told(rows, status)
        for folder in self._folders():
            write_json(folder / RUN_FILE, told)
        return told

    def _folders(self) -> tuple[Path, Path]:
        results = place(self.job.results)
        kept = results / RUNS / self.key
        kept.mkdir(parents=True, exist_ok=True)
        return results, kept

    def _told(self, rows: Sequence[Row], status: str) -> dict[str, Any]:
        counts = {name: sum(row.status == name for row in rows) for name in STATUSES}
        return {
            "wsipipe": __version__,
            "key": self.key,
            "pipeline": self.job.recipe.factory,
            "run": self.run,
            "status": status,
            "sources": self.tally.sources,
            "config": told_config(self.job),
            "weights": dict(self.weights),
            "slides": counts,
            "started": self.started,
            "seconds": time.time() - self.started,
            "seconds_per_step": _sums([row.timing for row in rows]),
            "tiles_per_step": _sums([row.tiles for row in rows]),
            "read_bytes_per_step": _used(self.tally.read),
            "written_bytes_per_step": _used(self.tally.written),
            "machine": machine(deidentify=self.job.deidentify),
            "versions": library_versions(),
            "deidentified": self.job.deidentify,
        }


def _kept(path: Path, told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of earlier runs that these do not replace: of another path, or id where paths are left out."""
    if not path.is_file():
        return []
    ids, paths = {row["id"] for row in told}, {row["path"] for row in told}
    old = [plain(row) for row in read_slides(path).to_dict("records")]
    return [row for row in old if (row["path"] not in paths if row["path"] else row["id"] not in ids)]


def machine(*, deidentify: bool) -> dict[str, Any]:
    """The machine that the run was on; without its name and user in a de-identified run."""
    facts = {
        "system": platform.system(),
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    return facts if deidentify else facts | {"host": platform.node(), "user": getpass.getuser()}


def _used(sums: Mapping[str, int]) -> dict[str, int]:
    return {name: size for name, size in sorted(sums.items()) if size}


def _sums(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = {name for part in parts for name in part}
    return {name: sum(part.get(name, 0) for part in parts) for name in sorted(names)}
