"""`wsipipe train retina`: fit the dual-branch network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsipipe.cli.training import AsJson, Device, Fresh, Install, Out, Sets, Threads, Workers, sets, tell

EXAMPLES = (
    "Examples: `wsipipe train retina --config configs/retina-train.yaml --out build/retina` · "
    "`wsipipe train retina --config configs/retina-drive.yaml --out build/drive --set data.folds=5 --set data.fold=0`. "
    "The same command again continues where it stopped. "
    "Exit codes: 0 trained, 1 the loss was no number, 2 wrong usage, configuration or data, 130 interrupted."
)

ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML, such as configs/retina-train.yaml.")]


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
    from wsipipe.train.retina import train_retina
    from wsipipe.train.retina_config import RetinaConfig

    outcome = train_retina(
        load(RetinaConfig, config, sets(set_, device, threads, workers)), out, fresh=fresh, quiet=as_json
    )
    tell(outcome, install=install, as_json=as_json, report=False)
