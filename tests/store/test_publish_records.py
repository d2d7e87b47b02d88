"""Rows and records: whole or not at all, one schema, one order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsipipe.errors import StoreError
from wsipipe.store import records

DONE = {
    "id": "b-1",
    "path": "x/b.svs",
    "status": "done",
    "mpp": 0.5,
    "tiles": 12,
    "category": "invasive",
    "p_negative": np.float32(0.25),
    "p_invasive": float("nan"),
    "seconds": 1.5,
}
FAILED = {"id": "a-2", "path": "x/a.svs", "status": "failed", "error": "MppError", "reason": "no mpp"}


def test_rows_come_back_in_order_of_id(tmp_path: Path) -> None:
    path = tmp_path / "slides.parquet"
    records.write_slides(path, [DONE, FAILED])
    table = records.read_slides(path)
    first, second = records.plain(table.to_dict("records"))
    assert (first["id"], first["tiles"], first["error"], first["p_negative"]) == ("a-2", None, "MppError", None)
    assert (second["id"], second["tiles"], second["p_negative"], second["p_invasive"]) == ("b-1", 12, 0.25, None)
    assert list(first) == list(records.SLIDE_COLUMNS)
    assert table["tiles"].tolist() == [pd.NA, 12]
    assert np.isnan(table["p_negative"][0])


def test_no_rows_keep_the_schema(tmp_path: Path) -> None:
    records.write_slides(tmp_path / "slides.parquet", [])
    schema = pq.read_schema(tmp_path / "slides.parquet")
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        name: kind.replace("float64", "double") for name, kind in records.SLIDE_COLUMNS.items()
    }


def test_equal_rows_give_equal_bytes_in_any_order(tmp_path: Path) -> None:
    records.write_slides(tmp_path / "1", [DONE, FAILED])
    records.write_slides(tmp_path / "2", [FAILED, DONE])
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_wrong_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no columns \\['catgory'\\]"):
        records.write_slides(tmp_path / "s", [FAILED | {"catgory": "x"}])
    with pytest.raises(ValueError, match="status is one of"):
        records.write_slides(tmp_path / "s", [{"id": "x"}])
    assert not list(tmp_path.iterdir())


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slides.parquet"
    records.write_slides(path, [FAILED])
    before = path.read_bytes()

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        records.write_slides(path, [DONE])
    assert path.read_bytes() == before
    assert [other.suffix for other in tmp_path.iterdir() if other != path] == [".partial"]


@pytest.mark.parametrize("data", [b"", b"no parquet", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_damaged_rows(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "slides.parquet").write_bytes(data)
    with pytest.raises(StoreError, match="run the same command again"):
        records.read_slides(tmp_path / "slides.parquet")


def test_rows_of_something_else(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(StoreError, match="not written by wsipipe"):
        records.read_slides(tmp_path / "other.parquet")
    with pytest.raises(StoreError, match="no such file"):
        records.read_slides(tmp_path / "none.parquet")


Values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=st.dictionaries(st.text(), Values))
def test_json_values_come_back(tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]) -> None:
    path = tmp_path_factory.getbasetemp() / "record.json"
    records.write_json(path, value)
    assert records.read_json(path) == value


def test_plain_values() -> None:
    given_values = {"a": np.arange(2), "b": np.float32(0.5), "c": float("inf"), "d": Path("x/y"), "e": {2, 1}, 3: (1,)}
    want = {"a": [0, 1], "b": 0.5, "c": None, "d": "x/y", "e": [1, 2], "3": [1]}
    assert records.plain(given_values) == want
    with pytest.raises(TypeError, match="a record holds JSON values, got bytes"):
        records.plain(b"x")


@pytest.mark.parametrize(("text", "want"), [("{", "not JSON"), ("[1]", "no JSON object")])
def test_damaged_records(tmp_path: Path, text: str, want: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StoreError, match=want):
        records.read_json(tmp_path / "run.json")
    with pytest.raises(StoreError, match="no such file"):
        records.read_json(tmp_path / "none.json")
