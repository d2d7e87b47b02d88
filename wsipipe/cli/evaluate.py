"""`wsipipe evaluate`: how good each system is, on pictures whose truth is known."""

from __future__ import annotations

import typer

from wsipipe.cli import (
    evaluate_deblur,
    evaluate_gastric,
    evaluate_glands,
    evaluate_retina,
    evaluate_retina_ablation,
    evaluate_stitch,
    evaluate_vessel,
)

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
app.command("stitch", epilog=evaluate_stitch.EXAMPLES)(evaluate_stitch.stitch)
app.command("track", epilog=evaluate_stitch.EXAMPLES)(evaluate_stitch.track)
app.command("retina", epilog=evaluate_retina.EXAMPLES)(evaluate_retina.retina)
app.command("retina-ablation", epilog=evaluate_retina_ablation.ABLATION)(evaluate_retina_ablation.ablation)
app.command("retina-folds", epilog=evaluate_retina_ablation.FOLDS)(evaluate_retina_ablation.folds)
app.command("vessel-measures", epilog=evaluate_vessel.EXAMPLES)(evaluate_vessel.vessel_measures)
app.command("vessel-seams", epilog=evaluate_vessel.SEAMS)(evaluate_vessel.vessel_seams)
app.command("vessel-quality", epilog=evaluate_vessel.QUALITY)(evaluate_vessel.vessel_quality)
app.command("deblur", epilog=evaluate_deblur.EXAMPLES)(evaluate_deblur.deblur)
