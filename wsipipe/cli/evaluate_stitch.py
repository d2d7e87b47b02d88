"""`wsipipe evaluate stitch` and `wsipipe evaluate track`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe evaluate stitch --out build/stitch` · `wsipipe evaluate track --movies 5`. "
    "Real slides, fields and movies are taken from --data where they are there."
)
Data = Annotated[Path, typer.Option("--data", envvar="WSIPIPE_DATA", help="Folder with slides/, fields/, timelapse/.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the tables as md, csv and json.")]
DATA = Path("../shared/data")
SLIDE = "slides/tcga-cr-7395-01a-01-ts1.svs"


def stitch(
    data: Data = DATA,
    out: Out = None,
    side: Annotated[int, typer.Option("--side", min=256, help="Of made fields, pixels.")] = 512,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
) -> None:
    """Positions, seams and exactness on fields cut from a real slide; then the nine real fields."""
    from wsipipe.evaluate import stitch as measure  # deferred: --help stays quick
    from wsipipe.grid import Box
    from wsipipe.slide import open_slide

    with tempfile.TemporaryDirectory() as held:
        work = out or Path(held)
        if (data / SLIDE).is_file():
            slide = open_slide(data / SLIDE)
            picture = slide.read(Box(0, 0, *slide.info.shape), level=0)
            slide.close()
            table = measure.evaluate(picture, Path(held) / "made", side=side, seed=seed)
            table.show()
            table.write(work, "stitch")
        else:
            typer.echo(f"skipped: made fields need {data / SLIDE}; give --data")
        real = data / "fields" / "he-3x3"
        if real.is_dir():
            nine = measure.evaluate_real(real, work).table
            nine.show()
            nine.write(work, "stitch-real")
        else:
            typer.echo(f"skipped: the nine real fields need {real}; give --data")


def track(data: Data = DATA, out: Out = None, movies: Annotated[int, typer.Option("--movies", min=1)] = 3) -> None:
    """Links on made movies, and agreement with trackpy on real colloids."""
    from wsipipe.evaluate import track as measure

    tables = {"track": measure.evaluate(movies=movies)}
    real = data / "timelapse" / "bulk_water"
    if real.is_dir():
        tables["track-real"] = measure.agreement(real)
    else:
        typer.echo(f"skipped: colloids need {real}; give --data")
    for name, table in tables.items():
        table.show()
        if out is not None:
            table.write(out, name)
