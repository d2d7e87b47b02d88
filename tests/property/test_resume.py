"""Any interruption and resume equals the uninterrupted layer, bytes; packed or not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.store_contract import contents, write_units
from wsipipe.grid import Grid
from wsipipe.stage import Spec
from wsipipe.store import read, write
from wsipipe.store.layer import Layer

GRID = Grid((40, 37), tile=8, unit=2)
SPECS = (Spec("features", (3,)), Spec("mask", (None, None), "uint8", scale=2))
UNITS = list(range(GRID.n_units))


class Killed(BaseException):
    """Stands for kill -9."""


def layer_in(folder: Path) -> Layer:
    return Layer(str(folder / "s.zarr"), "step", "k", SPECS, GRID)


@cache
def uninterrupted(*, pack: bool) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        layer = layer_in(Path(folder))
        write.create(layer)
        write_units(layer, UNITS)
        write.complete(layer)
        if pack:
            write.pack(layer)
        return contents(Path(folder))


def attempt(layer: Layer, units: list[int], kill_at: int) -> None:
    """Write units; the sync number `kill_at` kills the process."""
    syncs = iter(range(10**6))
    sync = write._sync

    def dying(path: Path) -> None:
        if next(syncs) == kill_at:
            raise Killed
        sync(path)

    with mock.patch.object(write, "_sync", dying):
        write.create(layer)
        write_units(layer, [unit for unit in units if unit in read.pending(layer, np.array(UNITS))])


@settings(max_examples=6)
@given(st.lists(st.tuples(st.permutations(UNITS), st.integers(0, 30)), max_size=3), st.booleans())
def test_interrupted_and_resumed_equals_uninterrupted(runs: list[tuple[list[int], int]], pack: bool) -> None:
    with TemporaryDirectory() as folder:
        layer = layer_in(Path(folder))
        for units, kill_at in runs:
            try:
                attempt(layer, units, kill_at)
            except Killed:
                continue
        write.create(layer)
        write_units(layer, read.pending(layer, np.array(UNITS)).tolist())
        write.complete(layer)
        if pack:
            write.pack(layer)
        assert contents(Path(folder)) == uninterrupted(pack=pack)
