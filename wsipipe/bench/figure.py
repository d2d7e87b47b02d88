"""A figure, and how it is taken: ours, the limit and the peers in turn, several rounds, medians.

Enters: jobs that say how much they did. Leaves: `Figure`. Next: `wsipipe.cli.bench` prints them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Job = Callable[[], float]
OURS, LIMIT = "ours", "limit"


@dataclass(frozen=True)
class Figure:
    """One line of the table; every value is a rate: more is better.

    Parameters
    ----------
    work : str
        What was done.
    unit : str
        Of all values, such as ``Mpx/s``.
    ours : float
    limit : float or None
        What the work cannot exceed, measured in the same run.
    peers : mapping
        Name to value.
    note : str
        What the limit is, and what is not equal.
    """

    work: str
    unit: str
    ours: float
    limit: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def told(self) -> dict[str, Any]:
        """As JSON values; ``ratio`` is ours over the peer's."""
        return {
            "work": self.work,
            "unit": self.unit,
            "ours": self.ours,
            "limit": self.limit,
            "ratio_to_limit": self.ours / self.limit if self.limit else None,
            "peers": {name: {"value": value, "ratio": self.ours / value} for name, value in self.peers.items()},
            "note": self.note,
        }


def figure(work: str, unit: str, jobs: Mapping[str, Job], *, rounds: int, note: str = "") -> Figure:
    """Measure jobs named ``ours``, ``limit`` and after peers.

    Each job returns how much it did, in `unit` times seconds, and is run once before it counts. The jobs take turns,
    so that a machine that gets slower does so for all.
    """
    rates: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(rounds):
        for name, job in jobs.items():
            started = time.perf_counter()
            amount = job()
            rates[name].append(amount / (time.perf_counter() - started))
    found = {name: statistics.median(values) for name, values in rates.items()}
    ours, limit = found.pop(OURS), found.pop(LIMIT, None)
    return Figure(work, unit, ours, limit, found, note)
