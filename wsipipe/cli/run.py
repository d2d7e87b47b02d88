"""`wsipipe run`: slides through a pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsipipe.cli import run_microscope
from wsipipe.store.place import place

if TYPE_CHECKING:
    from wsipipe.cli.crew import Hands

EXAMPLES = (
    "Examples: `wsipipe run gastric slides/ --out results` · "
    "`wsipipe run gastric a.svs b.ndpi --out results --set topk.k=15 --workers 4` · "
    "`wsipipe run gastric slides/ --out results --slide-list slides.csv --mpp-policy skip --json` · "
    "`wsipipe run gastric slides/ --out results --dry-run`. "
    "The same command again continues where it stopped. "
    "Exit codes: 0 all slides done, 2 wrong usage or configuration, 3 some slides failed or are partial, "
    "130 interrupted, 143 terminated."
)

app = typer.Typer(help="Run a pipeline over slides.", no_args_is_help=True, rich_markup_mode="markdown")
app.command("microscope", epilog=run_microscope.EXAMPLES)(run_microscope.microscope)

Slides = Annotated[
    list[str] | None, typer.Argument(help="Slides, or directories of slides (searched below); also s3://bucket/prefix.")
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        parser=place,
        metavar="PATH",
        help="Results directory, or s3://bucket/prefix; made if missing.",
        show_default=False,
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/gastric.yaml.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; wins over the file; repeatable.")]
SlideList = Annotated[Path | None, typer.Option("--slide-list", help="CSV: wsi, mpp, case_id, stain.")]
Policy = Annotated[
    str | None, typer.Option("--mpp-policy", help="error, skip or assume:0.5, for a missing or absurd mpp.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Worker processes; 0: this one only; default: what cores and memory bear."),
]
Threads = Annotated[int, typer.Option("--threads", min=1, max=64, help="Threads of each worker.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda.")]
Untrained = Annotated[bool, typer.Option("--untrained", help="Random weights: mechanics only, no category.")]
Deidentify = Annotated[bool, typer.Option("--deidentify", help="No name, path, user or host in any output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print slides, tiles, bytes and time expected; do nothing.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Make every slide anew; each replaces the old one when it is whole.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Stop where another run is at work in --out (exit 2).")]
CacheDir = Annotated[
    Path | None,
    typer.Option("--cache-dir", envvar="WSIPIPE_CACHE_DIR", help="Copies of s3:// slides; on a disk of this machine."),
]
CacheSize = Annotated[
    str | None, typer.Option("--cache-size", envvar="WSIPIPE_CACHE_SIZE", help="Limit of the copies, e.g. 50GB.")
]
MaxMemory = Annotated[
    str | None, typer.Option("--max-memory", help="For the whole run, e.g. 8GB: fewer workers, never another batch.")
]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="A running dask cluster: tcp://HOST:8786, or its scheduler file.")
]
Retries = Annotated[int, typer.Option("--retries", min=0, help="How often a unit that fails is tried again.")]
OnUnitFailure = Annotated[
    str, typer.Option("--on-unit-failure", help="fail: its slide fails; partial: the slide goes on without it.")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first slide that fails.")]
UnitTimeout = Annotated[
    float | None, typer.Option("--unit-timeout", min=0.1, help="Seconds for one unit; then its worker is killed.")
]
SlideTimeout = Annotated[float | None, typer.Option("--slide-timeout", min=0.1, help="Seconds for one slide.")]
AsJson = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout; no progress bars.")]


@app.command("gastric", epilog=EXAMPLES)
def gastric(
    out: Out,
    slides: Slides = None,
    config: ConfigFile = None,
    set_: Sets = None,
    slide_list: SlideList = None,
    mpp_policy: Policy = None,
    workers: Workers = None,
    threads: Threads = 1,
    max_memory: MaxMemory = None,
    scheduler: Scheduler = None,
    device: Device = None,
    untrained: Untrained = False,
    deidentify: Deidentify = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    retries: Retries = 1,
    on_unit_failure: OnUnitFailure = "fail",
    fail_fast: FailFast = False,
    unit_timeout: UnitTimeout = None,
    slide_timeout: SlideTimeout = None,
    no_wait: NoWait = False,
    cache_dir: CacheDir = None,
    cache_size: CacheSize = None,
    as_json: AsJson = False,
) -> None:
    """Classify gastric H&E slides: negative, low-grade, high-grade neoplasia, invasive carcinoma."""
    from wsipipe.pipelines import gastric as page  # deferred: --help stays quick
    from wsipipe.run.policy import Policy as OnFailure

    policy = OnFailure(retries, on_unit_failure, fail_fast, unit_timeout, slide_timeout)
    sets = settings(set_, mpp_policy=mpp_policy, device=device)
    launch = page.launch(config, sets, untrained=untrained)
    from wsipipe.cli.launch import Options, start

    options = Options(
        out=out,
        slides=slides or [],
        slide_list=slide_list,
        hands=hands(workers, threads, max_memory=max_memory, scheduler=scheduler),
        policy=policy,
        deidentify=deidentify,
        dry_run=dry_run,
        wait=not no_wait,
        overwrite=overwrite,
        as_json=as_json,
        cache_dir=cache_dir,
        cache_size=cache_size,
    )
    raise typer.Exit(start(launch, options))


def hands(workers: int | None, threads: int, *, max_memory: str | None = None, scheduler: str | None = None) -> Hands:
    """Who works, as the options say."""
    from wsipipe.cli.crew import Hands
    from wsipipe.run.capacity import parse_bytes

    return Hands(workers, threads, parse_bytes(max_memory) if max_memory else 0, scheduler or "")


def settings(given: list[str] | None, *, mpp_policy: str | None, device: str | None) -> list[str]:
    """Options that stand for a setting, as ``--set`` texts; later ones win."""
    found = list(given or ())
    if mpp_policy is not None:
        found.append(f"slide.mpp_policy={json.dumps(mpp_policy)}")
    if device is not None:
        found.append(f"network.device={json.dumps(device)}")
    return found
