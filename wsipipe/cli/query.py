"""`wsipipe query`: SQL over what runs left, or its short forms."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = (
    'Examples: `wsipipe query results "SELECT slide_id, count(*) FROM tiles GROUP BY slide_id"` · '
    "`wsipipe query results --top 20 --by positive_sum` · `wsipipe query results --schema`"
)


class Format(StrEnum):
    """How an answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def query(
    given: Annotated[
        list[str], typer.Argument(metavar="RESULTS... [SQL]", help="Results directories, then SQL.", show_default=False)
    ],
    form: Annotated[Format, typer.Option("--format", help="How the answer is written.")] = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="Into this file instead of the terminal.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="At most so many rows.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Describe every column.")] = False,
    top: Annotated[int | None, typer.Option("--top", help="So many tiles with the largest --by.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="A column of tiles. [default: positive_sum]")] = None,
    slide: Annotated[str, typer.Option("--slide", help="Only tiles of this slide.")] = "",
    where: Annotated[str, typer.Option("--where", help="Only tiles for which this SQL expression holds.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", min=0.01, help="Seconds before it is stopped.")] = 60.0,
) -> None:
    """Ask tiles, slides, edges, regions and runs with SQL; nothing is changed, nothing else is read."""
    from wsipipe.errors import UsageError  # deferred: --help stays quick
    from wsipipe.query import open_results
    from wsipipe.query.compose import tiles_sql
    from wsipipe.query.engine import opened
    from wsipipe.query.limits import bounded_memory

    short = top is not None or by is not None or bool(slide or where)
    results, sql = _split(given, wants_sql=not (short or schema))
    if short and sql:
        raise UsageError("asking: give SQL or --top, --by, --slide, --where, not both", subject="query")
    folders = [open_results(path).path for path in results]
    if schema:
        return _write(_schema_table(), form, out)
    asked = sql or tiles_sql(top=top, by=by or "positive_sum", slide=slide, where=where)
    with opened(folders) as engine, bounded_memory():
        table = engine.arrow(asked, timeout_s=timeout)
    return _write(table if limit is None else table.slice(0, limit), form, out)


def _split(given: list[str], *, wants_sql: bool) -> tuple[list[str], str]:
    """Results directories, and the SQL: the last argument where it has a space in it and is no directory."""
    from wsipipe.errors import UsageError

    last = given[-1]
    if len(given) > 1 and not Path(last).exists() and any(character.isspace() for character in last):
        return given[:-1], last
    if wants_sql:
        raise UsageError("asking: give RESULTS, then one SELECT in quotes, or --top, --slide, --schema", subject=last)
    return given, ""


def _schema_table() -> pa.Table:
    import pyarrow as pa

    from wsipipe.query.columns import VIEWS

    rows = [
        {"view": view, "column": name, "type": column.kind.rstrip("_"), "unit": column.unit, "meaning": column.meaning}
        for view, columns in VIEWS.items()
        for name, column in columns.items()
    ]
    return pa.Table.from_pylist(rows)


def _write(table: pa.Table, form: Format, out: Path | None) -> None:
    import pyarrow as pa

    from wsipipe.errors import UsageError

    if out is None and form is Format.parquet:
        raise UsageError("writing Parquet: it is not for a terminal; give --out FILE", subject="--format parquet")
    if out is None:
        typer.echo(_text(table, form), nl=False)
        return
    try:
        if form is Format.parquet:
            import pyarrow.parquet as pq

            pq.write_table(table, out, compression="zstd")
        else:
            out.write_text(_text(table, form), encoding="utf-8")
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"writing the answer: {error}; give another --out", subject=str(out)) from error


def _text(table: pa.Table, form: Format) -> str:
    frame = table.to_pandas()
    if form is Format.csv:
        return str(frame.to_csv(index=False, lineterminator="\n"))
    if form is Format.json:
        return f"{frame.to_json(orient='records', indent=2, double_precision=15, force_ascii=False)}\n"
    return _drawn(table)


def _drawn(table: pa.Table) -> str:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(*(escape(name) for name in table.column_names))
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        drawn.add_row(*("" if value is None else escape(_shown(value)) for value in row))
    console = Console(width=None if sys.stdout.isatty() else 400)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
