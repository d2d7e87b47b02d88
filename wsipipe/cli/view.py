"""`wsipipe view`: a deep-zoom look at finished slides, in a browser on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = "Examples: `wsipipe view results` · `wsipipe view results --slide CMU-1 --slides /mnt/slides --no-browser`"


def view(
    results: Annotated[Path, typer.Argument(help="A results directory.", show_default=False)],
    slide: Annotated[
        str | None, typer.Option("--slide", help="Show this slide first: its id, or the beginning of it.")
    ] = None,
    slides: Annotated[
        Path | None, typer.Option("--slides", help="Where the slides are now, if not where the run found them.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port to listen to; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Serve slides, heat maps, regions and tiles to this machine's browser until Ctrl-C; prints the address."""
    from wsipipe.view import Wishes, serve  # deferred: --help stays quick

    serve(results, Wishes(slide, slides, port, browser=not no_browser), _told)


def _told(address: str) -> None:
    typer.echo(address)
    typer.echo("wsipipe: serving on this machine only; the address holds a secret. Ctrl-C ends it", err=True)
