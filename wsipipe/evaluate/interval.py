"""Bootstrap intervals over the cases that were drawn independently: slides, pictures, fields.

Enters: one entry per case. Leaves: `Interval`. Next: `wsipipe.evaluate.table`.

Percentile bootstrap (Efron & Tibshirani, 1993, chapter 13). Differences are paired: both sides see the same
resampled cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def holds_zero(self) -> bool:
        """Whether zero lies inside, ends included: for differences, that none was shown."""
        return self.low <= 0 <= self.high


def interval(
    statistic: Callable[..., float], *cases: Array, seed: int = 0, resamples: int = RESAMPLES, level: float = 0.95
) -> Interval:
    """A statistic of cases with its percentile bootstrap interval.

    Parameters
    ----------
    statistic : callable
        Of as many arrays as `cases`; NaN for a resample on which it is not defined (it is left out).
    *cases : (N, ...) arrays
        Entry i of each belongs to case i; cases are drawn with replacement, together.
    seed : int
    resamples : int
    level : float
        Share of the resamples inside.

    Returns
    -------
    Interval
        NaN where there is no case.
    """
    count = len(cases[0])
    if not count:
        return Interval(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, count, count) for _ in range(resamples)]
    found = np.array([statistic(*(one[index] for one in cases)) for index in drawn], np.float64)
    tail = (1 - level) / 2
    some = found[np.isfinite(found)]
    low, high = np.quantile(some, [tail, 1 - tail]) if len(some) else (np.nan, np.nan)
    return Interval(float(statistic(*cases)), float(low), float(high))


def mean(values: Array, *, seed: int = 0) -> Interval:
    """Mean of one number per case, NaN left out."""
    return interval(lambda drawn: float(np.mean(drawn)), values[np.isfinite(values)], seed=seed)


def difference(statistic: Callable[..., float], ours: Array, theirs: Array, *shared: Array, seed: int = 0) -> Interval:
    """``statistic(ours, *shared) - statistic(theirs, *shared)`` over the same cases."""

    def gap(a: Array, b: Array, *rest: Array) -> float:
        return statistic(a, *rest) - statistic(b, *rest)

    return interval(gap, ours, theirs, *shared, seed=seed)
