"""What the gate lets through: in-scope slides it should, spoilt ones and other tissue it should not.

Enters: observed slides. Leaves: a table of shares and reasons. Next: `wsipipe.evaluate.gastric`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wsipipe.evaluate.gastric_slides import Observed
from wsipipe.evaluate.interval import mean
from wsipipe.evaluate.table import Table
from wsipipe.lesion.gate import CHECKS, reasons


def passed(seen: Sequence[Observed]) -> NDArray[np.float64]:
    """1 where a slide passes every check."""
    return np.array([float(one.gate_passed.all()) for one in seen])


def gate_table(cohorts: Mapping[str, Sequence[Observed]], real: Mapping[str, Observed]) -> Table:
    """Share of each cohort that gets a category, and what stops the others; real pictures one by one."""
    table = Table("The gate", ("slides", "number", "pass", "stopped by", "median values"))
    for name, seen in cohorts.items():
        values = np.stack([one.gate_value for one in seen])
        told = ", ".join(f"{check} {value:.3g}" for check, value in zip(CHECKS, _medians(values), strict=True))
        table.add(name, len(seen), mean(passed(seen)), _stops(seen), told)
    for name, one in real.items():
        why = reasons(one.gate_value, one.gate_passed) or "nothing"
        told = ", ".join(f"{check} {value:.3g}" for check, value in zip(CHECKS, one.gate_value, strict=True))
        table.add(name, 1, float(one.gate_passed.all()), why, told)
    table.notes.append("pass: share of slides that are given a category; intervals: 95 %, bootstrap over slides")
    return table


def _stops(seen: Sequence[Observed]) -> str:
    """Each check with the number of slides that it stops."""
    failed = np.stack([one.gate_passed == 0 for one in seen]).sum(axis=0)
    return ", ".join(f"{check} {count}" for check, count in zip(CHECKS, failed.tolist(), strict=True) if count) or "-"


def _medians(values: NDArray[np.float32]) -> list[float]:
    """Median of each column without NaN; NaN for a column of nothing else."""
    columns = [column[np.isfinite(column)] for column in values.T]
    return [float(np.median(column)) if len(column) else float("nan") for column in columns]
