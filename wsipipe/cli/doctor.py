"""`wsipipe doctor`: is this machine fit to run? Each line with its fix."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

EXAMPLES = (
    "Examples: `wsipipe doctor` · `wsipipe doctor --out results` · `wsipipe doctor --scheduler tcp://host:8786` · "
    "`wsipipe doctor --out s3://bucket/prefix --json`. Exit codes: 0 no FAIL, 1 at least one FAIL."
)
COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


def doctor(
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where results would go: a folder, or s3://bucket/prefix.")
    ] = ".",
    scheduler: Annotated[str, typer.Option("--scheduler", help="A dask scheduler's address.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Check Python, libraries, codecs, weights, the machine, disks and services."""
    from wsipipe.doctor import FAIL, examine  # deferred: --help stays quick

    found = examine(out=out, scheduler=scheduler)
    failed = any(finding.status == FAIL for finding in found)
    if as_json:
        typer.echo(json.dumps({"fit": not failed, "findings": [asdict(one) for one in found]}, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for one in found:
            fix = f"  -> {escape(one.fix)}" if one.fix else ""
            console.print(f"[{COLOURS[one.status]}]{one.status}[/] {one.name:<18} {escape(one.said)}{fix}")
    raise typer.Exit(1 if failed else 0)
