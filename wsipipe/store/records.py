"""Rows and records of a run: ``slides.parquet`` and ``run.json``, each replaced as a whole.

Enters: one mapping per slide, one for the run. Leaves: files that are either the old or the new ones, never half.
Next room: `wsipipe.query` reads them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsipipe.errors import StoreError
from wsipipe.store.place import place, replace_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CATEGORIES = ("negative", "low_grade", "high_grade", "invasive")
"""Gastric categories in the order of every four-element array."""
PROBABILITY_COLUMNS = tuple(f"p_{category}" for category in CATEGORIES)
STATUSES = ("done", "partial", "failed", "skipped")
"""``partial``: published without some units, which the same command does again."""
WITH_RESULTS = ("done", "partial")

SLIDE_COLUMNS: dict[str, str] = {
    "id": "string",
    "path": "string",
    "case_id": "string",
    "fingerprint": "string",
    "status": "string",
    "error": "string",
    "reason": "string",
    "mpp": "float64",
    "tiles": "int64",
    "category": "string",
    **dict.fromkeys(PROBABILITY_COLUMNS, "float64"),
    "seconds": "float64",
}
"""Columns of ``slides.parquet`` and their Arrow types; any value may be null."""


def write_slides(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``slides.parquet``: one row per slide, ordered by id, then path.

    Parameters
    ----------
    path : path
        The file; its folder exists.
    rows : iterable of mappings
        Keys are those of `SLIDE_COLUMNS`; a missing one, None and NaN are null. ``status`` is required.

    Raises
    ------
    ValueError
        For an unknown column or status: a programming error.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    checked = sorted((_checked(row) for row in rows), key=lambda row: (row["id"] or "", row["path"] or ""))
    table = pa.Table.from_pylist(checked, schema=_schema())
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    replace_file(path, sink.getvalue().to_pybytes())


def read_slides(path: str | Path) -> pd.DataFrame:
    """The rows of ``slides.parquet``, with the columns of `SLIDE_COLUMNS`; null strings are None, null numbers NaN.

    ``tiles`` is a nullable integer, so that a failed slide has none rather than 0.

    Raises
    ------
    StoreError
        Where the file is missing, damaged, or has other columns.
    """
    frame: pd.DataFrame = _table(path).to_pandas()
    frame["tiles"] = frame["tiles"].astype("Int64")
    return frame


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a record such as ``run.json``: indented JSON of `plain` values, keys in the given order."""
    replace_file(path, (json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: str | Path) -> dict[str, Any]:
    """A record. Raises StoreError where the file is missing or is not one."""
    try:
        value = json.loads(place(path).read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise StoreError("reading a record: no such file; give the --out of a run", subject=str(path)) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(
            f"reading a record: not JSON ({error}); run the same command again", subject=str(path)
        ) from error
    if not isinstance(value, dict):
        raise StoreError("reading a record: it is no JSON object; run the same command again", subject=str(path))
    return value


def plain(value: Any) -> Any:
    """JSON values of nested mappings, sequences, NumPy values and paths; NaN, NA and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, os.PathLike):
        return str(value) if isinstance(value, Path) else os.fspath(value)
    import pandas as pd

    if value is pd.NA:
        return None
    raise TypeError(f"a record holds JSON values, got {type(value).__name__}")


def _checked(row: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(set(row) - set(SLIDE_COLUMNS)):
        raise ValueError(f"a slide's row has no columns {unknown}; there are {sorted(SLIDE_COLUMNS)}")
    if row.get("status") not in STATUSES:
        raise ValueError(f"a slide's status is one of {STATUSES}, got {row.get('status')!r}")
    return {name: plain(row.get(name)) for name in SLIDE_COLUMNS}


def _table(path: str | Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(place(path).read_bytes())).read()
    except FileNotFoundError as error:
        raise StoreError(
            "reading the slides' rows: no such file; give the --out of a run", subject=str(path)
        ) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"reading the slides' rows: {error}; run the same command again", subject=str(path)) from error
    if missing := [name for name in SLIDE_COLUMNS if name not in table.column_names]:
        raise StoreError(
            f"reading the slides' rows: columns {missing} are missing; not written by wsipipe", subject=str(path)
        )
    return table.select(list(SLIDE_COLUMNS))


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, getattr(pa, kind)()) for name, kind in SLIDE_COLUMNS.items()])
