from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from wsipipe.evaluate.interval import Interval, difference, interval, mean
from wsipipe.evaluate.table import Table


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = mean(values)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_nothing_gives_no_number() -> None:
    assert np.isnan(mean(np.array([np.nan])).value)


def test_a_difference_is_paired() -> None:
    truth = np.random.default_rng(1).normal(0, 100, 50)
    found = difference(lambda one: float(one.mean()), truth + 1, truth)
    assert (found.low, found.high) == (pytest.approx(1), pytest.approx(1))
    assert not found.holds_zero


def test_a_statistic_that_is_not_defined_on_a_resample_leaves_it_out() -> None:
    found = interval(lambda one: float(one.mean()) if one.min() == 0 else float("nan"), np.arange(3.0))
    assert np.isfinite([found.low, found.high]).all()


def test_a_table_is_written_three_ways(tmp_path: Path) -> None:
    table = Table("Figures", ("method", "F1"), notes=["of 3 slides"])
    table.add("a|b", Interval(0.5, 0.25, 0.75))
    table.add("c", None)
    table.write(tmp_path / "new", "table")
    assert "| a\\|b | 0.500 [0.250, 0.750] |" in (tmp_path / "new/table.md").read_text()
    assert (tmp_path / "new/table.csv").read_text().splitlines()[0] == "method,F1"
    told = json.loads((tmp_path / "new/table.json").read_text())
    assert told["rows"][0]["F1"] == {"value": 0.5, "low": 0.25, "high": 0.75}
