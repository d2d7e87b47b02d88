"""Chunks by zarrs: what zarr reads, equal bytes every time, whole files or none, the system's errors as they are."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest
import zarr

from wsipipe.store import quick

WHERE = (slice(64, 128), slice(0, 64))


@pytest.fixture
def array(tmp_path: Path) -> zarr.Array:
    return zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(128, 100), chunks=(8, 8), shards=(64, 64), dtype="float32", fill_value=np.nan
    )


@pytest.fixture
def values() -> np.ndarray:
    made = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    made[:16, :24] = np.nan
    return made


def file_of(array: zarr.Array, name: str = "c/1/0") -> Path:
    return Path(array.store_path.store.root) / name


def test_zarr_reads_what_is_put(array: zarr.Array, values: np.ndarray) -> None:
    quick.put(array, WHERE, values)
    again = zarr.open_array(array.store_path.store.root, mode="r")
    assert np.array_equal(again[WHERE], values, equal_nan=True)
    assert np.isnan(again[:64]).all()
    assert np.array_equal(quick.quick(again)[70:90, 5:50], values[6:26, 5:50], equal_nan=True)


def test_what_zarrs_cannot_select_zarr_does(array: zarr.Array, values: np.ndarray) -> None:
    quick.put(array, WHERE, values)
    again = quick.quick(zarr.open_array(array.store_path.store.root, mode="r"))
    for chosen in (70, (70, slice(3, 50)), (..., 7), (np.array([66, 90, 71]), slice(None))):
        assert np.array_equal(again[chosen], array[chosen], equal_nan=True), chosen


def test_equal_values_give_equal_bytes(array: zarr.Array, values: np.ndarray) -> None:
    seen = set()
    for _ in range(10):
        quick.put(array, WHERE, values)
        seen.add(hashlib.sha256(file_of(array).read_bytes()).hexdigest())
    assert len(seen) == 1


def test_nothing_but_fill_leaves_no_file(array: zarr.Array, values: np.ndarray) -> None:
    quick.put(array, WHERE, values)
    quick.put(array, WHERE, np.full((64, 64), np.nan, np.float32))
    assert not file_of(array).exists()
    assert not list(Path(array.store_path.store.root).rglob("*.partial"))


def test_the_edge_of_an_array_is_a_whole_file(array: zarr.Array) -> None:
    quick.put(array, (slice(0, 64), slice(64, 100)), np.ones((64, 36), np.float32))
    assert (zarr.open_array(array.store_path.store.root, mode="r")[:64, 64:] == 1).all()


def test_a_killed_writer_leaves_what_was_there(
    array: zarr.Array, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick.put(array, WHERE, values)
    before = file_of(array).read_bytes()

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        quick.put(array, WHERE, values + 1)
    assert file_of(array).read_bytes() == before


def test_what_the_system_refuses_is_its_error(array: zarr.Array, values: np.ndarray) -> None:
    folder = Path(array.store_path.store.root)
    (folder / "c").write_text("in the way")
    with pytest.raises(OSError) as caught:
        quick.write(quick.quick(array), WHERE, values)
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST)
