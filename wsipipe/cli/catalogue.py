"""`wsipipe catalogue`: make the catalogue of a results directory anew."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = "Example: `wsipipe catalogue results`"


def catalogue(results: Annotated[str, typer.Argument(help="A results directory.", show_default=False)]) -> None:
    """Rebuild RESULTS/catalogue from the slides' stores; `wsipipe query` keeps it up to date by itself."""
    from wsipipe.query import open_results  # deferred: --help stays quick
    from wsipipe.query.catalogue import FOLDER, rebuild

    folder = open_results(results).path
    number = rebuild(folder)
    typer.echo(f"{folder / FOLDER}: {number} slide{'s' if number != 1 else ''}")
