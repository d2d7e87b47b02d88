"""`wsipipe clean`: what nobody needs in a results directory, listed and, after asking, removed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wsipipe.store.place import place

EXAMPLES = (
    "Examples: `wsipipe clean results --dry-run` · `wsipipe clean results` · `wsipipe clean results --yes --json`. "
    "To let the layers of a configuration go, first remove its folder below results/runs/. "
    "Exit codes: 0 listed, removed or declined, 2 a run is at work there, or no results directory."
)


def clean(
    results: Annotated[
        Path, typer.Argument(parser=place, metavar="RESULTS", help="A results directory, or s3://.", show_default=False)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for machines; with --yes or --dry-run.")
    ] = False,
) -> None:
    """List and remove layers that no run refers to, half-written files, staging folders and old leases."""
    from wsipipe.errors import UsageError  # deferred, as below: --help stays quick
    from wsipipe.store import references
    from wsipipe.store.layout import RUNS
    from wsipipe.store.lease import Lease, owner

    if not (results / RUNS).is_dir():
        raise UsageError("cleaning: no runs/ here; give what a run's --out named", subject=str(results))
    if not (dry_run or yes or (sys.stdin.isatty() and not as_json)):
        raise UsageError("cleaning: nobody can be asked here; give --yes or --dry-run", subject=str(results))
    before = owner(results)
    with Lease(results, deidentify=bool(before and not before.host)).take(wait=False, tell=_say):
        found = references.leftovers(results)
        gone = _agreed(results, found, ask=not yes and not dry_run, quiet=as_json) and not dry_run
        freed = references.remove(results, found) if gone else 0
    told = {
        "results": str(results),
        "removed": gone,
        "freed_bytes": freed,
        "unrecorded": references.unrecorded(results),
    }
    if as_json:
        typer.echo(json.dumps(told | {"leftovers": [asdict(one) for one in found]}, indent=2))
    else:
        _tell(told, dry_run=dry_run)


def _say(line: str) -> None:
    typer.echo(f"wsipipe: {line}", err=True)


def _agreed(results: Path, found: list[Any], *, ask: bool, quiet: bool) -> bool:
    """List what may go; whether it shall."""
    size = sum(one.size for one in found)
    if not quiet and found:
        table = Table("kind", "kB", "path", "why", box=None, pad_edge=False)
        for one in found:
            table.add_row(one.kind, f"{one.size / 1e3:.1f}", escape(one.path), one.why)
        Console(highlight=False, soft_wrap=True).print(table)
        typer.echo(f"{results}: {len(found)} leftovers, {size / 1e6:.1f} MB")
    return bool(found) and (not ask or typer.confirm("Remove them?", default=False))


def _tell(told: dict[str, Any], *, dry_run: bool) -> None:
    if told["unrecorded"]:
        runs = ", ".join(told["unrecorded"])
        typer.echo(
            f"layers are kept: runs {runs} left no record of theirs; run their command again, or remove their folders"
        )
    if told["removed"]:
        typer.echo(f"{told['results']}: {told['freed_bytes'] / 1e6:.1f} MB freed")
    else:
        typer.echo(f"{told['results']}: nothing was removed{' (--dry-run)' if dry_run else ''}")
