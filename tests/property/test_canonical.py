"""Hashes: equal values give equal text and digests, unequal ones do not."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from wsipipe.stage import canonical, digest

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical(value) == canonical(backwards)
    assert digest(value) == digest(backwards)


@given(VALUES)
def test_text_is_json_of_the_value(value: object) -> None:
    assert json.loads(canonical(value)) == value


@given(VALUES)
def test_text_survives_a_round_trip_through_json(value: object) -> None:
    """A worker rebuilds parameters from JSON text: it must arrive at the same hash."""
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(VALUES, VALUES)
def test_unequal_values_have_unequal_digests(a: object, b: object) -> None:
    assert a == b or digest(a) != digest(b)
