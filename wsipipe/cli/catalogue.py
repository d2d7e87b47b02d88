"""`wsipipe catalogue`: make the catalogue of a results directory anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = "Example: `wsipipe catalogue results`"


def catalogue(results: Annotated[Path, typer.Argument(help="A results directory.", show_default=False)]) -> None:
    """Rebuild RESULTS/catalogue from the slides' stores; `wsipipe query` keeps it up to date by itself."""
    from wsipipe.query import open_results  # deferred: --help stays quick
    from wsipipe.query.catalogue import FOLDER, rebuild

    number = rebuild(Path(open_results(results).path))
    typer.echo(f"{results / FOLDER}: {number} slide{'s' if number != 1 else ''}")
