"""`wsipipe query` and `Results.query`: what they answer, what they refuse, and how the catalogue keeps up."""

from __future__ import annotations

import io
import resource
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks.hostile_sql import attack
from tests.pipelines.running import wsipipe
from wsipipe.errors import UsageError
from wsipipe.query import catalogue, open_results
from wsipipe.query.catalogue import bucket_writer
from wsipipe.query.columns import VIEWS, stored_schema
from wsipipe.query.compose import tiles_sql
from wsipipe.query.engine import Engine, show
from wsipipe.query.limits import bounded_memory
from wsipipe.query.reading import ReadOnlyFiles


def test_every_view_has_the_columns_that_are_described(asked: Path) -> None:
    results = open_results(asked)
    for view, columns in VIEWS.items():
        assert results.query(f"SELECT * FROM {view}", as_="arrow").column_names == list(columns)
        assert all(column.meaning for column in columns.values())


def test_the_schema_is_told(asked: Path) -> None:
    told = pd.read_csv(io.StringIO(wsipipe("query", asked, "--schema", "--format", "csv").out))
    assert len(told) == sum(map(len, VIEWS.values()))
    assert told.loc[told["column"] == "area_um2", "unit"].tolist() == ["um2"]


def test_tiles_edges_regions_and_runs_are_those_of_the_store(asked: Path) -> None:
    results = open_results(asked)
    slide = results.slide(results.done[0])
    tiles = results.query("SELECT * FROM tiles ORDER BY tile_id")
    assert len(tiles) > 0
    for name in slide.tiles.columns:
        asked_for = "tissue" if name == "tissue_share" else name
        np.testing.assert_array_equal(tiles[asked_for], slide.tiles[name], err_msg=name)
    assert len(results.query("SELECT * FROM edges")) == len(slide.graph)
    regions = results.query("SELECT * FROM regions ORDER BY region_id")
    assert regions["polygon"].tolist() == slide.regions.geometry.to_wkt().tolist()
    assert regions["max_probability"].tolist() == slide.regions["max"].tolist()
    assert results.query("SELECT status, key FROM runs").values.tolist() == [["ended", results.run["key"]]]


def test_short_forms(asked: Path) -> None:
    answer = wsipipe("query", asked, "--top", 2, "--where", "tissue > 0.7 -- all", "--format", "json")
    rows = pd.read_json(io.StringIO(answer.out))
    best = open_results(asked).tiles.query("tissue_share > 0.7").nlargest(2, "positive_sum")
    assert rows["tile_id"].tolist() == best["tile_id"].tolist()
    slide_id = open_results(asked).done[0]
    count = len(pd.read_csv(io.StringIO(wsipipe("query", asked, "--slide", slide_id, "--format", "csv").out)))
    assert count == len(open_results(asked).tiles)
    assert tiles_sql(slide="a'b") == "SELECT * FROM tiles WHERE slide_id = 'a''b'"


def test_formats_and_several_results(asked: Path, tmp_path: Path) -> None:
    other = shutil.copytree(asked, tmp_path / "other")
    sql, out = "SELECT results, count(*) AS n FROM tiles GROUP BY results ORDER BY n", tmp_path / "answer.parquet"
    assert wsipipe("query", asked, other, sql, "--format", "parquet", "--out", out).code == 0
    rows = pq.read_table(out).to_pylist()
    assert {row["results"] for row in rows} == {str(asked), str(other)}
    assert rows[0]["n"] == rows[1]["n"]
    assert wsipipe("query", asked, "SELECT 1 AS one", "--format", "csv").out == "one\n1\n"
    assert "one" in wsipipe("query", asked, "SELECT 1 AS one").out
    assert wsipipe("query", asked, "SELECT tile_id FROM tiles", "--limit", 1, "--format", "csv").out.count("\n") == 2


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        ("SELECT positive_sun FROM tiles", "nearest columns: positive_sum"),
        ("SELECT * FROM tile", "nearest views: tiles"),
        ("SELECT * FRM tiles", r"syntax error.*\(line 1, column"),
        ("SELECT 1; SELECT 2", "exactly one SELECT or EXPLAIN statement; got SELECT, SELECT"),
        ("DROP VIEW tiles", "exactly one SELECT or EXPLAIN statement; got DROP"),
        ("WITH a AS (COPY tiles TO 'x') SELECT * FROM a", "exactly one SELECT"),
        ("EXPLAIN ANALYZE COPY tiles TO 'x'", "got COPY"),
        ("SELECT * FROM query('SELECT 1')", r"query\(\) runs text as SQL"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled by configuration"),
        ("SELECT * FROM rea_text('/etc/passwd')", "rea_text"),
    ],
)
def test_wrong_and_refused_statements(asked: Path, sql: str, want: str) -> None:
    with pytest.raises(UsageError, match=want):
        open_results(asked).query(sql)


def test_time_is_limited(asked: Path) -> None:
    with pytest.raises(UsageError, match=r"stopped after 0.2 s"):
        open_results(asked).query("SELECT sleep_ms(20000)", timeout_s=0.2)
    with pytest.raises(UsageError, match="stopped after 0 s"):  # an interrupt before it begins is repeated
        open_results(asked).query("SELECT sleep_ms(20000)", timeout_s=0.0)


def test_wrong_arguments(asked: Path, tmp_path: Path) -> None:
    assert "give RESULTS, then one SELECT" in wsipipe("query", asked).err
    assert "no such directory" in wsipipe("query", tmp_path / "none", "SELECT 1").err
    assert "not both" in wsipipe("query", asked, "SELECT 1", "--top", 3).err
    assert "nearest columns: focus" in wsipipe("query", asked, "--top", 3, "--by", "focu").err
    assert "give --out" in wsipipe("query", asked, "SELECT 1", "--format", "parquet").err


def test_the_catalogue_is_rebuilt_only_where_it_must_be(asked: Path) -> None:
    folder = asked / catalogue.FOLDER
    answer = wsipipe("catalogue", asked)
    assert (answer.code, answer.out) == (0, f"{folder}: 1 slide\n")
    assert catalogue.update(asked, folder) == []
    path = catalogue.files(folder, "tiles")[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    assert catalogue.update(asked, folder) == [path.stem]
    assert path.read_bytes() == whole
    (folder / "tiles" / "zz.parquet").write_bytes(whole)
    catalogue.update(asked, folder)
    assert catalogue.files(folder, "tiles") == [path]


def test_read_only_results_get_a_private_catalogue(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(finished, tmp_path / "r", ignore=shutil.ignore_patterns(catalogue.FOLDER))
    write = catalogue.update

    def refuse(results: Path, folder: Path) -> list[str]:
        if folder.is_relative_to(copy):
            raise PermissionError
        return write(results, folder)

    monkeypatch.setattr(catalogue, "update", refuse)
    assert len(open_results(copy).query("SELECT * FROM tiles")) == len(open_results(copy).tiles)
    assert not (copy / catalogue.FOLDER).exists()


def test_anndata_heatmap_and_tile_image(asked: Path, made: Path) -> None:
    results = open_results(asked)
    slide = results.slide(results.done[0])
    table = results.anndata(slide.id)
    np.testing.assert_array_equal(table.X, np.asarray(slide.features))
    assert "spatial_connectivities" in table.obsp
    heat = results.heatmap(slide.id, longest_px=256)
    assert max(heat.values.shape) <= 256
    assert heat.pixels.shape == (*heat.values.shape, 3)
    assert heat._repr_png_()[:4] == b"\x89PNG"
    tile = slide.tiles.iloc[0]
    pixels = results.tile_image(slide.id, int(tile["tile_id"]))
    assert pixels.shape == (tile["height"], tile["width"], 3)
    slide.row["path"] = ""
    from wsipipe.query.tile import tile_image

    with pytest.raises(UsageError, match="de-identified; give slide_path="):
        tile_image(slide, int(tile["tile_id"]))
    np.testing.assert_array_equal(tile_image(slide, int(tile["tile_id"]), slide_path=made), pixels)
    with pytest.raises(UsageError, match="it was not kept"):
        results.tile_image(slide.id, 10**6)


def test_hostile_statements(tmp_path: Path) -> None:
    with bounded_memory(2 << 30):
        told = attack(tmp_path, 500, seed=1, timeout_s=0.3)
    assert sum(told.values()) == 500
    assert told["answered"] > 5


def test_the_file_system_refuses_to_write_by_itself(tmp_path: Path) -> None:
    """The second wall without the first: what DuckDB is given opens for reading only."""
    path = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS a) TO '{path}'")
    before, disk = path.read_bytes(), ReadOnlyFiles()
    name = disk.add(path)
    with duckdb.connect() as connection:
        connection.register_filesystem(disk)
        assert connection.execute(f"SELECT a FROM read_parquet('{name}')").fetchall() == [(1,)]
        with pytest.raises((duckdb.Error, PermissionError, RuntimeError, NotImplementedError)):
            connection.execute(f"COPY (SELECT 2 AS a) TO '{name}' (FORMAT parquet, USE_TMP_FILE false)")
    for mode in ("wb", "ab", "r+b", "w"):
        with pytest.raises(PermissionError):
            disk.open(name, mode)
    assert path.read_bytes() == before


def test_deep_brackets_are_refused_before_they_are_parsed(asked: Path) -> None:
    with pytest.raises(UsageError, match="nested brackets"):
        open_results(asked).query("SELECT " + "(" * 3000 + "1")


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        ("SELECT a" + ".a" * 3000 + " FROM tiles", "a name may have 8 parts"),
        ("SELECT 1" + " UNION ALL SELECT 1" * 1000, "it may hold 500 queries, got 1002"),
        ("SELECT count(*) FROM slides" + ", slides" * 5000, "too deep in one another"),
        ("SELECT 1" + "+1" * 20_000, "Max expression depth"),
    ],
    ids=["name", "queries", "joins", "sum"],
)
def test_what_no_time_limit_reaches_is_limited_by_size(asked: Path, sql: str, want: str) -> None:
    with pytest.raises(UsageError, match=want):
        open_results(asked).query(sql, timeout_s=1.0)


def test_the_command_bounds_the_memory_of_one_value(asked: Path) -> None:
    """DuckDB's own limit does not count it."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    answer = wsipipe("query", asked, "SELECT length(repeat('x', 4000000000))")
    assert (answer.code, "Out of Memory" in answer.err) == (2, True), answer
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_many_threads_read_one_catalogue(tmp_path: Path) -> None:
    """DuckDB's threads share a file handle; each has a place of its own in it."""
    rows, path = 400_000, tmp_path / "catalogue" / "tiles" / "00.parquet"
    schema = stored_schema("tiles")
    with bucket_writer(path, "tiles", {"s": "key"}) as writer:
        for start in range(0, rows, 4_000):
            values = np.arange(start, start + 4_000)
            kinds = {pa.string(): np.repeat("s", 4_000), pa.bool_(): values % 2 == 0}
            columns = [pa.array(kinds.get(field.type, values)).cast(field.type) for field in schema]
            writer.add(pa.Table.from_arrays(columns, schema=schema))
    with duckdb.connect(":memory:") as connection, duckdb.connect(":memory:") as parser:
        show(connection, {"R": tmp_path / "catalogue"})
        engine = Engine(connection, parser)
        for _ in range(5):
            told = engine.arrow("SELECT count(*) AS n, sum(tile_id) AS ids, sum(x) AS xs FROM tiles").to_pylist()
            assert told == [{"n": rows, "ids": rows * (rows - 1) // 2, "xs": rows * (rows - 1) // 2}]
