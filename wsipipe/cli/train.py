"""`wsipipe train`: fit the networks, on made slides or on a laboratory's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsipipe.cli import train_deblur, train_retina
from wsipipe.cli.training import AsJson, Device, Fresh, Install, Out, Sets, Threads, Workers, sets, tell

if TYPE_CHECKING:
    from wsipipe.run.job import Recipe

EXAMPLES = (
    "Examples: `wsipipe train gastric-tiles --out build/tiles` · "
    "`wsipipe train gastric-tiles --out mine --set data.source=slides --set data.own.table=slides.csv` · "
    "`wsipipe train gastric-slides --out build/slides --set tile_weights=build/tiles/gastric-phantom-v1.safetensors`. "
    "The same command again continues where it stopped. "
    "Exit codes: 0 trained, 1 the loss was no number, 2 wrong usage, configuration or data, 130 interrupted."
)

app = typer.Typer(help="Train a network.", no_args_is_help=True, rich_markup_mode="markdown")
app.command("deblur", epilog=train_deblur.EXAMPLES)(train_deblur.deblur)
app.command("retina", epilog=train_retina.EXAMPLES)(train_retina.retina)

ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/gastric-tiles.yaml.")]
SlidesConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML; default configs/gastric-slides.yaml.")
]
EndToEnd = Annotated[bool, typer.Option("--end-to-end", help="Go on with both networks, under the slides' loss.")]


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

    checked = load(TilesConfig, config, sets(set_, device, threads, workers))
    recipe = _recipe(checked, checked.data.own.mpp_policy, weights="untrained")
    tell(gastric.train_tiles(checked, recipe, out, fresh=fresh, quiet=as_json), install=install, as_json=as_json)


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

    checked = load(SlidesConfig, config, sets(set_, device, threads, workers))
    recipe = _recipe(checked, checked.data.own.mpp_policy, weights=checked.tile_weights)
    outcome = training.train_slides(checked, recipe, out, fresh=fresh, quiet=as_json)
    tell(outcome, install=install, as_json=as_json)
    if end_to_end:
        from wsipipe.train.end_to_end import train_both

        for one in train_both(checked, recipe, outcome.weights, out / "end-to-end", fresh=fresh, quiet=as_json):
            tell(one, install=install, as_json=as_json)


def _recipe(config: Any, mpp_policy: str, *, weights: str) -> Recipe:
    """The gastric pipeline with the training's own tile, tissue and stain sections.

    The tile network makes features in float32, whatever a run would take here, so that training does not depend on it.
    """
    from wsipipe.pipelines import gastric as page

    sections = {name: getattr(config, name).model_dump(mode="json") for name in ("tile", "tissue", "stain")}
    sets = [
        f"{section}.{key}={json.dumps(value)}" for section, values in sections.items() for key, value in values.items()
    ]
    sets += [
        f"network.weights={json.dumps(weights)}",
        "network.dtype=float32",
        "graph.weights=untrained",
        f"slide.mpp_policy={json.dumps(mpp_policy)}",
    ]
    return page.launch(None, [*sets, f"network.device={config.machine.device}"], untrained=True).recipe
