"""Whole runs of the command, from start to end, results written: tiles per second, and slides per hour.

Enters: slides, which are one batch. Leaves: figures. The limit is what reading, stain and network take one after the
other, on as many cores as there are workers; starting the workers and drawing are in ours and not in the limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from wsipipe.bench.figure import Figure
from wsipipe.errors import WsipipeError

TYPICAL_TILES = 3000
"""Kept tiles of a typical slide."""
LEAST_TILES = 1000
"""Of a slide from which slides per hour are told: of a smaller one, starting and drawing are most of the time."""


def figures(paths: Sequence[Path], *, rounds: int, seconds_per_tile: float | None = None) -> Iterator[Figure]:
    """One worker and two, in turn."""
    runs: dict[int, list[tuple[int, float]]] = {1: [], 2: []}
    for _ in range(max(1, rounds // 2)):
        for workers, made in runs.items():
            made.append(_run(paths, workers))
    rates: dict[int, float] = {}
    for workers, made in runs.items():
        tiles, seconds = sorted(made, key=lambda run: run[1])[len(made) // 2]
        rates[workers] = tiles / seconds
        limit = workers / seconds_per_tile if seconds_per_tile else None
        name = f"wsipipe run gastric, {workers} worker{'s' if workers > 1 else ''}"
        peers = {"1 worker": rates[1]} if workers > 1 else {}
        yield Figure(name, "tiles/s", rates[workers], limit, peers, note=_note(tiles, seconds, len(paths)))


def _note(tiles: int, seconds: float, slides: int) -> str:
    if tiles < LEAST_TILES:
        return f"{tiles} tiles are too few to tell slides per hour: starting and drawing are most of {seconds:.0f} s"
    batch = f"a batch of {slides} slides; " if slides > 1 else ""
    per_hour = 3600 * tiles / seconds / TYPICAL_TILES
    return f"{batch}{per_hour:.0f} slides of {TYPICAL_TILES} tiles per hour; starting and drawing included"


def _run(paths: Sequence[Path], workers: int) -> tuple[int, float]:
    """Kept tiles, and the seconds of the command."""
    with tempfile.TemporaryDirectory(prefix="wsipipe-bench-") as folder:
        words = ["run", "gastric", *map(str, paths), "--out", folder, "--workers", str(workers), "--json"]
        started = time.perf_counter()
        tiles = _tiles([*words, "--mpp-policy", "assume:0.5"])
        return tiles, time.perf_counter() - started


def _tiles(words: Sequence[str]) -> int:
    done = subprocess.run([sys.executable, "-m", "wsipipe", *words], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise WsipipeError(f"benchmarking: the run ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return int(sum(row["tiles"] or 0 for row in json.loads(done.stdout)["slides"]))
