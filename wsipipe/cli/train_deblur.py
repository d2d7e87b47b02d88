"""`wsipipe train deblur`: fit the deblurring network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe train deblur --out build/deblur --set data.folder=sharp/` (sharp/train and sharp/val hold "
    "sharp pictures) · `wsipipe train deblur --out build/deblur --set schedule.seconds=600 --device cuda`. "
    "The same command again continues where it stopped."
)
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of weights, checkpoints, logs, report.", show_default=False)
]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/deblur.yaml.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; wins over the file; repeatable.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of torch.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew; leave an interrupted training.")]
Install = Annotated[bool, typer.Option("--install", help="Also put the weights where they are found by name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Scores as JSON on stdout; no progress.")]


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
    from wsipipe.cli.train import _sets, _tell  # deferred: --help stays quick
    from wsipipe.config import load
    from wsipipe.train.deblur import train_deblur
    from wsipipe.train.deblur_config import DeblurTraining

    checked = load(DeblurTraining, config, _sets(set_, device, threads, None))
    _tell(train_deblur(checked, out, fresh=fresh, quiet=as_json), install=install, as_json=as_json)
