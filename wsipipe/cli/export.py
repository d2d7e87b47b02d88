"""`wsipipe export`: results in the forms that other tools open."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "Examples: `wsipipe export results --to qupath --gzip` · "
    "`wsipipe export results --to csv --out tables` · "
    "`wsipipe export results --to trident --slide CMU-1 --slide CMU-2 --out patches` · "
    "`wsipipe export results --to dicom --tiles topk --json`. "
    "Files that exist are refused unless --overwrite is given, before anything is written. "
    "What each format holds: docs/export.md."
)


def export(
    results: Annotated[str, typer.Argument(help="A results directory.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(
            "--to", help="qupath, parquet, csv, trident, clam, geojson, dicom, ome-tiff or png.", show_default=False
        ),
    ],
    slide: Annotated[
        list[str] | None, typer.Option("--slide", help="A slide id or its beginning; repeatable; default all.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default RESULTS/export/FORMAT.")] = None,
    tiles: Annotated[str, typer.Option("--tiles", help="all, topk or none.")] = "all",
    gzip: Annotated[bool, typer.Option("--gzip", help="Compress GeoJSON and CSV.")] = False,
    color: Annotated[bool, typer.Option("--color", help="ome-tiff in colours instead of grey values.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines; no progress bar.")] = False,
) -> None:
    """Write results for QuPath, TRIDENT, CLAM, DICOM, GIS, spreadsheets and picture viewers."""
    from rich.console import Console  # deferred: --help stays quick
    from rich.progress import Progress

    from wsipipe.export import Options
    from wsipipe.export import export as write
    from wsipipe.query import open_results

    opened = open_results(results)
    options = Options(tiles=tiles, gzip=gzip, color=color)
    folder = out or _folder(results, to)
    console = Console(stderr=True, quiet=as_json)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:

        def begun(slides: int) -> Callable[[str], None]:
            task = bar.add_task(f"{to}", total=slides)
            return lambda _: bar.advance(task)

        files = write(opened, to, folder, slides=slide or [], options=options, overwrite=overwrite, begun=begun)
    if as_json:
        told = {"results": results, "format": to, "out": str(folder), "files": [str(file) for file in files]}
        typer.echo(json.dumps(told, indent=2))
        return
    for file in files:
        typer.echo(str(file))


def _folder(results: str, to: str) -> Path:
    """Where files go without --out. Raises UsageError where the results are not on a disk."""
    from wsipipe.errors import UsageError

    if "://" in results:
        raise UsageError("--out is needed where the results are not on this machine's disk", subject=results)
    return Path(results) / "export" / to
