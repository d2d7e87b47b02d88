"""What every resumable layer promises. Subclass `StoreContract` and give `specs` and `grid` for another kind of layer.

The functions at the top are importable in spawned processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsipipe.errors import StoreError
from wsipipe.grid import Box, Grid
from wsipipe.stage import Batch, Spec
from wsipipe.store import read, write
from wsipipe.store.layer import Layer


def value_of(spec: Spec, grid: Grid, ids: NDArray[np.int64]) -> NDArray[Any]:
    """Non-fill values that depend on the tile id alone."""
    side = grid.tile // spec.scale if spec.scale else 0
    tail = (side, side, *spec.shape[2:]) if spec.scale else spec.shape
    base = 1 + ids.reshape(-1, *[1] * len(tail)) % 250
    ramp = np.arange(int(np.prod(tail)) or 1).reshape(tail) % 3
    return (base + ramp).astype(spec.dtype)


def batch_of(layer: Layer, ids: NDArray[np.int64]) -> Batch:
    """A batch of `value_of` for all arrays of a layer."""
    if layer.grid is None:
        raise ValueError("a layer with a grid is needed")
    return {spec.name: value_of(spec, layer.grid, ids) for spec in layer.specs}


def write_units(layer: Layer, units: list[int]) -> int:
    """Write whole units; returns bytes."""
    if layer.grid is None:
        raise ValueError("a layer with a grid is needed")
    ids = [layer.grid.ids(unit) for unit in units]
    return sum(write.write_unit(layer, unit, i, batch_of(layer, i)) for unit, i in zip(units, ids, strict=True))


def expected(layer: Layer, spec: Spec, units: list[int]) -> NDArray[Any]:
    """The whole array by a naive loop over tiles, fill where a unit was not written."""
    grid = layer.grid
    if grid is None:
        raise ValueError("a layer with a grid is needed")
    ids = np.concatenate([np.zeros(0, np.int64), *(grid.ids(unit) for unit in units)])
    values = value_of(spec, grid, ids)
    if not spec.scale:
        rows = np.full((grid.n_rows, *values.shape[1:]), spec.fill, spec.dtype)
        rows[ids] = values
        return rows
    plane = Box(0, 0, *grid.shape).shrink(spec.scale)
    picture = np.full((*plane.shape, *values.shape[3:]), spec.fill, spec.dtype)
    for tile_id, value in zip(ids.tolist(), values, strict=True):
        part = grid.at(tile_id).write.shrink(spec.scale)
        picture[part.slices()] = value[: part.height, : part.width]
    return picture


def contents(root: Path) -> dict[str, bytes]:
    """Every file below `root` by its relative name."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


class StoreContract:
    """Any layer with a grid: units in any order, resumed, completed, packed, read back."""

    grid = Grid((70, 100), tile=16, unit=2)
    specs: tuple[Spec, ...] = ()

    @pytest.fixture
    def layer(self, tmp_path: Path) -> Layer:
        return self.layer_at(tmp_path)

    def layer_at(self, folder: Path) -> Layer:
        return Layer(str(folder / "slide.zarr"), "step", "0123456789ab", self.specs, self.grid)

    def check(self, layer: Layer, units: list[int]) -> None:
        """Whole arrays equal those of the naive loop, type included."""
        for spec in layer.specs:
            found = read.value(layer, spec.name)
            assert found.dtype == np.dtype(spec.dtype)
            np.testing.assert_array_equal(found, expected(layer, spec, units))

    def test_before_creation_nothing_is_there(self, layer: Layer) -> None:
        assert not read.is_created(layer)
        assert not read.is_complete(layer)
        with pytest.raises(StoreError, match="run the same command again"):
            read.pending(layer, np.arange(3))

    def test_created_layer_is_all_fill_and_all_pending(self, layer: Layer) -> None:
        write.create(layer)
        assert read.is_created(layer)
        assert not read.is_complete(layer)
        assert read.pending(layer, np.array([5, 0, 2])).tolist() == [0, 2, 5]
        self.check(layer, [])

    def test_creating_twice_loses_nothing(self, layer: Layer) -> None:
        write.create(layer)
        write_units(layer, [1])
        write.create(layer)
        assert read.pending(layer, np.arange(3)).tolist() == [0, 2]
        self.check(layer, [1])

    def test_units_read_back_where_they_belong(self, layer: Layer) -> None:
        write.create(layer)
        units = list(range(self.grid.n_units))
        write_units(layer, units[::-2])
        self.check(layer, units[::-2])
        write_units(layer, units)
        self.check(layer, units)

    def test_order_of_units_does_not_matter_to_a_byte(self, tmp_path: Path) -> None:
        units = list(range(self.grid.n_units))
        for name, order in (("a", units), ("b", units[::-1])):
            layer = self.layer_at(tmp_path / name)
            write.create(layer)
            write_units(layer, order)
            write.complete(layer)
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    def test_a_unit_done_twice_is_done_once(self, tmp_path: Path) -> None:
        for name, order in (("a", [0, 1]), ("b", [0, 0, 1, 0])):
            layer = self.layer_at(tmp_path / name)
            write.create(layer)
            write_units(layer, order)
        assert contents(tmp_path / "a") == contents(tmp_path / "b")

    def test_tiles_that_were_not_computed_stay_fill(self, layer: Layer) -> None:
        write.create(layer)
        ids = self.grid.ids(0)[1:3]
        write.write_unit(layer, 0, ids, batch_of(layer, ids))
        for spec in self.specs:
            if not spec.scale:
                missing = np.setdiff1d(self.grid.ids(), ids)
                np.testing.assert_array_equal(
                    read.rows(layer, spec.name, missing), np.full((len(missing), *spec.shape), spec.fill, spec.dtype)
                )
                np.testing.assert_array_equal(read.rows(layer, spec.name, ids), value_of(spec, self.grid, ids))

    def test_a_unit_with_no_tiles_is_marked(self, layer: Layer) -> None:
        write.create(layer)
        none = np.zeros(0, np.int64)
        write.write_unit(layer, 3, none, batch_of(layer, none))
        assert read.pending(layer, np.arange(5)).tolist() == [0, 1, 2, 4]
        self.check(layer, [])

    def test_complete_layer_has_nothing_pending(self, layer: Layer) -> None:
        write.create(layer)
        write_units(layer, [0])
        write.complete(layer)
        assert read.is_complete(layer)
        assert read.pending(layer, np.arange(self.grid.n_units)).tolist() == []

    def test_pack_keeps_every_value_and_few_files(self, layer: Layer) -> None:
        write.create(layer)
        units = list(range(0, self.grid.n_units, 2))
        write_units(layer, units)
        write.complete(layer)
        write.pack(layer)
        self.check(layer, units)
        assert (read.is_created(layer), read.is_complete(layer), read.is_complete(layer, packed=True)) == (True,) * 3
        assert not (Path(layer.root) / layer.group).exists()

    def test_pack_of_an_incomplete_layer_does_nothing(self, layer: Layer) -> None:
        write.create(layer)
        write_units(layer, [0])
        before = contents(Path(layer.root))
        write.pack(layer)
        assert contents(Path(layer.root)) == before

    def test_another_key_is_another_layer(self, layer: Layer) -> None:
        write.create(layer)
        write_units(layer, [0])
        before = contents(Path(layer.root) / layer.group)
        other = Layer(layer.root, layer.name, "ba9876543210", layer.specs, layer.grid)
        write.create(other)
        write_units(other, [1])
        assert contents(Path(layer.root) / layer.group) == before
        self.check(other, [1])

    def test_blocks_of_pictures_are_those_of_the_whole(self, layer: Layer) -> None:
        write.create(layer)
        write_units(layer, list(range(self.grid.n_units)))
        for spec in (spec for spec in self.specs if spec.scale):
            whole, box = read.value(layer, spec.name), Box(3, 5, 20, 11)
            np.testing.assert_array_equal(read.block(layer, spec.name, box), whole[box.slices()])
