"""`wsipipe evaluate gastric`: the gastric networks on made slides of unseen regimes, beside what they replace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe evaluate gastric --out build/evaluation` · "
    "`wsipipe evaluate gastric --out build/mine --set training.tile_weights=mine.safetensors "
    "--set graph_weights=mine-graph.safetensors`. The same command again continues where it stopped."
)


def gastric(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of tables, plots, caches.", show_default=False)],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML; default configs/evaluate-gastric.yaml.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    data: Annotated[
        Path, typer.Option("--data", envvar="WSIPIPE_DATA", help="Real pictures that the gate must stop.")
    ] = Path("../shared/data"),
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes that look at slides.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The tables as JSON; no progress.")] = False,
) -> None:
    """Tables with intervals: categories of slides beside baselines, lesion masks, the gate, and how it degrades."""
    from wsipipe.config import load  # deferred: --help stays quick
    from wsipipe.evaluate.gastric import evaluate_gastric
    from wsipipe.evaluate.gastric_config import EvaluateGastricConfig

    sets = [*(set_ or ()), *([f"training.machine.workers={workers}"] if workers else [])]
    tables = evaluate_gastric(load(EvaluateGastricConfig, config, sets), out, data, quiet=as_json)
    if as_json:
        typer.echo(json.dumps([table.told() for table in tables], indent=1))
        return
    for table in tables:
        table.show()
    typer.echo(f"how it degrades: {out / 'degradation.png'}")
