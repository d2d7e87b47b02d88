"""`wsipipe evaluate glands`: the segmentation branch on real tissue, cross-validated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe evaluate glands ../shared/data/histology/glands --out build/glands` · "
    "`wsipipe evaluate glands mine --out build/mine --set folds=3`. The same command again continues."
)


def glands(
    folder: Annotated[Path, typer.Argument(help="Holds images/NAME.png and masks/NAME.png.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table, masks, checkpoints.", show_default=False)],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/glands.yaml.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON; no progress.")] = False,
) -> None:
    """Cross-validate the tile network's segmentation branch on pictures with masks; weights are not kept for use."""
    from wsipipe.config import load  # deferred: --help stays quick
    from wsipipe.evaluate.glands import evaluate_glands
    from wsipipe.train.glands import GlandsConfig

    sets = [*(set_ or ()), *([f"machine.device={device}"] if device else [])]
    table = evaluate_glands(load(GlandsConfig, config, sets), folder, out, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(table.told(), indent=1))
    else:
        table.show()
        typer.echo(f"masks: {out / 'masks'} · worst: {out / 'worst.png'}")
