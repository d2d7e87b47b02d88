"""`wsipipe status`: how far a results directory is, from the files alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from wsipipe.store.place import place

EXAMPLES = (
    "Examples: `wsipipe status results` · `wsipipe status results --json` · `wsipipe status results --watch`. "
    "Exit codes: 0, with --watch 1 where the run that was watched is gone without having ended."
)
MOST_ROWS = 40
"""Slides that --watch shows: those under way and the last of the others."""


def status(
    results: Annotated[
        Path,
        typer.Argument(
            parser=place, metavar="PATH", help="A results directory, or s3://bucket/prefix.", show_default=False
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for machines; one a line with --watch.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again until the run ends; from any machine.")] = False,
    interval: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Print what became of each slide, and how far those are that have not ended."""
    from wsipipe.query.status import progress  # deferred: --help stays quick

    if watch:
        raise typer.Exit(_watch(results, interval, as_json=as_json))
    found = progress(results)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    Console().print(_table(found["slides"]))
    typer.echo(_line(results, found))


def _watch(results: Path, interval: float, *, as_json: bool) -> int:
    """Look until the run ends; returns the exit code."""
    from wsipipe.query.pace import ENDED, GONE, RUNNING, Pace  # deferred, as above
    from wsipipe.query.status import progress

    console, pace, before = Console(highlight=False), Pace(), ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            found = progress(results)
            found |= {"eta_seconds": pace.look(found), "state": pace.state(found)}
            line = _line(results, found)
            if as_json:
                typer.echo(json.dumps(found))
            elif console.is_terminal:
                live.update(Group(_table(_shown(found["slides"])), Text(line)), refresh=True)
            elif line != before:
                typer.echo(line)
            before = line
            if found["state"] != RUNNING:
                break
            time.sleep(interval)
    if found["state"] == GONE:
        typer.echo("wsipipe: the run is gone and has not ended; the same command continues it", err=True)
    return 0 if found["state"] == ENDED else 1


def _shown(slides: list[dict[str, Any]]) -> list[dict[str, Any]]:
    running = [slide for slide in slides if slide["status"] == "running"]
    rest = [slide for slide in slides if slide["status"] != "running"]
    return running[:MOST_ROWS] + rest[len(rest) - max(0, MOST_ROWS - len(running)) :]


def _table(slides: list[dict[str, Any]]) -> Table:
    table = Table("slide", "status", "category", "units done", "reason")
    for slide in slides:
        units = f"{slide['units_done']}/{slide['units']}" if slide["units"] else "-"
        table.add_row(slide["id"], slide["status"], slide["category"] or "-", units, escape(slide["reason"] or "-"))
    return table


def _line(results: Path, found: dict[str, Any]) -> str:
    counts = ", ".join(f"{number} {name}" for name, number in found["counts"].items())
    of = f" of {found['sources']}" if found["run"] == "running" and found["sources"] else ""
    eta = found.get("eta_seconds")
    to_go = f"; about {_duration(eta)} to go" if eta is not None and found["run"] == "running" else ""
    return f"{results}: run {found['run'] or 'not ended'}; {counts or 'no slides yet'}{of}{to_go}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
