"""What a crash may leave: data before marks, `complete` last, packing that can be killed anywhere.

The order is recorded at three seams: ``os.fsync`` is replaced by one that also notes the path behind the descriptor,
zarr's `LocalStore.set` by one that notes every key that is written, ``os.replace`` by one that notes what `quick.put`
moves in place. What a disk does after an fsync is not tested.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import LocalStore

from tests.contract.store_contract import contents, expected, write_units
from wsipipe.grid import Grid
from wsipipe.stage import Spec
from wsipipe.store import read, write
from wsipipe.store.layer import Layer

GRID = Grid((70, 100), tile=16, unit=2)
SPECS = (Spec("features", (5,)), Spec("mask", (None, None), "uint8", scale=4))
Event = tuple[str, str]


class Killed(BaseException):
    """Stands for kill -9: nothing in the package catches it."""


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    made = Layer(str(tmp_path / "s.zarr"), "step", "k", SPECS, GRID)
    write.create(made)
    return made


@pytest.fixture
def events(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """``("set", path)`` for every write of zarr's and every file moved in place, and ``("fsync", path)``, in order.

    Paths are relative to the layer.
    """
    found: list[Event] = []
    base = Path(layer.root) / layer.group
    fsync, put, replace = os.fsync, LocalStore.set, os.replace

    def noted_fsync(handle: int) -> None:
        fsync(handle)
        found.append(("fsync", os.path.relpath(Path(f"/proc/self/fd/{handle}").readlink(), base)))

    async def noted_set(self: LocalStore, key: str, value: Any) -> None:
        await put(self, key, value)
        found.append(("set", os.path.relpath(self.root / key, base)))

    def noted_replace(made: Path, target: Path) -> None:
        replace(made, target)
        if ".partial/" in str(made):
            found.append(("set", os.path.relpath(target, base)))

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(LocalStore, "set", noted_set)
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads paths of descriptors in /proc")


@needs_proc
def test_a_unit_is_data_then_file_then_folders_then_mark(layer: Layer, events: list[Event]) -> None:
    write_units(layer, [5])
    assert events == [
        ("set", "features/c/5/0"),
        ("fsync", "features/c/5/0"),
        ("fsync", "features/c/5"),
        ("fsync", "features/c"),
        ("fsync", "features"),
        ("set", "mask/c/1/1"),
        ("fsync", "mask/c/1/1"),
        ("fsync", "mask/c/1"),
        ("fsync", "mask/c"),
        ("fsync", "mask"),
        ("set", "done/c/5"),
        ("fsync", "done/c/5"),
        ("fsync", "done/c"),
        ("fsync", "done"),
    ]


@needs_proc
def test_complete_is_written_and_synced_last(layer: Layer, events: list[Event]) -> None:
    write_units(layer, [0])
    write.complete(layer)
    assert events[-7:] == [
        ("fsync", "done/c/0"),
        ("fsync", "done/c"),
        ("fsync", "done"),
        ("set", "complete/c/0"),
        ("fsync", "complete/c/0"),
        ("fsync", "complete/c"),
        ("fsync", "complete"),
    ]


@needs_proc
def test_a_layer_is_created_with_its_marks_last(layer: Layer, events: list[Event]) -> None:
    other = Layer(layer.root, "step", "k2", SPECS, GRID)
    write.create(other)
    names = [(kind, path.removeprefix("../step-k2/")) for kind, path in events]
    made = names.index(("set", "done/zarr.json"))
    for name in ("features", "mask", "complete"):
        assert names.index(("set", f"{name}/zarr.json")) < names.index(("fsync", f"{name}/zarr.json")) < made


@needs_proc
def test_slide_level_arrays_are_synced_before_their_mark(layer: Layer, events: list[Event]) -> None:
    fit = Layer(layer.root, "fit", "k", (Spec("a", (2, 3), scope="slide"),))
    write.write_slide(fit, {"a": np.ones((2, 3))})
    names = [(kind, path.removeprefix("../fit-k/")) for kind, path in events]
    mark, last = names.index(("set", "done/c/0")), names.index(("set", "complete/c/0"))
    assert mark < names.index(("fsync", "done/c/0")) < last
    assert names.index(("set", "a/c/0/0")) < names.index(("fsync", "a/c/0/0")) < mark < last
    assert names.index(("fsync", "a/zarr.json")) < mark


@needs_proc
def test_packed_files_are_synced_before_the_small_ones_go(
    layer: Layer, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_units(layer, list(range(GRID.n_units)))
    write.complete(layer)
    events.clear()
    rmtree = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path: (events.append(("rmtree", str(path))), rmtree(path)))
    write.pack(layer)
    names = [(kind, path.removeprefix("../step-k.packed/")) for kind, path in events]
    mark = names.index(("set", "complete/c/0"))
    data = [path for kind, path in names if kind == "set" and not path.startswith("complete")]
    assert all(names.index(("fsync", path)) < mark for path in data if "/" in path)
    assert mark < names.index(("fsync", "complete/c/0")) < len(names) - 1
    assert names[-1][0] == "rmtree"


def test_an_all_fill_unit_leaves_no_file_but_its_mark(tmp_path: Path) -> None:
    nan = Spec("focus", fill=float("nan"))
    layer = Layer(str(tmp_path / "s.zarr"), "step", "k", (*SPECS, nan), GRID)
    write.create(layer)
    before = set(contents(tmp_path))
    ids = GRID.ids(2)
    write.write_unit(
        layer,
        2,
        ids,
        {
            "features": np.zeros((len(ids), 5), np.float32),
            "mask": np.zeros((len(ids), 4, 4), np.uint8),
            "focus": np.full(len(ids), np.nan, np.float32),
        },
    )
    assert set(contents(tmp_path)) - before == {"s.zarr/work/step-k/done/c/2"}
    assert 2 not in read.pending(layer, np.arange(GRID.n_units))


def test_a_unit_killed_before_its_mark_is_pending_and_redone(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(write, "_sync_chunk", _killed)
        with pytest.raises(Killed):
            write_units(layer, [3])
    assert 3 in read.pending(layer, np.arange(GRID.n_units))
    write_units(layer, read.pending(layer, np.arange(GRID.n_units)).tolist())
    for spec in SPECS:
        np.testing.assert_array_equal(read.value(layer, spec.name), expected(layer, spec, list(range(GRID.n_units))))


@pytest.mark.parametrize("seam", ["_create_array", "_pack_boxes", "_sync_tree"])
def test_a_pack_killed_half_way_is_redone(
    layer: Layer, tmp_path_factory: pytest.TempPathFactory, seam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_units(layer, list(range(GRID.n_units)))
    write.complete(layer)
    whole = Layer(str(tmp_path_factory.mktemp("whole") / "s.zarr"), "step", "k", SPECS, GRID)
    shutil.copytree(layer.root, whole.root)
    with monkeypatch.context() as patch:
        patch.setattr(write, seam, _killed)
        with pytest.raises(Killed):
            write.pack(layer)
    assert (Path(layer.root) / layer.packed_group).exists()
    assert not read.is_complete(layer, packed=True)
    _check(layer)
    write.pack(layer)
    _check(layer)
    write.pack(whole)
    assert contents(Path(layer.root)) == contents(Path(whole.root))


def test_a_pack_killed_while_small_files_go_is_finished(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    write_units(layer, list(range(GRID.n_units)))
    write.complete(layer)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", _half_removed)
        with pytest.raises(Killed):
            write.pack(layer)
    assert (Path(layer.root) / layer.group).exists()
    _check(layer)
    write.pack(layer)
    assert not (Path(layer.root) / layer.group).exists()
    _check(layer)


def test_pack_twice_is_pack_once(layer: Layer) -> None:
    write_units(layer, [0])
    write.complete(layer)
    write.pack(layer)
    before = contents(Path(layer.root))
    write.pack(layer)
    write.create(layer)
    assert contents(Path(layer.root)) == before


def _check(layer: Layer) -> None:
    assert read.pending(layer, np.arange(GRID.n_units)).tolist() == []
    for spec in SPECS:
        np.testing.assert_array_equal(read.value(layer, spec.name), expected(layer, spec, list(range(GRID.n_units))))


def _killed(*args: Any, **options: Any) -> None:
    raise Killed


def _half_removed(path: Path) -> None:
    (path / "features" / "zarr.json").unlink()
    (path / "mask" / "c" / "0" / "0").unlink()
    raise Killed
