"""`wsipipe train deblur`: fit the deblurring network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsipipe.cli.training import AsJson, Device, Fresh, Install, Out, Sets, Threads, sets, tell

EXAMPLES = (
    "Examples: `wsipipe train deblur --out build/deblur --set data.folder=sharp/` (sharp/train and sharp/val hold "
    "sharp pictures) · `wsipipe train deblur --out build/deblur --set schedule.seconds=600 --device cuda`. "
    "The same command again continues where it stopped."
)
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/deblur.yaml.")]


def deblur(
    out: Out,
    config: ConfigFile = None,
    set_: Sets = None,
    device: Device = None,
    threads: Threads = None,
    fresh: Fresh = False,
    install: Install = False,
    as_json: AsJson = False,
) -> None:
    """Train the deblurring network: n sub-models on a shared trunk, and the classifier of the blur."""
    from wsipipe.config import load  # deferred: --help stays quick
    from wsipipe.train.deblur import train_deblur
    from wsipipe.train.deblur_config import DeblurTraining

    checked = load(DeblurTraining, config, sets(set_, device, threads, None))
    tell(train_deblur(checked, out, fresh=fresh, quiet=as_json), install=install, as_json=as_json)
