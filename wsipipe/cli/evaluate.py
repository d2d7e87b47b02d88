"""`wsipipe evaluate`: how good each system is, on pictures whose truth is known."""

from __future__ import annotations

import typer

from wsipipe.cli import evaluate_gastric, evaluate_glands

app = typer.Typer(
    help="Measure a system against known truth, with intervals and baselines.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _root() -> None:
    """Measure a system against known truth, with intervals and baselines."""


app.command("gastric", epilog=evaluate_gastric.EXAMPLES)(evaluate_gastric.gastric)
app.command("glands", epilog=evaluate_glands.EXAMPLES)(evaluate_glands.glands)
