"""`wsipipe report`: one HTML file that shows a batch and its slides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe report results` · `wsipipe report results --inline --out for-a-colleague.html` · "
    "`wsipipe report results --no-pictures --open`. "
    "Every run writes results/report.html when it ends. The file opens from disk without a network. Up to 20 finished "
    "slides, all pictures are in the file; of more, only the thumbnails are, and the large pictures are read from the "
    "results folder and from a folder beside the file (report-pictures): keep them together, or give --inline."
)
WAITED_FOR = 20
"""Slides of which an interrupted run still writes the report: some seconds."""


def report(
    results: Annotated[Path, typer.Argument(help="A results directory.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file; default RESULTS/report.html.")] = None,
    no_pictures: Annotated[bool, typer.Option("--no-pictures", help="Outlines, numbers and graphs only.")] = False,
    inline: Annotated[
        bool | None,
        typer.Option("--inline/--linked", help="All pictures in the file, or beside it; default by the batch's size."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write the report of a batch: counts, failures and their cures, a table of slides, a page for each slide."""
    from wsipipe.report.html import Choice, write_report  # deferred: --help stays quick

    path = write_report(results, Choice(out, not no_pictures, inline))
    typer.echo(f"report: {path}")
    if open_:
        typer.launch(str(path))


def after_run(results: Path, *, interrupted: bool = False, quiet: bool = False) -> None:
    """Write a run's report; where it cannot be written, say so and leave the run's exit code as it is.

    Whoever interrupts a run does not wait for the report of a large batch: it is then left for `wsipipe report`.
    """
    from wsipipe.errors import WsipipeError
    from wsipipe.report.html import write_report
    from wsipipe.store.layout import SLIDES_FILE
    from wsipipe.store.records import read_slides

    if not (results / SLIDES_FILE).is_file():
        return  # interrupted before the first slide had ended
    try:
        if interrupted and len(read_slides(results / SLIDES_FILE)) > WAITED_FOR:
            return
        path = write_report(results)
        if not quiet:
            typer.echo(f"report: {path}", err=True)
    except WsipipeError as error:
        typer.echo(f"wsipipe: {error}", err=True)
