"""`wsipipe train`: fit the networks, on made slides or on a laboratory's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsipipe.cli import train_deblur, train_retina

if TYPE_CHECKING:
    from wsipipe.run.job import Recipe
    from wsipipe.train.gastric import Outcome

EXAMPLES = (
    "Examples: `wsipipe train gastric-tiles --out build/tiles` · "
    "`wsipipe train gastric-tiles --out mine --set data.source=slides --set data.own.table=slides.csv` · "
    "`wsipipe train gastric-slides --out build/slides --set tile_weights=build/tiles/gastric-phantom-v1.safetensors`. "
    "The same command again continues where it stopped. "
    "Exit codes: 0 trained, 1 the loss was no number, 2 wrong usage, configuration or data, 130 interrupted."
)

app = typer.Typer(help="Train a network.", no_args_is_help=True, rich_markup_mode="markdown")
app.command("retina", epilog=train_retina.EXAMPLES)(train_retina.retina)

Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of weights, checkpoints, logs, report.", show_default=False)
]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/gastric-tiles.yaml.")]
SlidesConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML; default configs/gastric-slides.yaml.")
]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; wins over the file; repeatable.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of torch.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes that make or read slides.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin anew; leave an interrupted training.")]
Install = Annotated[bool, typer.Option("--install", help="Also put the weights where they are found by name.")]
EndToEnd = Annotated[bool, typer.Option("--end-to-end", help="Go on with both networks, under the slides' loss.")]
AsJson = Annotated[bool, typer.Option("--json", help="Scores as JSON on stdout; no progress.")]


app.command("deblur", epilog=train_deblur.EXAMPLES)(train_deblur.deblur)


@app.command("gastric-tiles", epilog=EXAMPLES)
def gastric_tiles(
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
    """Train network one: tiles to lesion masks, classes and feature vectors."""
    from wsipipe.config import load  # deferred: --help stays quick
    from wsipipe.train import gastric
    from wsipipe.train.config import TilesConfig

    checked = load(TilesConfig, config, _sets(set_, device, threads, workers))
    recipe = _recipe(checked, checked.data.own.mpp_policy, weights="untrained")
    _tell(gastric.train_tiles(checked, recipe, out, fresh=fresh, quiet=as_json), install=install, as_json=as_json)


@app.command("gastric-slides", epilog=EXAMPLES)
def gastric_slides(
    out: Out,
    config: SlidesConfigFile = None,
    set_: Sets = None,
    device: Device = None,
    threads: Threads = None,
    workers: Workers = None,
    fresh: Fresh = False,
    install: Install = False,
    end_to_end: EndToEnd = False,
    as_json: AsJson = False,
) -> None:
    """Train network two: the graphs of slides to categories, on the features of network one."""
    from wsipipe.config import load  # deferred: --help stays quick
    from wsipipe.train import gastric_slides as training
    from wsipipe.train.config import SlidesConfig

    checked = load(SlidesConfig, config, _sets(set_, device, threads, workers))
    recipe = _recipe(checked, checked.data.own.mpp_policy, weights=checked.tile_weights)
    outcome = training.train_slides(checked, recipe, out, fresh=fresh, quiet=as_json)
    _tell(outcome, install=install, as_json=as_json)
    if end_to_end:
        from wsipipe.train.end_to_end import train_both

        for one in train_both(checked, recipe, outcome.weights, out / "end-to-end", fresh=fresh, quiet=as_json):
            _tell(one, install=install, as_json=as_json)


def _sets(given: list[str] | None, device: str | None, threads: int | None, workers: int | None) -> list[str]:
    """Options that stand for a setting, as ``--set`` texts; later ones win."""
    told = {"device": device, "threads": threads, "workers": workers}
    return [
        *(given or ()),
        *(f"machine.{name}={json.dumps(value)}" for name, value in told.items() if value is not None),
    ]


def _recipe(config: Any, mpp_policy: str, *, weights: str) -> Recipe:
    """The gastric pipeline with the training's own tile, tissue and stain sections."""
    from wsipipe.pipelines import gastric as page

    sections = {name: getattr(config, name).model_dump(mode="json") for name in ("tile", "tissue", "stain")}
    sets = [
        f"{section}.{key}={json.dumps(value)}" for section, values in sections.items() for key, value in values.items()
    ]
    sets += [
        f"network.weights={json.dumps(weights)}",
        "graph.weights=untrained",
        f"slide.mpp_policy={json.dumps(mpp_policy)}",
    ]
    return page.launch(None, [*sets, f"network.device={config.machine.device}"], untrained=True).recipe


def _tell(outcome: Outcome, *, install: bool, as_json: bool) -> None:
    from wsipipe.train.gastric import install as put

    path = put(outcome.weights) if install else outcome.weights
    if as_json:
        typer.echo(
            json.dumps({"weights": str(path), "sha256": outcome.card.sha256, "scores": outcome.scores}, indent=1)
        )
        return
    for split, scores in outcome.scores.items():
        typer.echo(f"{split}: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    typer.echo(f"weights: {path} (sha256 {outcome.card.sha256[:12]})")
    typer.echo(f"report: {outcome.weights.parent / 'report' / 'README.md'}")
