"""`wsipipe import-annotations`: what people drew in other programs, as regions for training and evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wsipipe.export.annotation_import import Imported

EXAMPLES = (
    'Examples: `wsipipe import-annotations CMU-1.geojson --out regions --map "Tumor=invasive" --map "Stroma="` · '
    "`wsipipe import-annotations asap-xml/ --out regions --map '*=high_grade'` · "
    "`wsipipe import-annotations export.json --slide CMU-1 --out regions`. "
    "Training and evaluation find `regions/CMU-1.geojson` by the slide's name."
)


def import_annotations(
    files: Annotated[
        list[Path],
        typer.Argument(help="QuPath GeoJSON(.gz), ASAP XML, HistomicsUI JSON, or folders of them.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of region files; made if missing.")],
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help='"class=category"; "class=" leaves it out, "*=" means the others; repeatable.'),
    ] = None,
    slide: Annotated[str | None, typer.Option("--slide", help="The slide's name, where one file has another.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace region files that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Turn drawn annotations into regions of our categories; crossing outlines are repaired and told."""
    from wsipipe.export.annotation import parse_map  # deferred: --help stays quick
    from wsipipe.export.annotation_import import import_annotations as take

    done = take(
        files, out, mapping=parse_map(map_ or []), slide=slide, overwrite=overwrite,
        told=(lambda _: None) if as_json else _tell,
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"files": [one.as_json() for one in done]}, indent=2))


def _tell(one: Imported) -> None:
    """The file on stdout; what was repaired and left out on stderr."""
    typer.echo(one.file)
    if one.repaired:
        typer.echo(f"{one.source}: {one.repaired} outlines crossed themselves and were repaired", err=True)
    if one.skipped:
        left = ", ".join(f"{count} {kind}" for kind, count in one.skipped.items())
        typer.echo(f"{one.source}: left out: {left}", err=True)
    if not one.regions:
        typer.echo(f"{one.source}: no region in it", err=True)
