"""`wsipipe bench`: what this machine gives, beside limits and peers measured in the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from wsipipe.bench.figure import Figure

EXAMPLES = (
    "Examples: `OMP_NUM_THREADS=1 wsipipe bench read slide.svs --peers` · `wsipipe bench all slide.svs --peers --json` "
    "· `wsipipe bench network`. Peers are what is installed of OpenSlide, TIAToolbox, tiffslide, staintools and MONAI "
    "(pip install 'wsipipe[bench,staintools]')."
)
WORK = ("read", "stain", "tissue", "network", "pipeline", "all")
WIDTH = 160


def bench(
    work: Annotated[str, typer.Argument(help=f"{', '.join(WORK)}.", show_default=False)],
    slide: Annotated[
        Path | None, typer.Argument(help="A tiled TIFF or SVS; not for network.", show_default=False)
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Measure the installed peers too.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of each; the median counts.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="A list of figures as JSON, for machines.")] = False,
) -> None:
    """Measure reading, stain normalisation, the tile network and whole runs on this machine."""
    from wsipipe.errors import UsageError  # deferred: --help stays quick

    if work not in WORK:
        raise UsageError(f"what shall be measured? one of {', '.join(WORK)}, got {work!r}")
    if slide is None and work != "network":
        raise UsageError("measuring: give a slide, a tiled TIFF or SVS")
    _quiet_threads()
    told = []
    for figure in _figures(work, slide, peers=peers, rounds=rounds):
        told.append(figure)
        if not as_json:
            typer.echo(f"measured: {figure.work}", err=True)
    if as_json:
        typer.echo(json.dumps([figure.told() for figure in told], indent=2))
    else:
        Console(highlight=False, width=max(Console().width, WIDTH)).print(_table(told))
        _advise(told)


def _quiet_threads() -> None:
    """One thread in OpenCV and torch, as in a worker; NumPy's libraries ask OMP_NUM_THREADS when they are loaded."""
    import cv2

    from wsipipe.models.device import limit_threads

    cv2.setNumThreads(1)
    limit_threads(1)


def _figures(work: str, slide: Path | None, *, peers: bool, rounds: int) -> Iterator[Figure]:
    from wsipipe.bench import network, pipeline, reading, stain, tissue

    seconds: dict[str, float] = {}
    if work in ("read", "all") and slide:
        for figure in reading.figures(slide, peers=peers, rounds=rounds):
            seconds.setdefault("read", reading.TILE**2 / 1e6 / figure.ours)
            yield figure
    if work in ("stain", "all") and slide:
        for figure in stain.figures(slide, peers=peers, rounds=rounds):
            seconds.setdefault("stain", 1 / figure.ours)
            yield figure
    if work in ("tissue", "all") and slide:
        yield from tissue.figures(slide, peers=peers, rounds=rounds)
    if work in ("network", "all"):
        for figure in network.figures(peers=peers, rounds=rounds):
            seconds.setdefault("network", 1 / figure.ours)
            yield figure
    if work in ("pipeline", "all") and slide:
        yield from pipeline.figures(
            slide, rounds=rounds, seconds_per_tile=sum(seconds.values()) if len(seconds) == 3 else None
        )


def _table(told: list[Figure]) -> Table:
    table = Table("work", "unit", "ours", "limit", "of it", "peer", "its value", "ours is", box=None, pad_edge=False)
    for figure in told:
        share = f"{figure.ours / figure.limit:.2f}" if figure.limit else "-"
        limit = f"{figure.limit:.4g}" if figure.limit else "-"
        first = (figure.work, figure.unit, f"{figure.ours:.4g}", limit, share)
        peers = [(name, f"{value:.4g}", f"{figure.ours / value:.2f} x") for name, value in figure.peers.items()]
        for index, peer in enumerate(peers or [("-", "-", "-")]):
            table.add_row(*(first if index == 0 else ("",) * 5), *peer)
        if figure.note:
            table.add_row(f"  ({figure.note})")
    return table


def _advise(told: list[Figure]) -> None:
    by_name = {figure.work: figure for figure in told}
    workers = os.cpu_count() or 1
    typer.echo(f"for this machine: --workers {workers} --threads 1, network.batch 8")
    if both := by_name.get("wsipipe run gastric, 2 workers"):
        typer.echo(both.note)
