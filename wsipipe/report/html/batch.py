"""The batch at a glance: counts, time per stage, failures with their causes and what helps.

Enters: rows of ``slides.parquet`` and ``run.json``. Leaves: plain values. Next room: the template ``report.html.j2``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wsipipe.report.panel import NAMES
from wsipipe.store.records import CATEGORIES, STATUSES, WITH_RESULTS

Row = Mapping[str, Any]

NOTICE = "Not for clinical use."
SAID_PER_ERROR = 5
"""Different messages shown of one kind of error."""
STAGES = 8
"""Stages shown by name, the longest first."""
CURES = {
    "SlideOpenError": "Try another viewer. Copy it again if it is damaged; leave it out if it is no slide.",
    "SlideReadError": "Part of the file cannot be decoded: copy it again, then give the same command.",
    "MppError": "Give the true micrometres per pixel in the column mpp of a --slide-list, or --mpp-policy assume:0.5.",
    "TileSizeError": "Leave the picture out, or use a smaller tile (--set tile.size=256).",
    "UnitError": "Give the same command again: what is done is kept. The traceback lies below runs, in errors.",
    "StoreError": "See whether the disk is full or the results were changed by hand, then give the same command again.",
}
CURE = "Give the same command again: what is done is kept."


@dataclass(frozen=True)
class Count:
    """A bar: what is counted, how many, and its share of the largest, in percent."""

    key: str
    name: str
    number: float
    percent: float


@dataclass(frozen=True)
class Failure:
    """One kind of error: how many slides, what was said (message and number of slides), what helps."""

    error: str
    slides: int
    said: Sequence[tuple[str, int]]
    unsaid: int
    cure: str


@dataclass(frozen=True)
class Batch:
    """What the first page says above its table."""

    slides: int
    statuses: Sequence[Count]
    categories: Sequence[Count]
    stages: Sequence[Count]
    failures: Sequence[Failure]
    skipped: Sequence[tuple[str, int]]
    notices: Sequence[str]
    state: str
    started: str
    seconds: float | None


def batch(rows: Sequence[Row], run: Mapping[str, Any]) -> Batch:
    """Sum up a results directory.

    Parameters
    ----------
    rows : sequence of mappings
        Of ``slides.parquet``; null values are None.
    run : mapping
        Of ``run.json``; empty where there is none.
    """
    done = [row for row in rows if row["status"] in WITH_RESULTS]
    by_status = Counter(row["status"] for row in rows)
    by_category = Counter(row["category"] or "none" for row in done)
    names = {**NAMES, "none": "No category"}
    return Batch(
        slides=len(rows),
        statuses=_counts(
            [(name, name.capitalize(), by_status[name]) for name in dict.fromkeys((*STATUSES, *by_status))]
        ),
        categories=_counts([(name, names[name], by_category[name]) for name in (*CATEGORIES, "none")]),
        stages=_counts([(name, name.replace("_", " "), value) for name, value in _stages(run)]),
        failures=_failures([row for row in rows if row["status"] not in (*WITH_RESULTS, "skipped")]),
        skipped=Counter(row["reason"] or "no reason given" for row in rows if row["status"] == "skipped").most_common(),
        notices=[NOTICE],
        state=str(run.get("status") or "unknown"),
        started=_date(run.get("started")),
        seconds=run.get("seconds"),
    )


def _stages(run: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The stages that took longest, and the sum of the others."""
    known = [(str(name), float(value)) for name, value in (run.get("seconds_per_step") or {}).items()]
    known.sort(key=lambda stage: -stage[1])
    rest = known[STAGES:]
    return known[:STAGES] + ([(f"{len(rest)} others", sum(value for _, value in rest))] if rest else [])


def _counts(given: Sequence[tuple[str, str, float]]) -> list[Count]:
    largest = max((number for _, _, number in given), default=0) or 1
    return [Count(key, name, number, 100 * number / largest) for key, name, number in given]


def _failures(rows: Sequence[Row]) -> list[Failure]:
    found = []
    for error, slides in Counter(row["error"] or "unknown error" for row in rows).most_common():
        said = Counter(row["reason"] or "no reason given" for row in rows if (row["error"] or "unknown error") == error)
        shown = said.most_common(SAID_PER_ERROR)
        found.append(Failure(error, slides, shown, len(said) - len(shown), CURES.get(error, CURE)))
    return found


def _date(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
