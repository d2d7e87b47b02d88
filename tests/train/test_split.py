from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsipipe.errors import UsageError
from wsipipe.models.card import CATEGORIES
from wsipipe.train.split import check_cases, split_cases

SHARES = (0.7, 0.15, 0.15)


def test_shares_hold_in_every_category() -> None:
    cases = [(f"{name}-{number}", name) for name in CATEGORIES for number in range(20)]
    split = split_cases(cases, SHARES, seed=3)
    for name in CATEGORIES:
        assert Counter(split[case] for case, kind in cases if kind == name) == {"train": 14, "val": 3, "test": 3}


@given(st.integers(0, 40), st.integers(0, 9))
def test_every_case_has_one_split_and_slides_of_a_case_share_it(n: int, seed: int) -> None:
    cases = [(f"case-{number // 2}", CATEGORIES[number // 2 % 4]) for number in range(n)]
    split = split_cases(cases, SHARES, seed=seed)
    assert split.keys() == {case for case, _ in cases}
    assert split == split_cases(cases[::-1], SHARES, seed=seed)


@pytest.mark.parametrize(
    ("n", "wanted"), [(1, "train"), (2, "train val"), (3, "train val test"), (4, "train val test")]
)
def test_few_cases_reach_validation_first(n: int, wanted: str) -> None:
    split = split_cases([(str(number), "negative") for number in range(n)], SHARES, seed=0)
    assert set(split.values()) == set(wanted.split())


def test_one_case_in_two_splits_is_refused() -> None:
    with pytest.raises(UsageError, match=r"case-7: splitting cases: one case is in 'train' and in 'test'"):
        check_cases([("case-7", "train"), ("case-8", "val"), ("case-7", "test")])


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UsageError, match="one of train, val, test, got 'holdout'"):
        check_cases([("a", "holdout")])
