"""`wsipipe info`: what is known of one slide before anything is run on it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from wsipipe.units import is_sane

EXAMPLES = "Examples: `wsipipe info slide.svs` · `wsipipe info dicom-folder/ --json`"


def info(
    slide: Annotated[str, typer.Argument(help="A slide, picture, DICOM folder or OME-Zarr.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
    properties: Annotated[bool, typer.Option("--properties", help="The vendor's raw properties too.")] = False,
) -> None:
    """Print size, levels, micrometres per pixel, reader and fingerprint of a slide."""
    from wsipipe.slide import open_slide  # deferred: --help stays quick

    opened = open_slide(slide)
    try:
        facts = _facts(opened, properties=properties)
    finally:
        opened.close()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        typer.echo(f"{name:<12} {_shown(value)}")


def _facts(slide: Any, *, properties: bool) -> dict[str, Any]:
    known = slide.info
    facts = {
        "id": slide.id,
        "reader": known.reader,
        "vendor": known.vendor,
        "height": known.shape[0],
        "width": known.shape[1],
        "mpp": known.mpp,
        "mpp_is_sane": is_sane(known.mpp),
        "objective": known.objective,
        "channels": known.channels,
        "dtype": str(known.dtype),
        "planes": known.planes,
        "levels": [{"shape": list(level.shape), "downsample": level.downsample} for level in known.levels],
        "associated": list(known.associated),
        "icc_bytes": len(known.icc or b""),
        "fingerprint": known.fingerprint,
    }
    return facts | ({"properties": dict(known.properties)} if properties else {})


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return (
            "; ".join(
                f"{v['shape'][1]} x {v['shape'][0]} (1/{v['downsample']:g})" if isinstance(v, dict) else str(v)
                for v in value
            )
            or "-"
        )
    if isinstance(value, dict):
        return "".join(f"\n  {name} = {text}" for name, text in sorted(value.items()))
    return "-" if value in (None, "") else str(value)
