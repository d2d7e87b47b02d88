"""`wsipipe run retina`: fundus pictures to arteries, veins and measures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wsipipe.cli import run as shared

EXAMPLES = (
    "Examples: `wsipipe run retina images/ --out results` · "
    "`wsipipe run retina images/ --out results --list fundus.csv --enhance` · "
    "`wsipipe run retina a.jpg --out results --set vessel.repair=false --json`. "
    "The list is a CSV with the column wsi and any of mpp (micrometres on the retina per pixel), laterality (left, "
    "right), disc_y, disc_x, disc_radius (pixels), case_id. Not for clinical use. "
    "Exit codes: 0 all pictures done, 2 wrong usage or configuration, 3 some pictures failed."
)

Pictures = Annotated[list[str] | None, typer.Argument(help="Fundus pictures, or directories of them.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/retina.yaml.")]
Listed = Annotated[
    Path | None, typer.Option("--list", "--slide-list", help="CSV: wsi, mpp, laterality, disc_y, disc_x, disc_radius.")
]
Weights = Annotated[str | None, typer.Option("--weights", help="Name of shipped weights, or path of a .safetensors.")]
Enhance = Annotated[bool, typer.Option("--enhance", help="Also make the enhanced picture.")]


def retina(
    out: shared.Out,
    pictures: Pictures = None,
    config: ConfigFile = None,
    set_: shared.Sets = None,
    listed: Listed = None,
    weights: Weights = None,
    enhance: Enhance = False,
    workers: shared.Workers = None,
    threads: shared.Threads = 1,
    max_memory: shared.MaxMemory = None,
    device: shared.Device = None,
    untrained: shared.Untrained = False,
    deidentify: shared.Deidentify = False,
    dry_run: shared.DryRun = False,
    overwrite: shared.Overwrite = False,
    retries: shared.Retries = 1,
    fail_fast: shared.FailFast = False,
    slide_timeout: shared.SlideTimeout = None,
    no_wait: shared.NoWait = False,
    as_json: shared.AsJson = False,
) -> None:
    """Segment arteries and veins of fundus pictures, grade them, and measure their vessels."""
    from wsipipe.pipelines import retina as page  # deferred: --help stays quick
    from wsipipe.run.policy import Policy

    sets = shared.settings(set_, mpp_policy=None, device=device)
    sets += [f"network.weights={json.dumps(weights)}"] if weights else []
    sets += ["network.enhance=true"] if enhance else []
    launch = page.launch(config, sets, untrained=untrained)
    from wsipipe.cli.launch import Options, start

    options = Options(
        out=out,
        slides=pictures or [],
        slide_list=listed,
        hands=shared.hands(workers, threads, max_memory=max_memory),
        policy=Policy(retries, "fail", fail_fast, None, slide_timeout),
        deidentify=deidentify,
        dry_run=dry_run,
        wait=not no_wait,
        overwrite=overwrite,
        as_json=as_json,
    )
    raise typer.Exit(start(launch, options))
