from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsipipe.train.choice import balanced, choose


def test_severe_classes_choose_first_and_leave_room() -> None:
    classes = [0] * 40 + [2] * 10 + [3] * 6 + [None] * 5
    rows = choose(classes, 16, seed=1)
    assert np.bincount([classes[row] for row in rows]).tolist() == [5, 0, 5, 6]
    few = choose([0] * 40 + [1] * 2, 16, seed=1)
    assert len(few) == 16
    assert {40, 41} <= set(few.tolist())


@given(st.lists(st.sampled_from([0, 1, 2, 3, None]), max_size=40), st.integers(1, 20), st.integers(0, 99))
def test_rows_are_ascending_distinct_known_and_as_many_as_wanted(
    classes: list[int | None], most: int, seed: int
) -> None:
    rows = choose(classes, most, seed=seed)
    assert (np.diff(rows) > 0).all()
    assert all(classes[row] is not None for row in rows)
    assert len(rows) <= most
    np.testing.assert_array_equal(rows, choose(classes, most, seed=seed))
    assert {classes[row] for row in rows} == {kind for kind in classes if kind is not None} or most < 4


def test_balance_shares_an_epoch_between_the_classes() -> None:
    label = np.repeat([0, 1, 3], [800, 100, 100])
    rng = np.random.default_rng(0)
    assert np.bincount(label[balanced(label, 0.0, rng)]).tolist() == [800, 100, 0, 100]
    half = balanced(label, 0.5, rng)
    assert np.bincount(label[half]).tolist() == [586, 207, 0, 207]
    assert np.ptp(np.bincount(half, minlength=1000)[800:900]) == 1
    assert np.bincount(label[balanced(label, 1.0, rng)]).tolist() == [333, 334, 0, 333]
