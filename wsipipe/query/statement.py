"""The first wall: a statement is taken apart by DuckDB's own parser, and refused unless every part of it selects.

Enters: SQL. Leaves: nothing, or a UsageError. Next room: `wsipipe.query.engine`, which runs it.

A COPY may hide in WITH, and the statement's type is SELECT all the same; so every node of the tree is looked at. What
the engine's time limit does not reach, because it is not execution, is limited here by size: brackets (the parser
takes the square of their depth), parts of a name (so does the binder), and the number of queries in one another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import duckdb

from wsipipe.errors import UsageError
from wsipipe.query.wrong import told

LONGEST, DEEPEST, LONGEST_NAME, QUERIES = 100_000, 200, 8, 500
SELECTING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
SQL_FROM_TEXT = {"query", "query_table", "json_execute_serialized_sql", "from_substrait", "from_substrait_json"}
"""Functions that run text as SQL, which the parser of the outer statement does not see."""
EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?\s+(?=\S)", re.IGNORECASE)
RULE = "exactly one SELECT or EXPLAIN statement"


def check(parser: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse all that does not only select.

    Parameters
    ----------
    parser : connection
        One without data and without access to files.
    sql : str
        What somebody typed.

    Raises
    ------
    UsageError
        Where it is not exactly one SELECT or EXPLAIN, or too long or too deep to be taken apart.
    """
    if len(sql) > LONGEST or "\0" in sql or _depth(sql) > DEEPEST:
        raise _refused(f"it may have {LONGEST} characters, {DEEPEST} nested brackets and no NUL")
    prefix = EXPLAIN.match(sql)
    body = sql[prefix.end() :] if prefix else sql
    try:
        kinds = [statement.type.name for statement in parser.extract_statements(body)]
        if kinds != ["SELECT"]:
            raise _refused(f"got {', '.join(kinds[:3]) or 'none'}{' ...' if len(kinds) > 3 else ''}")
        answer = parser.execute("SELECT json_serialize_sql(?)", [body]).fetchone()
        tree = json.loads(answer[0] if answer else "{}")
    except RecursionError as error:
        raise _refused("its parts are too deep in one another") from error
    except (duckdb.Error, UnicodeError, RuntimeError) as error:
        raise told(error, sql) from error
    _only_selects(tree)


def _only_selects(tree: dict[str, Any]) -> None:
    """Only nodes that select, no function that runs text."""
    queries = 0
    for node in _nodes(tree):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE"):
            queries += 1
            if kind not in SELECTING:
                raise _refused(f"got {kind.removesuffix('_QUERY_NODE').removesuffix('_NODE')} in it")
        if str(node.get("function_name", "")).lower() in SQL_FROM_TEXT:
            raise _refused(f"{node['function_name']}() runs text as SQL")
        if len(node.get("column_names", ())) > LONGEST_NAME:
            raise _refused(f"a name may have {LONGEST_NAME} parts")
    if queries > QUERIES:
        raise _refused(f"it may hold {QUERIES} queries, got {queries}")
    if tree.get("error", True):
        raise _refused(str(tree.get("error_message", "it cannot be read")))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a tree of lists and mappings."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            yield node
            todo.extend(node.values())


def _depth(sql: str) -> int:
    """How many brackets are open at most; those in texts count too."""
    steps = [1 if sign in "([{" else -1 for sign in sql if sign in "([{}])"]
    return max(accumulate(steps), default=0)


def _refused(text: str) -> UsageError:
    return UsageError(f"reading SQL: {RULE}; {text}", subject="query")
