"""Tables out are the tables in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from tests.export import made
from wsipipe.errors import UsageError
from wsipipe.export import export
from wsipipe.export.table import _fitted
from wsipipe.query import Results

Written = Callable[..., list[Path]]


def by_name(paths: list[Path]) -> dict[str, Path]:
    return {path.name.partition(".")[0]: path for path in paths}


def test_parquet(written: Written, results: Results) -> None:
    found = by_name(written("parquet"))
    tiles = pd.read_parquet(found["tiles"])
    pd.testing.assert_frame_equal(tiles, results.tiles, check_dtype=True)
    assert tiles["slide_id"].unique().tolist() == ["alpha-111", "other-333"]
    regions = gpd.read_parquet(found["regions"])
    assert regions.geometry[:2].geom_equals_exact(made.REGIONS.geometry, 0).all()
    assert regions["max"].tolist() == [0.9, 0.5] * 2
    edges = pd.read_parquet(found["edges"])
    assert edges[["source", "target"]].to_numpy().tolist() == [[0, 9]] * 2
    assert pd.read_parquet(found["slides"])["id"].tolist() == ["alpha-111", "empty-222", "other-333"]


def test_features_are_those_of_the_tiles(written: Written, results: Results) -> None:
    for asked, rows in (("all", [0, 1, 2, 3, 4]), ("topk", [0, 3])):
        table = pd.read_parquet(by_name(written("parquet", "alpha", tiles=asked))["features"])
        slide = results.slide("alpha")
        assert table["tile_id"].tolist() == slide.tiles["tile_id"].iloc[rows].tolist()
        np.testing.assert_array_equal(np.stack(table["features"]), np.asarray(slide.features)[rows])


def test_csv(written: Written, results: Results) -> None:
    found = by_name(written("csv", gzip=True))
    tiles = pd.read_csv(found["tiles"], dtype={"slide_id": str})
    pd.testing.assert_frame_equal(tiles, results.tiles, check_dtype=False, rtol=1e-6)
    regions = pd.read_csv(found["regions"])
    assert shapely.from_wkt(regions["geometry"][0]).equals_exact(made.RING, 0)
    assert found["tiles"].suffix == ".gz"


def test_no_rows_at_all_is_a_table_of_none(written: Written) -> None:
    found = by_name(written("parquet", "empty"))
    assert len(pd.read_parquet(found["tiles"])) == len(pd.read_parquet(found["regions"])) == 0
    assert by_name(written("csv", "empty"))["tiles"].read_text() == '"slide_id"\n'


def test_columns_are_not_dropped_in_silence() -> None:
    import pyarrow as pa

    schema = pa.schema([("a", pa.int64()), ("b", pa.float32())])
    assert _fitted(pa.table({"a": [1]}), schema).to_pylist() == [{"a": 1, "b": None}]
    with pytest.raises(UsageError, match=r"only some have c.*--slide"):
        _fitted(pa.table({"a": [1], "c": [2]}), schema)


def test_of_the_pipeline(real: Results, tmp_path: Path) -> None:
    found = by_name(export(real, "parquet", tmp_path))
    pd.testing.assert_frame_equal(pd.read_parquet(found["tiles"]), real.tiles)
    vectors = np.stack(pd.read_parquet(found["features"])["features"])
    np.testing.assert_array_equal(vectors, np.asarray(next(iter(real)).features))
