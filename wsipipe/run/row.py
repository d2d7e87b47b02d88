"""A row of ``slides.parquet`` for what became of a source, with or without what names it.

Enters: rows of the batch. Leaves: plain mappings. Next room: `wsipipe.run.report` writes them.
"""

from __future__ import annotations

import json
import os
from typing import Any

from wsipipe.run.batch import Row
from wsipipe.run.job import Job
from wsipipe.run.partial import missing_line
from wsipipe.stage import digest
from wsipipe.store.records import PROBABILITY_COLUMNS

OWN_WORDS = ("MppError", "TileSizeError", "UnitTimeoutError", "WorkerLostError")
"""Errors whose text is wholly ours and names no file."""
FIXED = {
    "SlideOpenError": "the file could not be opened as a slide",
    "SlideReadError": "pixels of the slide could not be read",
    "UnitError": "a worker failed on the slide",
    "StoreError": "the slide's results could not be written or read",
}
"""What a de-identified row says of other errors: what a library says may quote a path."""
NAMES_LEFT_OUT = "left out of a de-identified run"


def slide_row(row: Row, *, deidentify: bool) -> dict[str, Any]:
    """One row of ``slides.parquet``; a de-identified one names no path, no case, and quotes no library."""
    record = row.record
    return {
        "id": row.id or _unopened(row, deidentify=deidentify),
        "path": "" if deidentify else readable(row.source.path),
        "case_id": "" if deidentify else row.source.case_id,
        "fingerprint": row.fingerprint,
        "status": row.status,
        "error": row.error,
        "reason": _nameless(row) if deidentify else readable(row.reason),
        "mpp": record.get("mpp", row.mpp),
        "tiles": record.get("tiles"),
        "category": record.get("category"),
        **{name: record.get(name) for name in PROBABILITY_COLUMNS},
        "seconds": row.seconds,
    }


def told_config(job: Job) -> Any:
    """The resolved configuration; in a de-identified run without any path (it may name a user or a patient)."""
    return json.loads(job.recipe.config, object_hook=_without_paths if job.deidentify else None)


def nameless(told: Any) -> Any:
    """A told configuration without any path."""
    return json.loads(json.dumps(told), object_hook=_without_paths)


def readable(text: str) -> str:
    r"""Text that any file can hold: bytes of a file name that are not UTF-8 are written as ``\xNN``."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _unopened(row: Row, *, deidentify: bool) -> str:
    """A slide that did not open has no fingerprint: its place in the batch, or a hash of its path."""
    return f"unopened-{row.index:05d}" if deidentify else f"unopened-{digest(readable(row.source.path))}"


def _nameless(row: Row) -> str:
    if row.status == "partial":
        return missing_line(row.record["missing"])
    if row.status != "failed" or row.error in OWN_WORDS:
        return row.reason
    return FIXED.get(row.error, "the slide failed")


def _without_paths(section: dict[str, Any]) -> dict[str, Any]:
    return {
        key: NAMES_LEFT_OUT if isinstance(value, str) and _is_path(value) else value for key, value in section.items()
    }


def _is_path(text: str) -> bool:
    return os.sep in text or bool(os.path.splitext(text)[1])  # noqa: PTH122 (a text that may be no path)
