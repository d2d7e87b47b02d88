"""`wsipipe stitch`: microscope fields to one slide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wsipipe.run.course import Phase
    from wsipipe.run.mosaic import Made, MosaicPlan

EXAMPLES = (
    "Examples: `wsipipe stitch fields/ --out slide.zarr` · "
    "`wsipipe stitch fields/ --out slide.zarr --pattern 'x{x}_y{y}' --overlap 0.1` · "
    "`wsipipe stitch fields/ --out slide.zarr --pattern '{index}' --layout snake --columns 12` · "
    "`wsipipe stitch fields/ --out slide.zarr --positions stage.csv --ome-tiff slide.ome.tif` · "
    "`wsipipe stitch fields/ --out slide.zarr --set deblur.method=wiener --set deblur.order=mosaic`. "
    "The same command again continues where it stopped. Beside slide.zarr lies slide.stitch: edges.csv, edges.png, "
    "fields.csv, mosaic.png. Exit codes: 0 done, 2 wrong usage, 3 the fields do not make a mosaic, 130 interrupted."
)

Pattern = Annotated[str, typer.Option("--pattern", help="In every name: x{x}_y{y}, r{row}_c{col}, or {index}.")]
Overlap = Annotated[float | None, typer.Option("--overlap", help="Share of a side, where names say rows and columns.")]
Layout = Annotated[
    str | None, typer.Option("--layout", help="Order of {index}: raster, snake, raster_down, snake_down.")
]
Columns = Annotated[int | None, typer.Option("--columns", min=1, help="Of the grid, for {index}.")]
Positions = Annotated[Path | None, typer.Option("--positions", help="CSV: file, y, x (pixels), or file, row, col.")]
Metadata = Annotated[bool, typer.Option("--metadata", help="Stage positions from OME-TIFF or TIFF tags.")]
MppOption = Annotated[
    float | None, typer.Option("--mpp", min=0.05, max=20, help="Micrometres per pixel of the fields.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML; default configs/microscope.yaml.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; wins over the file; repeatable.")]
Workers = Annotated[int | None, typer.Option("--workers", min=0, help="Processes; 0: this one; default: the cores.")]
Threads = Annotated[int, typer.Option("--threads", min=1, max=64, help="Threads of each.")]


def stitch(
    fields: Annotated[Path, typer.Argument(help="Folder of fields.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="OME-Zarr to make; ends in .zarr.", show_default=False)],
    pattern: Pattern = "",
    overlap: Overlap = None,
    layout: Layout = None,
    columns: Columns = None,
    positions: Positions = None,
    metadata: Metadata = False,
    mpp: MppOption = None,
    ome_tiff: Annotated[Path | None, typer.Option("--ome-tiff", help="Also a pyramidal OME-TIFF.")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
    workers: Workers = None,
    threads: Threads = 1,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Stop where another run makes the same mosaic.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was found as JSON; no progress.")] = False,
) -> None:
    """Register microscope fields, even out their light, and blend them into one pyramidal slide."""
    from wsipipe.errors import UsageError
    from wsipipe.pipelines import microscope  # deferred: --help stays quick

    if out.suffix != ".zarr":
        raise UsageError("--out is the mosaic to make and ends in .zarr", subject=str(out))
    sets = settings(set_, pattern, overlap, layout, columns, positions, metadata=metadata, mpp=mpp)
    made = run(microscope.plan(fields, out, config, sets), out, workers, threads, wait=not no_wait, quiet=as_json)
    if not made.whole:
        raise typer.Exit(made.exit_code or 1)
    if ome_tiff is not None:
        from wsipipe.export.mosaic import write_ome_tiff

        write_ome_tiff(out, ome_tiff)
    tell(made, ome_tiff, as_json=as_json)


def settings(
    given: list[str] | None,
    pattern: str = "",
    overlap: float | None = None,
    layout: str | None = None,
    columns: int | None = None,
    positions: Path | None = None,
    *,
    metadata: bool = False,
    mpp: float | None = None,
) -> list[str]:
    """Options that stand for a setting, as ``--set`` texts."""
    said = {
        "pattern": pattern or None, "overlap": overlap, "layout": layout, "columns": columns,
        "positions": str(positions) if positions else None, "metadata": metadata or None, "mpp": mpp,
    }  # fmt: skip
    texts = [f"places.{name}={json.dumps(value)}" for name, value in said.items() if value is not None]
    return [*(given or ()), *texts]


def run(
    plan: MosaicPlan, out: Path, workers: int | None, threads: int, *, wait: bool = True, quiet: bool = False
) -> Made:
    """Make a mosaic and show how it goes."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from wsipipe.run.capacity import by_cores
    from wsipipe.run.cluster import Crew
    from wsipipe.run.mosaic import make
    from wsipipe.run.pool import Pool

    def say(line: str) -> None:
        if not quiet:
            typer.echo(f"wsipipe: {line}", err=True)

    def pool() -> Pool:
        crew = Crew(by_cores(threads, gpu=False).workers if workers is None else workers, threads)
        say(f"{crew.workers or 'no'} worker process{'es' if crew.workers != 1 else ''} of {threads} thread(s)")
        return Pool(crew=crew, notice=say)

    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bars:
        shown: dict[str, int] = {}

        def tell(phase: Phase, done: int) -> None:
            if phase.name not in shown:
                shown[phase.name] = int(bars.add_task(phase.name, total=phase.units))
            bars.update(shown[phase.name], completed=done)  # type: ignore[arg-type]

        return make(plan, out, pool, tell=tell, say=say, wait=wait)


def tell(made: Made, ome_tiff: Path | None = None, *, as_json: bool = False) -> None:
    """What was made, for people or machines."""
    said = made.said or {}
    if as_json:
        typer.echo(json.dumps({"mosaic": str(made.mosaic), "beside": str(made.beside), **said}, indent=2))
        return
    height, width = said["mosaic_px"]
    by_status = ", ".join(f"{count} {name}" for name, count in said["by_status"].items())
    edges = ", ".join(f"{count} {name}" for name, count in said["edges_by_status"].items())
    typer.echo(f"{said['fields']} fields ({by_status}); {said['edges']} edges ({edges or 'none'})")
    if said["residual_px_median"] is not None:
        typer.echo(
            f"edges agree within {said['residual_px_median']:g} px (median), {said['residual_px_worst']:g} (worst)"
        )
    typer.echo(f"light: {said['light']}")
    for place in said["missing"]:
        typer.echo(f"no field at {place}")
    if outliers := said["by_status"].get("outlier"):
        typer.echo(f"{outliers} field(s) belong to no neighbour and are left out: see {made.beside / 'fields.csv'}")
    if said["groups"] > 1:
        typer.echo(
            f"{said['groups']} groups of fields that no edge joins: between them places are the stage's "
            f"(column group of {made.beside / 'fields.csv'})"
        )
    typer.echo(f"mosaic: {made.mosaic} ({width} x {height} px)")
    if ome_tiff is not None:
        typer.echo(f"OME-TIFF: {ome_tiff}")
    typer.echo(f"look at: {made.beside / 'mosaic.png'}, {made.beside / 'edges.png'}")
