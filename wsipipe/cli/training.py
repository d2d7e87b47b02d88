"""What the training verbs share: options, their settings, and what is said at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wsipipe.train.gastric import Outcome

Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of weights, checkpoints, logs, report.", show_default=False)
]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; wins over the file; repeatable.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of torch.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes that make or read slides.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew; leave an interrupted training.")]
Install = Annotated[bool, typer.Option("--install", help="Also put the weights where they are found by name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Scores as JSON on stdout; no progress.")]


def sets(given: list[str] | None, device: str | None, threads: int | None, workers: int | None) -> list[str]:
    """Options that stand for a setting, as ``--set`` texts; later ones win."""
    told = {"device": device, "threads": threads, "workers": workers}
    return [
        *(given or ()),
        *(f"machine.{name}={json.dumps(value)}" for name, value in told.items() if value is not None),
    ]


def tell(outcome: Outcome, *, install: bool, as_json: bool, report: bool = True) -> None:
    """Say where the weights lie (after putting them where they are found by name) and, with `report`, the scores."""
    from wsipipe.train.gastric import install as put

    path = put(outcome.weights) if install else outcome.weights
    if as_json:
        typer.echo(
            json.dumps({"weights": str(path), "sha256": outcome.card.sha256, "scores": outcome.scores}, indent=1)
        )
        return
    for split, scores in outcome.scores.items() if report else ():
        typer.echo(f"{split}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    typer.echo(f"weights: {path} (sha256 {outcome.card.sha256[:12]})")
    if report:
        typer.echo(f"report: {outcome.weights.parent / 'report' / 'README.md'}")
