"""How fast a batch goes, from its marks over time: for looking at a run from another shell or another machine.

Enters: what `wsipipe.query.status.progress` says, several times. Leaves: seconds to go, and whether the run lives.
Next room: `wsipipe.cli.status`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsipipe.store.lease import STALE, Owner, Watch

WINDOW_S = 900.0
"""The pace is that of the last so many seconds."""
ENDED, GONE, RUNNING = "ended", "gone", "running"


@dataclass
class Pace:
    """Looks at a batch again and again."""

    _seen: deque[tuple[float, float]] = field(default_factory=deque)
    _most: dict[str, float] = field(default_factory=dict)
    _watch: Watch = field(default_factory=Watch)

    def look(self, told: Mapping[str, Any], *, now: float | None = None) -> float | None:
        """Seconds to go at the pace seen so far; None until something has moved.

        A slide's share never falls: a step with many units that begins late would make it.
        """
        now = time.monotonic() if now is None else now
        for slide in told["slides"]:
            self._most[slide["id"]] = max(self._most.get(slide["id"], 0.0), slide["share"])
        done = sum(self._most.values())
        self._seen.append((now, done))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        left = max(told["sources"], len(self._most)) - done
        return left * (now - then) / (done - before) if done > before else None

    def state(self, told: Mapping[str, Any]) -> str:
        """``running``, ``ended``, or ``gone``: it says that it runs, and its owner gives no sign of life."""
        if told["run"] != "running":
            return ENDED
        if told["owner"] is None:
            return GONE
        return GONE if self._watch.state(Owner(**told["owner"])) == STALE else RUNNING
