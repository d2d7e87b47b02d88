"""Columns as text: the numbers read back, the UUIDs are those of the standard library."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest

from wsipipe.export import text


def test_uuids_are_version_5_of_their_names() -> None:
    numbers = np.array([0, 1, 10, 123_456_789_012])
    found = text.uuids("slide/tiles/", numbers).to_pylist()
    assert found == [str(uuid.uuid5(text.NAMESPACE, f"slide/tiles/{n}")) for n in numbers]
    assert str(text.named_uuid("slide/tiles/10")) == found[2]


def test_numbers_read_back_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.standard_normal(500) * 10.0 ** rng.integers(-30, 30, 500), [0.0, 1.0, 1e-9]])
    for kind in (np.float32, np.float64):
        column = values.astype(kind)
        back = np.array([json.loads(item) for item in text.strings(column).to_pylist()], kind)
        np.testing.assert_array_equal(back, column)
    assert text.strings(np.array([True, False])).to_pylist() == ["1", "0"]


def test_what_json_cannot_say_is_left_out() -> None:
    columns = [("id", np.array([1, 2, 3])), ("a", np.array([np.nan, 0.5, np.inf])), ("b", np.array([1.5, 2.5, 3.5]))]
    rows = text.joined(["{", *text.members(columns), "}"]).to_pylist()
    assert [json.loads(row) for row in rows] == [
        {"id": 1, "b": 1.5},
        {"id": 2, "a": 0.5, "b": 2.5},
        {"id": 3, "b": 3.5},
    ]


def test_rings_are_closed() -> None:
    x, y, side = np.array([0, 512]), np.array([7, -3]), np.array([512, 513])
    rings = [json.loads(row) for row in text.joined(text.box_ring(x, y, side, side)).to_pylist()]
    assert rings[1] == [[[512, -3], [1025, -3], [1025, 510], [512, 510], [512, -3]]]
    assert all(ring[0][0] == ring[0][-1] for ring in rings)


@pytest.mark.parametrize("part", [slice(0, 3), slice(1, 2), slice(2, 2)])
def test_content_is_the_rows_of_a_slice(part: slice) -> None:
    rows = text.joined(["<", text.strings(np.array([10, 200, 3])), ">"])
    assert bytes(text.content(rows[part])) == "".join(rows.to_pylist()[part]).encode()
