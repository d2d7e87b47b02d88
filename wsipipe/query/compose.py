"""The short forms of a question, as SQL.

Enters: ``--top 20 --by positive_sum --slide ID --where ...``. Leaves: one SELECT over the tiles.
Next room: `wsipipe.query.engine`, which checks it like any other.
"""

from __future__ import annotations

import difflib

from wsipipe.errors import UsageError
from wsipipe.query.columns import VIEWS


def tiles_sql(*, top: int | None = None, by: str = "positive_sum", slide: str = "", where: str = "") -> str:
    """A SELECT of tiles.

    Parameters
    ----------
    top : int, optional
        So many tiles with the largest `by`; all without it.
    by : str
        A column of ``tiles``.
    slide : str
        Only of this slide.
    where : str
        Only where this SQL expression holds.

    Raises
    ------
    UsageError
        For a `by` that is no column, or a `top` below 1.
    """
    if by not in VIEWS["tiles"]:
        near = difflib.get_close_matches(by, VIEWS["tiles"], n=3, cutoff=0.4) or list(VIEWS["tiles"])
        raise UsageError(f"ordering tiles: no such column; nearest columns: {', '.join(near)}", subject=f"--by {by}")
    if top is not None and top < 1:
        raise UsageError(f"taking the top tiles: a number from 1 is needed, got {top}", subject="--top")
    literal = slide.replace("'", "''")
    held = [f"slide_id = '{literal}'"] if slide else []
    held += [f"(\n{where}\n)"] if where else []  # lines of its own: a comment at its end hides nothing of ours
    filtered = f" WHERE {' AND '.join(held)}" if held else ""
    order = f' ORDER BY "{by}" DESC NULLS LAST, slide_id, tile_id LIMIT {top}' if top is not None else ""
    return f"SELECT * FROM tiles{filtered}{order}"  # noqa: S608 checked by the engine
