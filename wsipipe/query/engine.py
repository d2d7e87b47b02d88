"""SQL over results, which can read the catalogue and nothing else, and write nothing.

Enters: results directories, one SELECT or EXPLAIN. Leaves: an Arrow table. Next room: `wsipipe.cli`.

Two walls, each of which holds alone against writing. The statement is taken apart by DuckDB's own parser, and refused
unless every part of it selects: a COPY may hide in WITH, and its type is SELECT all the same. And the catalogue is
given to DuckDB through a file system that opens only the catalogue's files and only for reading, while all other
access is off and the configuration locked.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from wsipipe.errors import UsageError
from wsipipe.query import catalogue
from wsipipe.query.columns import PER_SLIDE, VIEWS
from wsipipe.query.reading import ReadOnlyFiles
from wsipipe.query.wrong import told
from wsipipe.store.layout import RUN_FILE, SLIDES_FILE
from wsipipe.store.records import read_json, read_slides

if TYPE_CHECKING:
    import pyarrow as pa

TIMEOUT_S, MEMORY, THREADS, LONGEST, DEEPEST = 60.0, "2GB", 2, 100_000, 200
"""Limits; the parser, which no time limit reaches, takes the square of the depth of open brackets."""
SELECTING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
SQL_FROM_TEXT = {"query", "query_table", "json_execute_serialized_sql", "from_substrait", "from_substrait_json"}
"""Functions that run text as SQL, which the parser of the outer statement does not see."""
EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?\s+(?=\S)", re.IGNORECASE)
RULE = "exactly one SELECT or EXPLAIN statement"


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
        self._check(sql)
        timer = threading.Timer(timeout_s, self._connection.interrupt)
        timer.start()
        try:
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.InterruptException as error:
            text = f"stopped after {timeout_s:g} s; ask for less, or give --timeout"
            raise UsageError(f"running SQL: {text}", subject="query") from error
        except (duckdb.Error, UnicodeError, OverflowError, ValueError, RuntimeError) as error:
            raise told(error, sql) from error
        finally:
            timer.cancel()

    def _check(self, sql: str) -> None:
        """Refuse all that does not only select."""
        if len(sql) > LONGEST or "\0" in sql or _depth(sql) > DEEPEST:
            raise _refused(f"it may have {LONGEST} characters, {DEEPEST} nested brackets and no NUL")
        try:
            prefix = EXPLAIN.match(sql)
            body = sql[prefix.end() :] if prefix else sql
            kinds = [statement.type.name for statement in self._parser.extract_statements(body)]
            if kinds != ["SELECT"]:
                raise _refused(f"got {', '.join(kinds) or 'none'}")
            parsed = self._parser.execute("SELECT json_serialize_sql(?)", [body]).fetchone()
        except (duckdb.Error, UnicodeError, RuntimeError) as error:
            raise told(error, sql) from error
        _only_selects(json.loads(parsed[0] if parsed else "{}"))


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


def _only_selects(parsed: Any) -> None:
    """Walk what the parser made of a statement: only nodes that select, no function that runs text."""
    todo = [parsed]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            _check_node(node)
            todo.extend(node.values())
    if parsed.get("error", True):
        raise _refused(str(parsed.get("error_message", "it cannot be read")))


def _check_node(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in SELECTING:
        raise _refused(f"got {kind.removesuffix('_QUERY_NODE').removesuffix('_NODE')} in it")
    if str(node.get("function_name", "")).lower() in SQL_FROM_TEXT:
        raise _refused(f"{node['function_name']}() runs text as SQL")


def _depth(sql: str) -> int:
    """How many brackets are open at most; those in texts count too."""
    steps = [1 if sign in "([{" else -1 for sign in sql if sign in "([{}])"]
    return max(accumulate(steps), default=0)


def _refused(text: str) -> UsageError:
    return UsageError(f"reading SQL: {RULE}; {text}", subject="query")


def _nothing(view: str) -> str:
    """A SELECT of a view's columns without rows."""
    kinds = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "float64": "DOUBLE", "float32": "FLOAT"}
    columns = (f"NULL::{kinds.get(column.kind, 'BOOLEAN')} AS {name}" for name, column in VIEWS[view].items())
    return f"SELECT {', '.join(columns)} WHERE false"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"
