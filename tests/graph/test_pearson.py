"""The Pearson graph against a naive reference, ties and constant vectors included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.graph.pearson import adjacency, connect, correlation

Floats = NDArray[np.float32]
VALUES = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.5]), st.floats(-100, 100, width=32))
FEATURES = hnp.arrays(np.float32, st.tuples(st.integers(0, 8), st.integers(1, 7)), elements=VALUES)


def naive(a: Floats, b: Floats) -> float:
    """Pearson's r with exact sums; NaN for a constant vector."""
    if len(set(a.tolist())) == 1 or len(set(b.tolist())) == 1:
        return math.nan
    x, y = a.astype(float).tolist(), b.astype(float).tolist()
    mx, my = math.fsum(x) / len(x), math.fsum(y) / len(y)
    sxy = math.fsum((p - mx) * (q - my) for p, q in zip(x, y, strict=True))
    sxx, syy = math.fsum((p - mx) ** 2 for p in x), math.fsum((q - my) ** 2 for q in y)
    return sxy / math.sqrt(sxx) / math.sqrt(syy) if sxx > 0 and syy > 0 else math.nan


@settings(deadline=None)
@given(FEATURES)
def test_correlation_equals_the_naive_one(features: Floats) -> None:
    got = correlation(features)
    expected = np.array([[naive(a, b) for b in features] for a in features]).reshape(got.shape)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    np.testing.assert_array_equal(got, got.T)
    assert np.all((np.abs(got) <= 1) | np.isnan(got))


@settings(deadline=None)
@given(FEATURES, st.floats(-1, 1))
def test_adjacency_equals_the_naive_one(features: Floats, threshold: float) -> None:
    r = correlation(features)
    got = adjacency(r, threshold)
    for i in range(len(features)):
        for j in range(len(features)):
            exact = naive(features[i], features[j])
            if i == j or math.isnan(exact):
                assert got[i, j] == 0
            elif abs(exact - threshold) > 1e-9:
                assert got[i, j] == (exact >= threshold)
            assert got[i, j] == got[j, i]


@settings(deadline=None)
@given(FEATURES, st.data())
def test_equal_vectors_tie_and_connect_at_one_wherever_they_stand(features: Floats, data: st.DataObject) -> None:
    if len(features) == 0:
        return
    row = data.draw(st.integers(0, len(features) - 1))
    place = data.draw(st.integers(0, len(features)))
    doubled = np.insert(features, place, features[row], axis=0)
    twin = row + (row >= place)
    r = correlation(doubled)
    np.testing.assert_array_equal(r[place], r[twin])
    constant = math.isnan(naive(features[row], features[row]))
    assert adjacency(r, 1.0)[place, twin] == (not constant)
    order = data.draw(st.permutations(range(len(doubled))))
    np.testing.assert_array_equal(correlation(doubled[order]), r[np.ix_(order, order)])


def test_correlation_equals_numpys() -> None:
    features = np.random.default_rng(0).standard_normal((20, 64)).astype(np.float32)
    np.testing.assert_allclose(correlation(features), np.corrcoef(features.astype(np.float64)), atol=1e-12)


def test_equality_connects() -> None:
    r = np.array([[1.0, 0.7, 0.6999], [0.7, 1.0, np.nan], [0.6999, np.nan, 1.0]])
    assert adjacency(r, 0.7).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_constant_and_unfinite_vectors_connect_to_nothing_and_are_reported() -> None:
    features = np.array([[1, 2, 3], [5, 5, 5], [2, 4, 6], [np.inf, 0, 1], [0, np.nan, 1], [0.1] * 3], np.float32)
    got = connect(threshold=-1).fn(topk_features=features)
    assert got["topk_constant"].tolist() == [0, 1, 0, 1, 1, 1]
    assert np.argwhere(got["adjacency"]).tolist() == [[0, 2], [2, 0]]
    assert np.isnan(got["correlation"][1]).all()
    assert got["correlation"][0, 2] == 1


def test_no_tiles_give_an_empty_graph() -> None:
    got = connect().fn(topk_features=np.zeros((0, 8), np.float32))
    assert {name: (a.shape, a.dtype.name) for name, a in got.items()} == {
        "correlation": ((0, 0), "float32"), "adjacency": ((0, 0), "uint8"), "topk_constant": ((0,), "uint8")
    }  # fmt: skip


def test_a_threshold_outside_the_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="from -1 to 1"):
        connect(threshold=1.2)
