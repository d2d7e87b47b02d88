"""The contract itself: good stages pass it, each broken one fails the test that is meant for it."""

from __future__ import annotations

import pytest

from tests.contract import stages
from tests.contract.stage_contract import StageContract
from wsipipe.stage import Stage


class TestBrighten(StageContract):
    def stage(self) -> Stage:
        return stages.brighten(amount=7)


class TestMask(StageContract):
    def stage(self) -> Stage:
        return stages.mask(threshold=100)


class TestFit(StageContract):
    def stage(self) -> Stage:
        return stages.fit()


class TestNetwork(StageContract):
    def stage(self) -> Stage:
        return stages.network(weights="some/where", sha256="ab")


class TestSelect(StageContract):
    def stage(self) -> Stage:
        return stages.select(k=3)


class _Broken(StageContract):
    def __init__(self, stage: Stage) -> None:
        self.made = stage

    def stage(self) -> Stage:
        return self.made


def test_a_stage_that_writes_to_its_input_is_found() -> None:
    with pytest.raises(AssertionError, match="rgb was modified"):
        _Broken(stages.changes_input()).test_inputs_are_not_modified()


def test_a_stage_that_looks_at_other_tiles_is_found() -> None:
    with pytest.raises(AssertionError, match="share depends on the batch"):
        _Broken(stages.looks_around()).test_a_tile_does_not_depend_on_its_batch()


def test_a_stage_of_another_dtype_is_found() -> None:
    with pytest.raises(AssertionError, match="float64, declared float32"):
        _Broken(stages.wrong_dtype()).test_outputs_are_as_declared()


def test_a_stage_whose_reference_forgets_a_parameter_is_found() -> None:
    with pytest.raises(AssertionError):
        _Broken(stages.forgets(amount=2)).test_pickle_gives_an_equal_stage()
