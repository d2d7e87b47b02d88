"""Tables of all slides together, as Parquet or CSV.

Enters: a `Job`. Leaves: ``slides``, ``tiles``, ``edges`` and ``regions``, one file each, and as Parquet the
``features`` too. Next room: spreadsheets, pandas, R, DuckDB, GeoPandas.

Files are written slide by slide, so one slide's rows are in memory at a time.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from wsipipe.errors import UsageError
from wsipipe.export.job import Job
from wsipipe.export.place import placed
from wsipipe.query import SlideResult

if TYPE_CHECKING:
    import pandas as pd

Rows = Callable[[Job, SlideResult], "pa.Table | None"]
FEATURES_AT_ONCE = 8192


def parquet_names(job: Job) -> list[Path]:
    """The files that `parquet` writes."""
    return [job.out / f"{name}.parquet" for name in ("slides", *TABLES, "features")]


def csv_names(job: Job) -> list[Path]:
    """The files that `csv` writes."""
    return [job.out / f"{name}.csv{'.gz' if job.options.gzip else ''}" for name in ("slides", *TABLES)]


def parquet(job: Job) -> Iterator[Path]:
    """Parquet of every table; ``regions`` is GeoParquet in level-0 pixels, ``features`` one list a tile."""
    paths = parquet_names(job)
    with ExitStack() as stack:
        sinks = [stack.enter_context(_parquet(path)) for path in paths]
        sinks[0](pa.Table.from_pandas(_slides(job), preserve_index=False))
        for slide in job:
            for sink, rows in zip(sinks[1:], TABLES.values(), strict=False):
                sink(rows(job, slide))
            for part in _features(job, slide):
                sinks[-1](part)
    yield from paths


def csv(job: Job) -> Iterator[Path]:
    """CSV of every table; polygons are WKT in level-0 pixels."""
    paths = csv_names(job)
    with ExitStack() as stack:
        sinks = [stack.enter_context(_csv(path, compressed=job.options.gzip)) for path in paths]
        sinks[0](pa.Table.from_pandas(_slides(job), preserve_index=False))
        for slide in job:
            for sink, rows in zip(sinks[1:], TABLES.values(), strict=True):
                sink(_as_text(rows(job, slide)))
    yield from paths


def _slides(job: Job) -> pd.DataFrame:
    table = job.results.slides
    return table[table["id"].isin(job.ids)].reset_index(drop=True)


def _tiles(job: Job, slide: SlideResult) -> pa.Table | None:
    table = job.tiles(slide)
    return None if table.empty else _named(slide.id, pa.Table.from_pandas(table, preserve_index=False))


def _edges(_: Job, slide: SlideResult) -> pa.Table:
    kinds = {"source": np.int64, "target": np.int64, "correlation": np.float32}
    return _named(slide.id, pa.Table.from_pandas(slide.graph.astype(kinds), preserve_index=False))


def _regions(_: Job, slide: SlideResult) -> pa.Table | None:
    import shapely

    found = slide.regions
    if found.empty:
        return None
    rows = pa.Table.from_pandas(found.drop(columns="geometry"), preserve_index=False)
    return _named(slide.id, rows.append_column("geometry", pa.array(shapely.to_wkb(found.geometry.to_numpy()))))


TABLES: dict[str, Rows] = {"tiles": _tiles, "edges": _edges, "regions": _regions}


def _features(job: Job, slide: SlideResult) -> Iterator[pa.Table]:
    """Feature vectors of the tiles that were asked for, some thousand at a time."""
    tiles = job.tiles(slide)
    at, ids = np.asarray(tiles.index, np.int64), tiles["tile_id"].to_numpy() if len(tiles) else np.zeros(0, np.int64)
    for start in range(0, len(at), FEATURES_AT_ONCE):
        rows = at[start : start + FEATURES_AT_ONCE]
        values = np.asarray(slide.features[int(rows[0]) : int(rows[-1]) + 1], np.float32)[rows - rows[0]]
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        part = pa.table({"tile_id": ids[start : start + FEATURES_AT_ONCE], "features": vectors})
        yield _named(slide.id, part)


def _named(slide_id: str, table: pa.Table) -> pa.Table:
    """The table with ``slide_id`` before its columns; pandas' own description of it is dropped."""
    return table.add_column(0, "slide_id", pa.array([slide_id] * len(table), pa.string())).replace_schema_metadata()


def _as_text(table: pa.Table | None) -> pa.Table | None:
    """Geometry as WKT."""
    if table is None or "geometry" not in table.column_names:
        return table
    import shapely

    polygons = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    wkt = pa.array(shapely.to_wkt(polygons, rounding_precision=-1).tolist(), pa.string())
    return table.set_column(table.column_names.index("geometry"), "geometry", wkt)


class _Growing:
    """A file whose columns are those of the first rows; rows without a value for one are null there."""

    def __init__(self, start: Callable[[pa.Schema], Any]) -> None:
        self._start, self._schema = start, pa.schema([])
        self._writer: Any = None

    def __call__(self, table: pa.Table | None) -> None:
        if table is None:
            return
        if self._writer is None:
            self._schema = _geo(table.schema)
            self._writer = self._start(self._schema)
        self._writer.write_table(_fitted(table, self._schema))

    def end(self) -> None:
        """Finish the file; one without any rows has the column ``slide_id`` and no line."""
        if self._writer is None:
            self(pa.table({"slide_id": pa.array([], pa.string())}))
        self._writer.close()


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of `schema`. Raises UsageError where it has others, or other types."""
    have = {name: table[name] for name in table.column_names}
    try:
        columns = [have.pop(f.name).cast(f.type) if f.name in have else pa.nulls(len(table), f.type) for f in schema]
    except pa.ArrowInvalid as error:
        raise _unlike(str(error)) from error
    if have:
        raise _unlike(f"only some have {', '.join(have)}")
    return pa.Table.from_arrays(columns, schema=schema)


def _unlike(why: str) -> UsageError:
    return UsageError(f"exporting tables: the slides' columns differ ({why}): export them apart with --slide")


def _geo(schema: pa.Schema) -> pa.Schema:
    """The schema with GeoParquet's description of its polygons: WKB in level-0 pixels, no reference system."""
    if "geometry" not in schema.names:
        return schema
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [], "crs": None}
    told = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return schema.with_metadata({"geo": json.dumps(told)})


@contextmanager
def _parquet(path: Path) -> Iterator[_Growing]:
    with placed(path) as partial:
        sink = _Growing(lambda schema: pq.ParquetWriter(partial, schema, compression="zstd"))
        yield sink
        sink.end()


@contextmanager
def _csv(path: Path, *, compressed: bool) -> Iterator[_Growing]:
    with placed(path) as partial, partial.open("wb") as raw, ExitStack() as stack:
        file: Any = stack.enter_context(gzip.GzipFile("", "wb", 1, raw, mtime=0)) if compressed else raw
        sink = _Growing(lambda schema: pa_csv.CSVWriter(file, schema))
        yield sink
        sink.end()
