"""`wsipipe status`: how far a results directory is, from the files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

EXAMPLES = "Examples: `wsipipe status results` · `wsipipe status results --json`"


def status(
    results: Annotated[Path, typer.Argument(help="A results directory.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Print what became of each slide, and how far those are that have not ended."""
    from wsipipe.query.status import progress  # deferred: --help stays quick

    found = progress(results)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("slide", "status", "category", "units done", "reason")
    for slide in found["slides"]:
        units = f"{slide['units_done']}/{slide['units']}" if slide["units"] else "-"
        table.add_row(slide["id"], slide["status"], slide["category"] or "-", units, escape(slide["reason"] or "-"))
    Console().print(table)
    counts = ", ".join(f"{number} {name}" for name, number in found["counts"].items())
    typer.echo(f"{results}: run {found['run'] or 'not ended'}; {counts or 'no slides yet'}")
