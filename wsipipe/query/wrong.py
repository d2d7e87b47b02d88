"""What is wrong with a statement, in one line: where, and which names are near.

Enters: DuckDB's error. Leaves: a UsageError. Next room: `wsipipe.query.engine` raises it.
"""

from __future__ import annotations

import difflib
import re

from wsipipe.errors import UsageError
from wsipipe.query.columns import VIEWS

COLUMN = re.compile(r'(?:Referenced column|column named|column) "([^"]+)"')
TAIL = re.compile(r"\n\n|\nDid you mean|\nCandidate")
TABLE = re.compile(r"Table with name (.+?) does not exist")


def told(error: Exception, sql: str) -> UsageError:
    """The error for people.

    Parameters
    ----------
    error : Exception
        From DuckDB.
    sql : str
        The statement.
    """
    text = str(error)
    first = " ".join(TAIL.split(text, maxsplit=1)[0].split())[:300]
    return UsageError(f"running SQL: {first}{_place(text)}{_near(text, sql)}", subject="query")


def _place(text: str) -> str:
    """``(line 1, column 8)`` from the caret that DuckDB draws."""
    drawn = re.search(r"^(LINE (\d+): )(.*)\n( *)\^", text, re.MULTILINE)
    if drawn is None or drawn[3].startswith("..."):
        return ""
    return f" (line {drawn[2]}, column {len(drawn[4]) - len(drawn[1]) + 1})"


def _near(text: str, sql: str) -> str:
    if table := TABLE.search(text):
        return _listed("views", table[1], list(VIEWS))
    if column := COLUMN.search(text):
        words = set(re.findall(r"\w+", sql.lower()))
        views = [view for view in VIEWS if view in words] or list(VIEWS)
        return _listed("columns", column[1], list(dict.fromkeys(name for view in views for name in VIEWS[view])))
    return ""


def _listed(kind: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    return f"; nearest {kind}: {', '.join(near)}" if near else f"; {kind}: {', '.join(known)}"
