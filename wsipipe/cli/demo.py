"""`wsipipe demo`: made slides, one per category, and real ones where there are some, through the gastric pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = "Examples: `wsipipe demo` · `wsipipe demo --out /tmp/demo --workers 2`"
REAL = ("cmu-1-small-region.svs", "tcga-cr-7395-01a-01-ts1.svs")
SEED = 20_260_1


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where slides and results go.")] = Path("demo-results"),
    workers: Annotated[int | None, typer.Option("--workers", min=0, help="Worker processes.")] = None,
    data: Annotated[
        Path, typer.Option("--data", envvar="WSIPIPE_DATA", help="Folder of real pictures; used where it exists.")
    ] = Path("../shared/data"),
) -> None:
    """Make four slides of phantom tissue, add real slides where there are some, and run the gastric pipeline."""
    from wsipipe.cli.crew import Hands  # deferred: --help stays quick
    from wsipipe.cli.launch import Options, start
    from wsipipe.pipelines import gastric

    made = _make(out / "slides")
    real = [str(path) for name in REAL if (path := data / "slides" / name).is_file()]
    options = Options(out=out / "results", slides=[*made, *real], hands=Hands(workers))
    launch = gastric.launch(None, ["slide.mpp_policy=assume:0.5"])
    code = start(launch, options)
    _compare(out, made)
    raise typer.Exit(code)


def _make(folder: Path) -> list[str]:
    """The four made slides; those that are there already are kept."""
    from rich.progress import track

    from wsipipe.phantom import CATEGORIES, write_gastric

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for index, category in enumerate(track(CATEGORIES, "making slides", transient=True)):
        made.append(str(write_gastric(folder, category=category, seed=SEED + index, regime="test")))
    return made


def _compare(out: Path, made: list[str]) -> None:
    """Category and regions beside the truth of the made slides."""
    from wsipipe.report.truth import compare

    for line in compare(out / "results", made):
        typer.echo(line)
