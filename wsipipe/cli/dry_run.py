"""`wsipipe run ... --dry-run`: what a run would do, without writing anything.

Tiles are counted by the pipeline's own tissue steps, in a temporary folder; the time comes from a timed batch.
"""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsipipe.cli.crew import Hands
from wsipipe.run import forecast
from wsipipe.run.capacity import by_cores
from wsipipe.run.job import Job
from wsipipe.run.pool import Failure, guarded
from wsipipe.run.source import Source


def estimate(job: Job, found: list[Source], options: Any) -> int:
    """Print slides, tiles, bytes and seconds expected; returns the exit code (3 where a slide cannot be opened)."""
    rate = forecast.tile_seconds(job)
    rows = [_row(job, source, rate / _slots(options.hands)) for source in found]
    if options.as_json:
        typer.echo(json.dumps({"seconds_per_tile": rate, "slides": rows}, indent=2))
    else:
        Console().print(_table(rows))
        seconds = sum(row["seconds"] or 0 for row in rows)
        typer.echo(
            f"{len(rows)} slides, about {seconds:.0f} s; {rate * 1e3:.0f} ms a tile and core; nothing was written"
        )
    return 3 if any(row["error"] for row in rows) else 0


def _slots(hands: Hands) -> int:
    """Tiles at once: threads of this machine, whether they will be its own or a cluster's."""
    workers = by_cores(hands.threads, gpu=False).workers if hands.workers is None else hands.workers
    return max(1, workers) * hands.threads


def _row(job: Job, source: Source, rate: float) -> dict[str, Any]:
    name = "" if job.deidentify else source.path
    nothing = {"path": name, "id": "", "tiles": None, "bytes": None, "seconds": None, "error": ""}
    expected = guarded(forecast.expect, job, source)
    if isinstance(expected, Failure):
        told = "" if job.deidentify else f": {expected.error.message}"
        return nothing | {"error": f"{type(expected.error).__name__}{told}"}
    if expected is None:
        return nothing | {"tiles": 0, "bytes": 0, "seconds": 0.0}
    seconds = expected.tiles * rate
    return nothing | {"id": expected.id, "tiles": expected.tiles, "bytes": expected.size, "seconds": seconds}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("slide", "tiles", "MB written", "s", "problem")
    for row in rows:
        size = "-" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}"
        seconds = "-" if row["seconds"] is None else f"{row['seconds']:.0f}"
        tiles = "-" if row["tiles"] is None else str(row["tiles"])
        table.add_row(escape(row["path"] or row["id"]), tiles, size, seconds, escape(row["error"]))
    return table
