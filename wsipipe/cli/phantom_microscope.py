"""`wsipipe phantom fields` and `wsipipe phantom movie`: something to try `stitch` and `track` with, and the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wsipipe.phantom import fields as made

FIELDS_EXAMPLES = (
    "Examples: `wsipipe phantom fields fields/ --rows 4 --columns 5 --jitter 15 --noise 2` · "
    "`wsipipe phantom fields fields/ --from slide.svs --turn 0.2 --vignetting 0.25 --blur 1 --empty 0.2`, then "
    "`wsipipe stitch fields/ --out slide.zarr`. truth.json says where each field exactly lies."
)
MOVIE_EXAMPLES = (
    "Examples: `wsipipe phantom movie movie/ --objects 60 --frames 40`, then "
    "`wsipipe track movie/frames.npy --out tracks.parquet --mpp 0.2 --seconds 0.5 --sigma 1.8`. "
    "truth.csv has every detection and its object."
)
Out = Annotated[Path, typer.Argument(help="Folder; made if missing.", show_default=False)]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")]


def fields(
    out: Out,
    rows: Annotated[int, typer.Option("--rows", min=1, max=200)] = 3,
    columns: Annotated[int, typer.Option("--columns", min=1, max=200)] = 3,
    side: Annotated[int, typer.Option("--side", min=128, max=8192, help="Of a field, pixels.")] = 512,
    overlap: Annotated[float, typer.Option("--overlap", min=0.02, max=0.9, help="Share of the side.")] = 0.1,
    jitter: Annotated[int, typer.Option("--jitter", min=0, max=24, help="Largest error of the stage, pixels.")] = 0,
    turn: Annotated[float, typer.Option("--turn", min=0, max=2, help="Largest turn, degrees.")] = 0.0,
    vignetting: Annotated[float, typer.Option("--vignetting", min=0, max=0.9, help="What corners lack.")] = 0.0,
    noise: Annotated[float, typer.Option("--noise", min=0, max=50, help="Sigma at white, grey levels.")] = 0.0,
    blur: Annotated[float, typer.Option("--blur", min=0, max=20, help="Sigma of a Gaussian, pixels.")] = 0.0,
    empty: Annotated[float, typer.Option("--empty", min=0, max=1, help="Share of fields that are glass.")] = 0.0,
    source: Annotated[Path | None, typer.Option("--from", help="A slide to cut from; default: a texture.")] = None,
    seed: Seed = 0,
) -> None:
    """Cut overlapping microscope fields with all that a microscope does to them, and the truth."""
    from wsipipe.errors import UsageError  # deferred: --help stays quick
    from wsipipe.phantom import fields as made

    how = made.Microscope(side, overlap, jitter, turn, vignetting, noise, blur, empty)
    pitch = round(side * (1 - overlap))
    height, width = (pitch * (count - 1) + side + 2 * made.MARGIN_PX for count in (rows, columns))
    try:
        truth = made.layout((height, width), how, seed)
    except ValueError as error:
        raise UsageError(
            f"{error}: give more rows or columns, smaller fields, or less of it", subject="fields"
        ) from error
    read = made.texture((height, width), seed) if source is None else _picture(source, (height, width))
    made.write(out, read, truth, how, seed=seed)
    typer.echo(f"{len(truth.middle)} fields: {out}; where they lie: {out / made.TRUTH}")


def movie(
    out: Out,
    objects: Annotated[int, typer.Option("--objects", min=1, max=10_000)] = 60,
    frames: Annotated[int, typer.Option("--frames", min=2, max=10_000)] = 40,
    side: Annotated[int, typer.Option("--side", min=64, max=4096, help="Pixels.")] = 512,
    missed: Annotated[float, typer.Option("--missed", min=0, max=0.9, help="Share of detections.")] = 0.05,
    seed: Seed = 0,
) -> None:
    """Make a movie of moving spots with missed detections, crossings and gaps, and the true tracks."""
    import numpy as np  # deferred: --help stays quick

    from wsipipe.phantom.movie import Movie, detections, drawn

    how = Movie(objects=objects, frames=frames, side=side, missed=missed, gaps=min(15, objects))
    table = detections(how, seed)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "frames.npy", drawn(table, how, seed=seed))
    table.to_csv(out / "truth.csv", index=False, float_format="%.4f")
    typer.echo(f"{len(table)} detections of {objects} objects over {frames} frames: {out / 'frames.npy'}")


def _picture(path: Path, shape: tuple[int, int]) -> made.Read:
    """The upper left of a slide, which must be as large."""
    from wsipipe.errors import UsageError
    from wsipipe.grid import Box
    from wsipipe.phantom import fields as made
    from wsipipe.slide import open_slide

    slide = open_slide(path)
    try:
        if any(own < asked for own, asked in zip(slide.info.shape, shape, strict=True)):
            raise UsageError(
                f"so many fields need {shape[1]} x {shape[0]} px, the slide has {slide.info.shape[1]} x "
                f"{slide.info.shape[0]}: ask for fewer or smaller ones",
                subject=str(path),
            )
        return made.from_array(slide.read(Box(0, 0, *shape), level=0)[..., :3])
    finally:
        slide.close()
