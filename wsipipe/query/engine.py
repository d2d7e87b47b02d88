"""SQL over results, which can read the catalogue and nothing else, and write nothing.

Enters: results directories, one SELECT or EXPLAIN. Leaves: an Arrow table. Next room: `wsipipe.cli`.

Two walls, each of which holds alone against writing. `wsipipe.query.statement` refuses what does not only select. And
the catalogue is given to DuckDB through a file system (`wsipipe.query.reading`) that opens only the catalogue's files
and only for reading, while all other access is off and the configuration locked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from wsipipe.errors import UsageError
from wsipipe.query import catalogue
from wsipipe.query.columns import PER_SLIDE, VIEWS
from wsipipe.query.reading import ReadOnlyFiles
from wsipipe.query.statement import check
from wsipipe.query.wrong import told
from wsipipe.store.layout import RUN_FILE, SLIDES_FILE
from wsipipe.store.records import read_json, read_slides

if TYPE_CHECKING:
    import pyarrow as pa

TIMEOUT_S, MEMORY, THREADS = 60.0, "2GB", 2
AGAIN_S = 0.25
"""How long after an interrupt the next follows: DuckDB forgets one that comes before a statement's execution."""


class Engine:
    """A locked, in-memory DuckDB with the five views. `opened` makes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, parser: duckdb.DuckDBPyConnection) -> None:
        self._connection, self._parser = connection, parser

    def arrow(self, sql: str, *, timeout_s: float = TIMEOUT_S) -> pa.Table:
        """What a statement gives.

        Raises
        ------
        UsageError
            Where it is not exactly one SELECT or EXPLAIN, is wrong, or exceeds its time or memory.
        """
        check(self._parser, sql)
        try:
            with _stopped(self._connection, timeout_s):
                return self._connection.sql(sql).to_arrow_table()
        except duckdb.InterruptException as error:
            text = f"stopped after {timeout_s:g} s; ask for less, or give --timeout"
            raise UsageError(f"running SQL: {text}", subject="query") from error
        except (duckdb.Error, UnicodeError, OverflowError, ValueError, RuntimeError, MemoryError) as error:
            raise told(error, sql) from error


@contextmanager
def opened(results: Sequence[Path], *, memory: str = MEMORY) -> Iterator[Engine]:
    """An engine over one or many results directories, whose catalogues are brought up to date first."""
    with ExitStack() as stack:
        folders = [stack.enter_context(catalogue.current(path)) for path in results]
        connection = stack.enter_context(duckdb.connect(":memory:"))
        parser = stack.enter_context(duckdb.connect(":memory:"))
        parser.execute("SET enable_external_access = false")
        _fill(connection, results)
        show(connection, {str(path): folder for path, folder in zip(results, folders, strict=True)}, memory=memory)
        yield Engine(connection, parser)


def show(connection: duckdb.DuckDBPyConnection, folders: dict[str, Path], *, memory: str = MEMORY) -> None:
    """Make the views over catalogues, by the name of their results, and lock the connection."""
    disk = ReadOnlyFiles()
    connection.register_filesystem(disk)
    for view in PER_SLIDE:
        parts = []
        for name, folder in folders.items():
            given = [disk.add(path) for path in catalogue.files(folder, view)]
            if given:
                parts.append(f"SELECT {_quoted(name)} AS results, * FROM read_parquet({_listed(given)})")  # noqa: S608
        connection.execute(f"CREATE VIEW {view} AS {' UNION ALL '.join(parts) or _nothing(view)}")
    for setting in (
        f"threads = {THREADS}",
        f"memory_limit = {_quoted(memory)}",
        "parquet_metadata_cache = true",
        "temp_directory = ''",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        f"allowed_paths = {_listed(disk.names)}",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


@contextmanager
def _stopped(connection: duckdb.DuckDBPyConnection, timeout_s: float) -> Iterator[None]:
    """Interrupts what runs after so many seconds, again and again until it has ended."""
    ended = threading.Event()

    def stop() -> None:
        wait_s = timeout_s
        while not ended.wait(wait_s):
            connection.interrupt()
            wait_s = AGAIN_S

    watch = threading.Thread(target=stop, daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _fill(connection: duckdb.DuckDBPyConnection, results: Sequence[Path]) -> None:
    """The two small tables, copied: they are always of this moment."""
    for view, rows_of in (("slides", _slides), ("runs", _runs)):
        connection.execute(f"CREATE TABLE {view} AS {_nothing(view)}")
        rows = [list(row) for path in results for row in rows_of(path)]
        if rows:
            marks = ", ".join("?" for _ in VIEWS[view])
            connection.executemany(f"INSERT INTO {view} VALUES ({marks})", rows)  # noqa: S608 names are ours


def _slides(results: Path) -> list[list[Any]]:
    from wsipipe.store.records import plain

    frame = read_slides(results / SLIDES_FILE).rename(columns={"id": "slide_id"}).assign(results=str(results))
    rows = ({str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records"))
    return [[row[name] for name in VIEWS["slides"]] for row in rows]


def _runs(results: Path) -> list[list[Any]]:
    paths = sorted((results / "runs").glob(f"*/{RUN_FILE}")) or [results / RUN_FILE]
    found = [read_json(path) for path in paths if path.is_file()]
    told_runs = [{**run, "results": str(results), "config": json.dumps(run.get("config"))} for run in found]
    return [[run.get(name) for name in VIEWS["runs"]] for run in told_runs]


def _nothing(view: str) -> str:
    """A SELECT of a view's columns without rows."""
    kinds = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "float64": "DOUBLE", "float32": "FLOAT"}
    columns = (f"NULL::{kinds.get(column.kind, 'BOOLEAN')} AS {name}" for name, column in VIEWS[view].items())
    return f"SELECT {', '.join(columns)} WHERE false"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"
