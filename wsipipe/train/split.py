"""Cases to training, validation and test.

Enters: case ids with categories, shares, a seed; or a split that the table names. Leaves: one split per case, so
that no patient is on both sides. Next: `wsipipe.train.source`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from wsipipe.errors import UsageError
from wsipipe.train.tileset import SPLITS


def split_cases(cases: Sequence[tuple[str, str]], shares: tuple[float, float, float], *, seed: int) -> dict[str, str]:
    """A split for every case.

    Parameters
    ----------
    cases : sequence of (case_id, category)
        One per slide; a case with several slides counts with its most frequent category.
    shares : (float, float, float)
        Of cases for training, validation and test, in each category; they add up to 1.
    seed : int

    Returns
    -------
    dict
        Case id to ``train``, ``val`` or ``test``. A category with two cases or more has one in training and,
        where its share is above 0, one in validation; with three or more, one in each.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for case, category in _categories(cases).items():
        groups[category].append(case)
    found: dict[str, str] = {}
    for number, category in enumerate(sorted(groups)):
        order = np.random.default_rng([seed, number]).permutation(sorted(groups[category])).tolist()
        counts = _counts(len(order), shares)
        names = [name for name, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
        found |= dict(zip(order, names, strict=True))
    return found


def check_cases(rows: Sequence[tuple[str, str]]) -> None:
    """No case may be in two splits.

    Parameters
    ----------
    rows : sequence of (case_id, split)

    Raises
    ------
    UsageError
        Where a case is in two, or a split is none of train, val, test.
    """
    seen: dict[str, str] = {}
    for case, split in rows:
        if split not in SPLITS:
            raise UsageError(f"splitting cases: a split is one of {', '.join(SPLITS)}, got {split!r}", subject=case)
        if seen.setdefault(case, split) != split:
            raise UsageError(
                f"splitting cases: one case is in {seen[case]!r} and in {split!r}, it may be in one only, else the "
                "network is tested on patients that it has seen: put all its slides in one",
                subject=case,
            )


def _categories(cases: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    told: dict[str, list[str]] = defaultdict(list)
    for case, category in cases:
        told[case].append(category)
    return {case: max(sorted(set(names)), key=names.count) for case, names in told.items()}


def _counts(n: int, shares: tuple[float, float, float]) -> list[int]:
    """Whole numbers near the shares of `n`, none of them 0 where its share is not and `n` suffices."""
    wanted = [share * n for share in shares]
    counts = [int(value) for value in wanted]
    for index in sorted(range(3), key=lambda i: counts[i] - wanted[i])[: n - sum(counts)]:
        counts[index] += 1
    for index in range(3):
        if shares[index] > 0 and counts[index] == 0 and max(counts) > 1:
            counts[counts.index(max(counts))] -= 1
            counts[index] += 1
    return counts
