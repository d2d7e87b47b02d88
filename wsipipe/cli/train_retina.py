"""`wsipipe train retina`: fit the dual-branch network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe train retina --config configs/retina-train.yaml --out build/retina` · "
    "`wsipipe train retina --config configs/retina-drive.yaml --out build/drive --set data.folds=5 --set data.fold=0`. "
    "The same command again continues where it stopped. "
    "Exit codes: 0 trained, 1 the loss was no number, 2 wrong usage, configuration or data, 130 interrupted."
)

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of weights, checkpoint, logs.", show_default=False)]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML, such as configs/retina-train.yaml.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; wins over the file; repeatable.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of torch.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes that make pictures.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew; leave an interrupted training.")]
Install = Annotated[bool, typer.Option("--install", help="Also put the weights where they are found by name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Weights and losses as JSON on stdout; no progress.")]


def retina(
    out: Out,
    config: ConfigFile = None,
    set_: Sets = None,
    device: Device = None,
    threads: Threads = None,
    workers: Workers = None,
    fresh: Fresh = False,
    install: Install = False,
    as_json: AsJson = False,
) -> None:
    """Train the dual-branch network: arteries and veins of the retina from poor pictures."""
    from wsipipe.config import load  # deferred: --help stays quick
    from wsipipe.train.gastric import install as put
    from wsipipe.train.retina import train_retina
    from wsipipe.train.retina_config import RetinaConfig

    machine = {"device": device, "threads": threads, "workers": workers}
    sets = [f"machine.{name}={json.dumps(value)}" for name, value in machine.items() if value is not None]
    outcome = train_retina(load(RetinaConfig, config, [*(set_ or ()), *sets]), out, fresh=fresh, quiet=as_json)
    path = put(outcome.weights) if install else outcome.weights
    if as_json:
        told = {"weights": str(path), "sha256": outcome.card.sha256, "scores": outcome.scores}
        typer.echo(json.dumps(told, indent=1))
        return
    typer.echo(f"weights: {path} (sha256 {outcome.card.sha256[:12]})")
