"""What is told of a run: ``slides.parquet`` after every slide, ``run.json`` when it ends.

Enters: rows of the batch. Leaves: two files at the top of the results directory, and copies below ``runs/<key>/``
so that another configuration in the same directory does not lose them.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsipipe import __version__
from wsipipe.run.batch import Row
from wsipipe.run.plan import library_versions
from wsipipe.run.work import Job
from wsipipe.stage import digest
from wsipipe.store.layout import RUN_FILE, RUNS, SLIDES_FILE
from wsipipe.store.records import write_json, write_slides

PROBABILITIES = ("p_negative", "p_low_grade", "p_high_grade", "p_invasive")


@dataclass
class Journal:
    """Keeps the run's files up to date.

    Parameters
    ----------
    job : Job
    weights : mapping
        sha256 of every weights file by its name.
    """

    job: Job
    weights: Mapping[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.time)

    @property
    def key(self) -> str:
        """Hash of pipeline, configuration and weights: runs with one key have equal settings."""
        return digest(
            {"factory": self.job.recipe.factory, "config": self.job.recipe.config, "weights": dict(self.weights)}
        )

    def note(self, rows: Sequence[Row]) -> None:
        """Write ``slides.parquet``, whole and atomically."""
        table = [slide_row(row, deidentify=self.job.deidentify) for row in rows]
        for folder in self._folders():
            write_slides(folder / SLIDES_FILE, table)

    def end(self, rows: Sequence[Row], *, status: str) -> dict[str, Any]:
        """Write ``run.json`` and return what it says."""
        told = self._told(rows, status)
        for folder in self._folders():
            write_json(folder / RUN_FILE, told)
        return told

    def _folders(self) -> tuple[Path, Path]:
        results = Path(self.job.results)
        kept = results / RUNS / self.key
        kept.mkdir(parents=True, exist_ok=True)
        return results, kept

    def _told(self, rows: Sequence[Row], status: str) -> dict[str, Any]:
        counts = {name: sum(row.status == name for row in rows) for name in ("done", "failed", "skipped")}
        return {
            "wsipipe": __version__,
            "key": self.key,
            "pipeline": self.job.recipe.factory,
            "status": status,
            "config": told_config(self.job),
            "weights": {_last(name) if self.job.deidentify else name: sha for name, sha in self.weights.items()},
            "slides": counts,
            "started": self.started,
            "seconds": time.time() - self.started,
            "seconds_per_step": _sums([row.timing for row in rows]),
            "tiles_per_step": _sums([row.tiles for row in rows]),
            "machine": machine(deidentify=self.job.deidentify),
            "versions": library_versions(),
            "deidentified": self.job.deidentify,
        }


def slide_row(row: Row, *, deidentify: bool) -> dict[str, Any]:
    """One row of ``slides.parquet``; a de-identified one names no path and no case."""
    record = row.record
    return {
        "id": row.id or f"unopened-{digest(row.source.path)}",
        "path": "" if deidentify else row.source.path,
        "case_id": "" if deidentify else row.source.case_id,
        "fingerprint": row.fingerprint,
        "status": row.status,
        "error": row.error,
        "reason": _nameless(row) if deidentify else row.reason,
        "mpp": row.mpp,
        "tiles": record.get("tiles"),
        "category": record.get("category"),
        **{name: record.get(name) for name in PROBABILITIES},
        "seconds": row.seconds,
    }


def told_config(job: Job) -> Any:
    """The resolved configuration; in a de-identified run only the last part of a path (it may name a user)."""
    return json.loads(job.recipe.config, object_hook=_last_parts if job.deidentify else None)


def _last_parts(section: dict[str, Any]) -> dict[str, Any]:
    return {key: _last(value) if isinstance(value, str) else value for key, value in section.items()}


def _last(text: str) -> str:
    return Path(text).name if os.sep in text else text


def _nameless(row: Row) -> str:
    """A failed slide's reason without paths: what a library says may quote one."""
    path, text = Path(row.source.path), row.reason
    for name in (str(path.resolve()), str(path), str(path.resolve().parent), path.name, row.source.case_id):
        text = text.replace(name, "...") if name else text
    return re.sub(r"(?<![\w.])/[^\s'\"]+", "...", text)


def machine(*, deidentify: bool) -> dict[str, Any]:
    """The machine that the run was on; without its name and user in a de-identified run."""
    facts = {
        "system": platform.system(),
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    return facts if deidentify else facts | {"host": platform.node(), "user": getpass.getuser()}


def _sums(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = {name for part in parts for name in part}
    return {name: sum(part.get(name, 0) for part in parts) for name in sorted(names)}
