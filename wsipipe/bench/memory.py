"""Memory: how fast a batch of tiles is copied, and how much of it whole engines take.

Enters: a slide. Leaves: figures. The copy is what no step over pixels can be faster than; the peaks come from the runs
of `wsipipe.bench.engine`, and less is better.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wsipipe.bench import engine
from wsipipe.bench.engine_peers import BATCH, TILE
from wsipipe.bench.figure import OURS, Figure, figure

BATCHES = 8


def figures(path: Path, *, peers: bool, rounds: int) -> Iterator[Figure]:
    """The copy of batches of tiles, then peaks."""
    source = np.ones((BATCHES, BATCH, TILE, TILE, 3), np.uint8)
    target = np.empty_like(source)

    def copied() -> float:
        np.copyto(target, source)
        return source.size / 3 / 1e6

    yield figure("memory, copying tiles", "Mpx/s", {OURS: copied}, rounds=rounds)
    found = engine.ran(path, peers=peers, rounds=max(1, rounds // 2))
    peaks = {name: one.peak_mb for name, one in found.items()}
    note = "less is better; of the whole process, libraries included"
    yield Figure("memory, greatest of a whole engine", "MB", peaks.pop(engine.OURS), None, peaks, note)
