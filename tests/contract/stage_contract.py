"""What every stage promises. A room's tests subclass `StageContract` and give `stage`.

::

    from tests.contract.stage_contract import StageContract

    class TestApply(StageContract):
        def stage(self) -> Stage:
            return stain.apply(method="macenko")

        def arrays(self, n: int, rng: np.random.Generator) -> Batch:
            return super().arrays(n, rng) | {"stain_matrix": HE}
"""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsipipe import stage as stages
from wsipipe.stage import Batch, Spec, Stage, canonical


class StageContract:
    """Override `stage`; override `arrays` where random numbers are no sensible input, `side` for another tile."""

    side = 32
    tiles = 5

    def stage(self) -> Stage:
        """The stage under test."""
        raise NotImplementedError

    def arrays(self, n: int, rng: np.random.Generator) -> Batch:
        """Inputs of `n` tiles (or `n` rows of kept tiles), for every declared input."""
        return {spec.name: self.array(spec, n, rng) for spec in self.stage().inputs}

    def array(self, spec: Spec, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """Random values of a declaration; ``inside`` is the whole tile, ``tile_id`` ascends, free sides are `side`."""
        shape = (() if spec.scope == "slide" else (n,)) + tuple(self.side if s is None else s for s in spec.shape)
        if spec.name == "inside":
            return np.full(shape, self.side, np.int32)
        if spec.name == "tile_id":
            return np.sort(rng.choice(1000, n, replace=False)).astype(np.int64)
        if np.issubdtype(spec.dtype, np.integer):
            return rng.integers(0, 256 if spec.unit == "grey" else 2, shape).astype(spec.dtype)
        return rng.random(shape).astype(spec.dtype)

    def test_pickle_gives_an_equal_stage(self) -> None:
        back = pickle.loads(pickle.dumps(self.stage()))
        assert canonical(back.spec()) == canonical(self.stage().spec())
        assert (back.inputs, back.outputs, back.halo) == (self.stage().inputs, self.stage().outputs, self.stage().halo)

    def test_reference_rebuilds_it_in_a_fresh_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stages, "_BUILT", {})
        back = self.stage().ref.build()
        assert back.ref == self.stage().ref
        assert canonical(back.spec()) == canonical(self.stage().spec())

    def test_parameters_are_json_values_that_survive_json(self) -> None:
        params = dict(self.stage().ref.params)
        assert json.loads(canonical(params)) == params

    def test_declared_names_are_unique(self) -> None:
        for specs in (self.stage().inputs, self.stage().outputs):
            assert len({spec.name for spec in specs}) == len(specs)

    def test_outputs_are_as_declared(self) -> None:
        given = self.arrays(self.tiles, np.random.default_rng(1))
        self._check_declared(self._run(given), self.tiles)

    def test_inputs_are_not_modified(self) -> None:
        given = self.arrays(self.tiles, np.random.default_rng(2))
        before = {name: array.copy() for name, array in given.items()}
        self._run(given)
        for name, array in given.items():
            assert array.tobytes() == before[name].tobytes(), f"{name} was modified"

    def test_inputs_may_be_read_only(self) -> None:
        """Slide-level arrays are handed out from a cache, locked."""
        given = self.arrays(self.tiles, np.random.default_rng(2))
        for spec in (spec for spec in self.stage().inputs if spec.scope != "tile"):
            given[spec.name].flags.writeable = False
        self._run(given)

    def test_the_same_twice(self) -> None:
        given = self.arrays(self.tiles, np.random.default_rng(3))
        first, second = self._run(given), self._run(given)
        assert {k: v.tobytes() for k, v in first.items()} == {k: v.tobytes() for k, v in second.items()}

    def test_a_tile_does_not_depend_on_its_batch(self) -> None:
        if not self._per_tile():
            pytest.skip("makes nothing per tile")
        given = self.arrays(self.tiles, np.random.default_rng(4))
        whole = self._run(given)
        for rows in ([0], [self.tiles - 1], [3, 1], list(range(self.tiles))[::-1]):
            part = self._run(self._rows(given, rows))
            for name in self._per_tile():
                assert part[name].tobytes() == whole[name][rows].tobytes(), f"{name} depends on the batch {rows}"

    def test_no_kept_tiles_is_a_valid_input(self) -> None:
        if not any(spec.scope == "tiles" for spec in self.stage().inputs):
            pytest.skip("takes no rows of kept tiles")
        self._check_declared(self._run(self.arrays(0, np.random.default_rng(5))), 0)

    def _run(self, given: Batch) -> Batch:
        stage = self.stage()
        made = stage.fn(**{spec.name: given[spec.name] for spec in stage.inputs})
        return {spec.name: np.asarray(made[spec.name]) for spec in stage.outputs}

    def _per_tile(self) -> list[str]:
        return [spec.name for spec in self.stage().outputs if spec.scope == "tile"]

    def _rows(self, given: Batch, rows: list[int]) -> Batch:
        batched = {spec.name for spec in self.stage().inputs if spec.scope == "tile"}
        return {name: array[rows] if name in batched else array for name, array in given.items()}

    def _check_declared(self, made: Batch, n: int) -> None:
        for spec in self.stage().outputs:
            found, lead = made[spec.name], () if spec.scope == "slide" else (n,)
            assert found.dtype == np.dtype(spec.dtype), f"{spec.name}: {found.dtype}, declared {spec.dtype}"
            assert found.ndim == len(lead) + len(spec.shape), f"{spec.name}: {found.shape}, declared {spec.shape}"
            for side, said in zip(found.shape, (*lead, *spec.shape), strict=True):
                assert said is None or side == said, f"{spec.name}: {found.shape}, declared {spec.shape}"
            if spec.scale:
                assert found.shape[1:3] == (self.side // spec.scale,) * 2, f"{spec.name} is not at its scale"
