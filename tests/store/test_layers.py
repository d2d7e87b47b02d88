"""Layers: the contract for rows and pictures, concurrent writers, slide-level arrays, what a crash leaves."""

from __future__ import annotations

import os
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from tests.contract.store_contract import StoreContract, batch_of, contents, expected, write_units
from wsipipe.errors import StoreError
from wsipipe.grid import Grid
from wsipipe.stage import Spec
from wsipipe.store import read, write
from wsipipe.store.layer import Layer
from wsipipe.store.layout import geometry, pictures_path, store_path

ROWS = (Spec("share"), Spec("features", (5,)), Spec("kind", (2, 2), "int64", fill=-1))
PICTURES = (Spec("mask", (None, None), "uint8", scale=4), Spec("colour", (None, None, 3), "uint8", scale=1, fill=7))


class TestRowsAndPictures(StoreContract):
    specs = (*ROWS, *PICTURES)


class TestNaNFill(StoreContract):
    specs = (Spec("focus", fill=float("nan")), Spec("depth", (None, None), "float32", scale=2, fill=float("nan")))


class TestOneTile(StoreContract):
    """A plane smaller than a tile, units larger than the plane."""

    grid = Grid((30, 41), tile=16, unit=1)
    specs = (*ROWS, *PICTURES)


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_concurrent_writers_lose_nothing(tmp_path: Path, kind: str) -> None:
    grid = Grid((16 * 16, 16 * 16), tile=16, unit=2)
    layer = Layer(str(tmp_path / "s.zarr"), "step", "k", (ROWS[1], PICTURES[0]), grid)
    write.create(layer)
    parts = [list(range(start, grid.n_units, 8)) for start in range(8)]
    pool: Executor = ThreadPoolExecutor(8)
    if kind == "processes":
        pool = ProcessPoolExecutor(4, mp_context=get_context("spawn"))
    with pool:
        assert sum(pool.map(write_units, [layer] * 8, parts)) > 0
    assert read.pending(layer, np.arange(grid.n_units)).tolist() == []
    for spec in layer.specs:
        np.testing.assert_array_equal(read.value(layer, spec.name), expected(layer, spec, list(range(grid.n_units))))


def test_rows_may_be_asked_for_sparsely(tmp_path: Path) -> None:
    grid = Grid((70, 100), tile=16, unit=2)
    layer = Layer(str(tmp_path / "s.zarr"), "step", "k", ROWS, grid)
    write.create(layer)
    write_units(layer, list(range(grid.n_units)))
    ids = np.random.default_rng(0).permutation(grid.ids())[:11]
    np.testing.assert_array_equal(read.rows(layer, "features", ids), expected(layer, ROWS[1], list(range(12)))[ids])
    assert read.rows(layer, "kind", ids[:0]).shape == (0, 2, 2)


def test_one_file_is_what_one_unit_owns() -> None:
    grid = Grid((100_000, 100_000))
    rows, picture = geometry(Spec("f", (64,)), grid), geometry(Spec("p", (None, None), "uint8", scale=4), grid)
    assert (rows.shape, rows.chunks, rows.shards) == ((40_000, 64), (64, 64), None)
    assert (picture.shape, picture.chunks, picture.shards) == ((25_000, 25_000), (128, 128), (1024, 1024))


def test_packed_arrays_have_few_files() -> None:
    grid = Grid((100_000, 100_000))
    rows = geometry(Spec("f", (64,)), grid, packed=True)
    picture = geometry(Spec("p", (None, None, 3), "uint8", scale=4), grid, packed=True)
    assert -(-rows.shape[0] // rows.chunks[0]) == 3
    assert picture.shards == (4096, 4096, 3)
    assert (-(-25_000 // 4096)) ** 2 <= 64


@pytest.mark.parametrize(
    ("spec", "said"),
    [(Spec("p", (None, None), scale=3), "scale divides the tile"), (Spec("r", (None,)), "a row needs a fixed shape")],
)
def test_what_cannot_lie_on_disk_is_refused(spec: Spec, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        geometry(spec, Grid((100, 100), tile=16))


def test_slide_level_arrays_of_every_shape(tmp_path: Path) -> None:
    arrays = {
        "scalar": np.float64(2.5),
        "one": np.array([3.0]),
        "none": np.zeros(0),
        "table": np.arange(6.0).reshape(2, 3),
        "empty": np.zeros((0, 4)),
        "nan": np.array([np.nan, 0.0]),
        "zero": np.zeros((2, 2)),
    }
    specs = tuple(Spec(name, np.shape(array), "float64", scope="slide") for name, array in arrays.items())
    layer = Layer(str(tmp_path / "s.zarr"), "fit", "k", specs)
    write.write_slide(layer, {name: np.asarray(array) for name, array in arrays.items()})
    assert read.is_complete(layer)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read.value(layer, name), array)


def test_slide_level_layer_killed_half_way_is_redone(tmp_path: Path) -> None:
    specs = (Spec("a", (2,), scope="slide"), Spec("b", (2,), scope="slide"))
    layer = Layer(str(tmp_path / "s.zarr"), "fit", "k", specs)
    with pytest.raises(KeyError):
        write.write_slide(layer, {"a": np.ones(2)})
    assert not read.is_complete(layer)
    with pytest.raises(StoreError, match="'b' of step 'fit': it was not written"):
        read.value(layer, "b")
    write.write_slide(layer, {"a": np.full(2, 3.0), "b": np.full(2, 4.0)})
    assert read.value(layer, "a").tolist() == [3, 3]
    assert read.is_complete(layer)


def test_interrupted_creation_is_begun_anew(tmp_path: Path) -> None:
    layer = Layer(str(tmp_path / "s.zarr"), "step", "k", ROWS, Grid((40, 40), tile=16, unit=1))
    write.create(layer)
    (tmp_path / "s.zarr" / layer.group / "done" / "zarr.json").unlink()
    (tmp_path / "s.zarr" / layer.group / "features" / "zarr.json").write_text("{")
    assert not read.is_created(layer)
    write.create(layer)
    write_units(layer, [0])
    assert read.rows(layer, "share", np.array([0])).tolist() == [1.0]


def test_a_layer_is_told_by_step_and_key(tmp_path: Path) -> None:
    layer = Layer(str(tmp_path / "s.zarr"), "tiles", "abc", ROWS)
    assert (layer.group, layer.packed_group) == ("work/tiles-abc", "work/tiles-abc.packed")
    assert layer.spec("kind") is ROWS[2]
    with pytest.raises(KeyError, match=r"\['share', 'features', 'kind'\], not 'sort'"):
        layer.spec("sort")
    assert store_path("R", "a.b-12") == Path("R/a.b-12.zarr")
    assert pictures_path("R", "a.b-12") == Path("R/a.b-12")


def test_a_unit_without_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="has no grid"):
        write.write_unit(Layer("r", "a", "k", ROWS), 0, np.zeros(0, np.int64), {})


def test_a_missing_layer_says_what_to_do(tmp_path: Path) -> None:
    layer = Layer(str(tmp_path / "slide.zarr"), "tiles", "k", ROWS, Grid((40, 40), tile=16))
    with pytest.raises(StoreError, match=r"slide\.zarr: step 'tiles' has left no layer .*run the same command again"):
        read.value(layer, "share")


def test_sweep_removes_only_old_partial_files(tmp_path: Path) -> None:
    deep = tmp_path / "s.zarr" / "work" / "c"
    deep.mkdir(parents=True)
    old, young, data = deep / "0.1a.partial", deep / "1.2b.partial", deep / "2"
    for path in (old, young, data):
        path.write_bytes(b"x")
    past = time.time() - 2 * write.STALE_S
    os.utime(old, (past, past))
    os.utime(data, (past, past))
    assert write.sweep(tmp_path) == 1
    assert sorted(path.name for path in deep.iterdir()) == ["1.2b.partial", "2"]
    assert write.sweep(tmp_path, older_s=-10) == 1
    assert write.sweep(tmp_path / "nowhere") == 0


def test_sweep_bears_a_writer_that_renames_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "0.1a.partial"
    gone.write_bytes(b"x")
    walk = list(os.walk(tmp_path))
    gone.rename(tmp_path / "0")
    monkeypatch.setattr(os, "walk", lambda root: walk)
    assert write.sweep(tmp_path, older_s=-10) == 0


def test_writes_are_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    grid = Grid((70, 100), tile=16, unit=2)
    here, there = (Layer(str(tmp_path / n / "s.zarr"), "step", "k", (*ROWS, *PICTURES), grid) for n in "ab")
    for layer in (here, there):
        write.create(layer)
    write_units(here, [0, 5])
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(write_units, there, [5, 0]).result()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_written_bytes_are_counted_before_compression(tmp_path: Path) -> None:
    layer = Layer(str(tmp_path / "s.zarr"), "step", "k", (ROWS[0], PICTURES[0]), Grid((64, 64), tile=16, unit=2))
    write.create(layer)
    ids = np.array([0])
    assert write.write_unit(layer, 0, ids, batch_of(layer, ids)) == 4 * 4 + 8 * 8
