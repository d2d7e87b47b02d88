"""`wsipipe run microscope`: fields to a mosaic, and on through another pipeline, in one resumable run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe run microscope fields/ --out results --mpp 0.5` · "
    "`wsipipe run microscope a/ b/ --out results --then gastric --then-set topk.k=15`. "
    "Every folder is one slide; mosaics are kept in results/mosaics. The same command again continues."
)


def microscope(
    fields: Annotated[list[Path], typer.Argument(help="Folders of fields.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Results directory.", show_default=False)],
    then: Annotated[str, typer.Option("--then", help="gastric: classify the mosaics.")] = "",
    mpp: Annotated[float | None, typer.Option("--mpp", min=0.05, max=20, help="Micrometres per pixel.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML of the mosaic.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value of the mosaic.")] = None,
    then_config: Annotated[Path | None, typer.Option("--then-config", help="YAML of the pipeline after it.")] = None,
    then_set: Annotated[list[str] | None, typer.Option("--then-set", help="section.key=value of that.")] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights: mechanics only.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", min=0, help="Processes; 0: this one.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, max=64, help="Threads of each.")] = 1,
) -> None:
    """Stitch folders of fields, and hand the mosaics to a pipeline."""
    from wsipipe.cli import stitch
    from wsipipe.cli.run import hands
    from wsipipe.errors import UsageError
    from wsipipe.pipelines import gastric as page  # deferred: --help stays quick
    from wsipipe.pipelines import microscope as plans

    if then not in ("", "gastric"):
        raise UsageError(f"--then is gastric, got {then!r}")
    names = [one.resolve().name for one in fields]
    if len(set(names)) < len(names):
        raise UsageError(f"folders of fields need different names, got {', '.join(names)}")
    launch = page.launch(then_config, list(then_set or ()), untrained=untrained) if then else None
    sets = stitch.settings(set_, mpp=mpp)
    mosaics = [out / "mosaics" / f"{name}.zarr" for name in names]
    for folder, mosaic in zip(fields, mosaics, strict=True):
        made = stitch.run(plans.plan(folder, mosaic, config, sets, untrained=untrained), mosaic, workers, threads)
        if not made.whole:
            raise typer.Exit(made.exit_code or 1)
        stitch.tell(made)
    if launch is not None:
        from wsipipe.cli.launch import Options, start

        options = Options(out=out, slides=[str(one) for one in mosaics], hands=hands(workers, threads))
        raise typer.Exit(start(launch, options))
