"""What to set on this machine, from what was measured on it.

Enters: figures. Leaves: lines for people. What was not measured is told as the default that it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from wsipipe.bench import network
from wsipipe.bench.figure import Figure
from wsipipe.models.device import BATCH as BATCHES
from wsipipe.models.device import number_format

BATCH = BATCHES["cpu"]
RUN = "wsipipe run gastric, "


def lines(told: Sequence[Figure]) -> list[str]:
    """Reader, workers, batch size, and slides per hour."""
    return [f"for this machine: {_reader(told)}; {_workers(told)}; {_batch(told)}", *_slides(told)]


def _reader(told: Sequence[Figure]) -> str:
    for figure in told:
        if figure.work.startswith("read") and "OpenSlide" in figure.peers:
            ratio = figure.ours / figure.peers["OpenSlide"]
            return f"reader {'native' if ratio > 1 else 'OpenSlide'} ({ratio:.1f} times OpenSlide's rate)"
    return "reader as it is chosen (not measured beside OpenSlide)"


def _workers(told: Sequence[Figure]) -> str:
    runs = {figure.work.removeprefix(RUN): figure.ours for figure in told if figure.work.startswith(RUN)}
    if not runs:
        return f"--workers {os.cpu_count() or 1} --threads 1 (not measured)"
    best = max(runs, key=lambda name: runs[name])
    return f"--workers {best.split()[0]} --threads 1 ({runs[best]:.1f} tiles/s)"


def _batch(told: Sequence[Figure]) -> str:
    rates: dict[int, float] = {}
    for figure in told:
        name, _, batch = figure.work.partition(" [")[0].partition(", batch ")
        if name == network.work(number_format()):
            rates[int(batch or BATCH)] = figure.ours
    if not rates:
        return f"network.batch {BATCH} (not measured)"
    best = max(rates, key=lambda size: rates[size])
    return f"network.batch {best} ({rates[best]:.1f} tiles/s)"


def _slides(told: Sequence[Figure]) -> list[str]:
    return [figure.note for figure in told if figure.work.startswith(f"{RUN}2")]
