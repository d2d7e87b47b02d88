"""Top-k against a plain sort, with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsipipe.errors import ConfigError
from wsipipe.graph.topk import select, topk

SLIDES = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 2.5, 7.0])), unique_by=lambda t: t[0])


@settings(deadline=None)
@given(SLIDES, st.integers(1, 12))
def test_topk_equals_a_plain_sort(tiles: list[tuple[int, float]], k: int) -> None:
    ids, sums = np.array([t[0] for t in tiles], np.int64), np.array([t[1] for t in tiles], np.float32)
    expected = [tile for tile, _ in sorted(tiles, key=lambda t: (-t[1], t[0]))[:k]]
    assert ids[topk(ids, sums, k)].tolist() == expected
    rising = sorted(expected, key=lambda tile: (dict(tiles)[tile], tile))
    assert ids[topk(ids, sums, k, order="ascending")].tolist() == rising
    mixed = ids[topk(ids, sums, k, order="random", seed=3)].tolist()
    assert sorted(mixed) == sorted(expected)


def test_random_order_depends_on_the_seed_only() -> None:
    ids, sums = np.arange(50), np.arange(50, dtype=np.float32)
    first, again, other = (topk(ids, sums, 20, order="random", seed=s).tolist() for s in (1, 1, 2))
    assert first == again != other
    flipped = ids[::-1][topk(ids[::-1], sums[::-1], 20, order="random", seed=1)].tolist()
    assert flipped == first


def test_nan_is_lowest() -> None:
    assert topk(np.arange(3), np.array([np.nan, 0.0, 1.0]), 3).tolist() == [2, 1, 0]


def test_stage_gives_the_rows_of_the_tiles() -> None:
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    got = select(k=2).fn(
        tile_id=np.array([3, 8, 9, 40]), positive_sum=np.array([1, 5, 5, 2], np.float32), features=features
    )
    assert got["topk_id"].tolist() == [8, 9]
    assert got["topk_sum"].tolist() == [5, 5]
    np.testing.assert_array_equal(got["topk_features"], features[[1, 2]])
    none = select(k=2).fn(
        tile_id=np.zeros(0, np.int64), positive_sum=np.zeros(0, np.float32), features=np.zeros((0, 3), np.float32)
    )
    assert {name: array.shape for name, array in none.items()} == {
        "topk_id": (0,), "topk_sum": (0,), "topk_features": (0, 3)
    }  # fmt: skip


def test_wrong_settings_are_refused_when_built() -> None:
    for wrong in ({"k": 0}, {"order": "sideways"}):
        with pytest.raises(ConfigError, match="an order of descending, ascending, random are needed"):
            select(**wrong)  # type: ignore[arg-type]  # wrong on purpose
