"""`wsipipe bench`: what this machine gives, beside limits and peers measured in the same run."""

from __future__ import annotations

import json
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
    "· `wsipipe bench network`. Peers are what is installed of OpenSlide, TIAToolbox, tiffslide, staintools, MONAI and "
    "LazySlide (pip install 'wsipipe[bench,staintools,spatial]')."
)
WORK = ("read", "stain", "tissue", "network", "pipeline", "memory", "all")
WIDTH = 160
PARTS = ("read", "stain")
"""Of a tile's time, beside the network."""


def bench(
    work: Annotated[str, typer.Argument(help=f"{', '.join(WORK)}.", show_default=False)],
    slides: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SLIDE...", help="Tiled TIFF or SVS files; not for network.", show_default=False),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Measure the installed peers too.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of each; the median counts.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="A list of figures as JSON, for machines.")] = False,
) -> None:
    """Measure reading, stain normalisation, the tile network, memory and whole runs on this machine."""
    from wsipipe.bench import advice
    from wsipipe.errors import UsageError  # deferred: --help stays quick

    if work not in WORK:
        raise UsageError(f"what shall be measured? one of {', '.join(WORK)}, got {work!r}")
    if not slides and work != "network":
        raise UsageError("measuring: give a slide, a tiled TIFF or SVS")
    _as_a_worker()
    told = []
    for figure in _all_figures(work, slides or [], peers=peers, rounds=rounds):
        told.append(figure)
        if not as_json:
            typer.echo(f"measured: {figure.work}", err=True)
    if as_json:
        typer.echo(json.dumps([figure.told() for figure in told], indent=2))
    else:
        Console(highlight=False, width=max(Console().width, WIDTH)).print(_table(told))
        for line in advice.lines(told):
            typer.echo(line)


def _as_a_worker() -> None:
    """One thread in OpenCV and torch; NumPy's libraries ask OMP_NUM_THREADS when they are loaded."""
    import cv2

    from wsipipe.models.device import limit_threads

    cv2.setNumThreads(1)
    limit_threads(1)


def _all_figures(work: str, slides: list[Path], *, peers: bool, rounds: int) -> Iterator[Figure]:
    """The network's, then of every slide; of several, each line says which."""
    from dataclasses import replace

    from wsipipe.bench import network
    from wsipipe.models.device import number_format

    network_s = 0.0
    if work in ("network", "all"):
        for figure in network.figures(peers=peers, rounds=rounds):
            network_s = 1 / figure.ours if figure.work == network.work(number_format()) else network_s
            yield figure
        yield from network.batches(rounds=rounds)
    known = []
    for slide in slides:
        seconds: dict[str, float] = {}
        for figure in _figures(work, slide, seconds, peers=peers, rounds=rounds):
            yield replace(figure, work=f"{figure.work} [{slide.name}]") if len(slides) > 1 else figure
        known.append(network_s + sum(seconds.values()) if network_s and len(seconds) == len(PARTS) else None)
    if work in ("pipeline", "all"):
        from wsipipe.bench import pipeline

        yield from pipeline.figures(slides, rounds=rounds, seconds_per_tile=known[0])


def _figures(work: str, slide: Path, seconds: dict[str, float], *, peers: bool, rounds: int) -> Iterator[Figure]:
    """Of one slide; into `seconds` goes what each of `PARTS` takes for a tile, where it is measured."""
    from wsipipe.bench import engine, memory, reading, stain, tissue

    if work in ("read", "all"):
        for figure in reading.figures(slide, peers=peers, rounds=rounds):
            seconds.setdefault("read", reading.TILE**2 / 1e6 / figure.ours)
            yield figure
    if work in ("stain", "all"):
        for figure in stain.figures(slide, peers=peers, rounds=rounds):
            seconds.setdefault("stain", 1 / figure.ours)
            yield figure
    if work in ("tissue", "all"):
        yield from tissue.figures(slide, peers=peers, rounds=rounds)
    if work in ("memory", "all"):
        yield from memory.figures(slide, peers=peers, rounds=rounds)
    if work in ("pipeline", "all"):
        both = sum(seconds.values()) if len(seconds) == len(PARTS) else None
        yield from engine.figures(slide, peers=peers, rounds=max(1, rounds // 2), seconds_per_tile=both)


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
