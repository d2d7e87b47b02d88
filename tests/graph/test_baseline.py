"""The method that the graph replaces."""

from __future__ import annotations

import numpy as np

from wsipipe.graph.baseline import by_share, fit_thresholds, shares


def test_shares_count_tiles() -> None:
    prob = np.array([[0.7, 0.1, 0.1, 0.1], [0.4, 0.4, 0.1, 0.1], [0, 0, 0, 1], [0, 0.2, 0.8, 0]])
    assert shares(prob).tolist() == [0.5, 0, 0.25, 0.25]
    assert np.isnan(shares(np.zeros((0, 4)))).all()


def test_the_most_severe_class_that_reaches_its_threshold_wins() -> None:
    limits = np.array([0.2, 0.2, 0.1])
    assert by_share(np.array([0.5, 0.25, 0.2, 0.05]), limits) == 2
    assert by_share(np.array([0.5, 0.2, 0.2, 0.1]), limits) == 3
    assert by_share(np.array([0.9, 0.1, 0, 0]), limits) == 0
    assert by_share(np.full(4, np.nan), limits) is None


def test_fitted_thresholds_separate_what_can_be_separated() -> None:
    rng = np.random.default_rng(0)
    category = np.repeat(np.arange(4), 20)
    share = rng.random((80, 4)) * 0.05
    share[np.arange(80), category] += 0.3
    share[:, 0] = 1 - share[:, 1:].sum(axis=1)
    limits = fit_thresholds(share, category)
    assert all(by_share(row, limits) == true for row, true in zip(share, category, strict=True))


def test_a_class_that_never_occurs_is_never_called() -> None:
    share = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    limits = fit_thresholds(share, np.array([0, 1]))
    assert limits.tolist()[1:] == [1, 1]
    assert [by_share(row, limits) for row in share] == [0, 1]
