"""Where the fields of a folder lie: from their names, a CSV, or what the microscope wrote into the files.

Enters: file names, a pattern, a table, TIFF metadata. Leaves: one `Place` per field, in the order in which they lie.
Next room: `wsipipe.slide.fields` makes planes of them, `wsipipe.stitch` starts from them.

A pattern is looked for anywhere in a name without its ending: ``x{x}_y{y}`` finds column and row in
``00001_x1_y1_zp1.jpg``. Its parts are ``{x}`` or ``{col}`` (column), ``{y}`` or ``{row}``, ``{index}`` (the order in
which fields were taken, with a layout), and ``*`` for anything.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from wsipipe.errors import SlideOpenError

Layout = Literal["raster", "snake", "raster_down", "snake_down"]
LAYOUTS: tuple[Layout, ...] = ("raster", "snake", "raster_down", "snake_down")
USUAL = ("x{x}_y{y}", "x{x}y{y}", "r{row}_c{col}", "r{row}c{col}", "row{row}_col{col}", "{x}_{y}", "{index}")
"""Patterns that are tried where none is given; only where every name has them."""
TABLE = "fields.csv"
"""A table of this name in the folder is used where nothing else is said."""
_PARTS = {"x": "column", "col": "column", "column": "column", "y": "row", "row": "row", "index": "index"}
_FILE = ("file", "name", "filename", "field", "image")


@dataclass(frozen=True, slots=True)
class Place:
    """One field: its file, and where its upper left corner is said to be.

    Parameters
    ----------
    file : str
        Name inside the folder.
    cell : (int, int) or None
        Row and column of the grid, from 0.
    yx : (float, float) or None
        Upper left corner in pixels, where a table or the stage says it.
    """

    file: str
    cell: tuple[int, int] | None = None
    yx: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How a user says where fields lie; see `places`.

    Parameters
    ----------
    pattern : str
        Empty: those in `USUAL` are tried.
    layout : str
        Order in which fields with an ``{index}`` were taken: ``raster`` (every row from the left), ``snake`` (every
        second row back), or the same in columns, ``raster_down`` and ``snake_down``.
    columns : int
        Of the grid, for ``{index}``; 0 where their number is a square.
    positions : str
        Path of a CSV; it wins over names.
    metadata : bool
        Take the stage positions in the files.
    """

    pattern: str = ""
    layout: Layout = "raster"
    columns: int = 0
    positions: str = ""
    metadata: bool = False


def places(files: Sequence[str], how: Arrangement, *, folder: Path) -> tuple[list[Place], str]:
    """Where fields lie, by row and column or by y and x, and in a word how that is known.

    Parameters
    ----------
    files : sequence of str
        Names inside `folder`.

    Raises
    ------
    SlideOpenError
        A pattern that no name has, or not all; a table without columns that say it, or with a file that is not there;
        the same place twice.
    """
    if how.positions:
        found, said = _from_table(files, Path(how.positions), folder), "table"
    elif how.metadata:
        found, said = _from_stage(files, folder), "stage"
    elif not how.pattern and (folder / TABLE).is_file():
        found, said = _from_table(files, folder / TABLE, folder), "table"
    else:
        found, said = _from_names(files, how, folder), "names"
    _refuse_twice(found, folder)
    return sorted(found, key=_order), said


def _order(place: Place) -> tuple[float, float, str]:
    at = place.cell or place.yx or (0.0, 0.0)
    return float(at[0]), float(at[1]), place.file


def _refuse_twice(found: Iterable[Place], folder: Path) -> None:
    seen: dict[object, str] = {}
    for place in found:
        at = place.cell or place.yx
        if at in seen:
            where = f"row {at[0]:g}, column {at[1]:g}" if place.cell and at else f"position y, x = {at}"
            raise SlideOpenError(
                f"placing fields: {seen[at]} and {place.file} both lie at {where}, a place holds one field: remove "
                "one, or correct names or table",
                subject=str(folder),
            )
        seen[at] = place.file


def _from_names(files: Sequence[str], how: Arrangement, folder: Path) -> list[Place]:
    if how.pattern:
        matched = _matched(files, how.pattern)
        missing = [file for file in files if file not in matched]
        if missing:
            raise SlideOpenError(
                f"placing fields: the pattern {how.pattern!r} is in {len(matched)} of {len(files)} names; the others "
                f"look like {_look(missing)}: {_advice(files)}",
                subject=str(folder),
            )
        return _cells(matched, how, folder)
    for pattern in USUAL:
        matched = _matched(files, pattern)
        if len(matched) == len(files) and len(set(map(str, matched.values()))) == len(files):
            return _cells(matched, how, folder)
    raise SlideOpenError(
        f"placing fields: no usual pattern ({', '.join(USUAL)}) is in all names; they look like {_look(files)}: give "
        "--pattern, or --positions with a CSV of file, y, x",
        subject=str(folder),
    )


def _look(files: Sequence[str]) -> str:
    return ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")


def _advice(files: Sequence[str]) -> str:
    """The first usual pattern that is in all names, as something to do."""
    fits = next((one for one in USUAL if len(_matched(files, one)) == len(files)), "")
    return f"try --pattern '{fits}'" if fits else "give a pattern that is in every name, or --positions CSV"


def _matched(files: Iterable[str], pattern: str) -> dict[str, dict[str, int]]:
    """Numbers by part for every name that has the pattern."""
    expression = _expression(pattern)
    stems = {file: expression.search(Path(file).stem) for file in files}
    return {
        file: {name: int(number) for name, number in match.groupdict().items()}
        for file, match in stems.items()
        if match is not None
    }


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]*\}|\*)", pattern)
    names = [_PARTS.get(part[1:-1].strip().lower(), "") for part in parts if part.startswith("{")]
    known = "x, y, row, col or index"
    if "" in names or len(set(names)) != len(names) or not ({"row", "column"} <= set(names) or names == ["index"]):
        raise SlideOpenError(
            f"reading the pattern: it needs {{x}} and {{y}} (or {{row}} and {{col}}), or {{index}} alone, each once, "
            f"got {pattern!r}: name the parts {known}"
        )
    text = ""
    for part in parts:
        if part == "*":
            text += ".*?"
        elif part.startswith("{"):
            text += rf"(?P<{_PARTS[part[1:-1].strip().lower()]}>\d+)"
        else:
            text += re.escape(part)
    ahead = r"(?<!\d)" if parts[0] == "" else ""
    return re.compile(f"{ahead}{text}")


def _cells(matched: Mapping[str, Mapping[str, int]], how: Arrangement, folder: Path) -> list[Place]:
    """Rows and columns that start at 0."""
    if "index" in next(iter(matched.values())):
        return _laid_out({file: numbers["index"] for file, numbers in matched.items()}, how, folder)
    top = min(numbers["row"] for numbers in matched.values())
    left = min(numbers["column"] for numbers in matched.values())
    return [Place(file, (numbers["row"] - top, numbers["column"] - left)) for file, numbers in matched.items()]


def _laid_out(index: Mapping[str, int], how: Arrangement, folder: Path) -> list[Place]:
    first, last = min(index.values()), max(index.values())
    count = last - first + 1
    side = math.isqrt(count)
    if not how.columns and side * side != count:
        raise SlideOpenError(
            f"placing fields by their order: {count} fields are no square grid: give --columns", subject=str(folder)
        )
    columns = how.columns or side
    rows = -(-count // columns)
    return [Place(file, cell_of(at - first, rows, columns, how.layout)) for file, at in index.items()]


def cell_of(order: int, rows: int, columns: int, layout: str) -> tuple[int, int]:
    """Row and column of the field that was taken as number `order` (from 0)."""
    if layout.endswith("_down"):
        column, row = divmod(order, rows)
        return (rows - 1 - row if layout.startswith("snake") and column % 2 else row), column
    row, column = divmod(order, columns)
    return row, (columns - 1 - column if layout.startswith("snake") and row % 2 else column)


def _from_table(files: Sequence[str], table: Path, folder: Path) -> list[Place]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as opened:
            rows = [{(k or "").strip().lower(): v for k, v in row.items()} for row in csv.DictReader(opened)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SlideOpenError(f"reading the table of positions: {error}: give a CSV", subject=str(table)) from error
    name, pair, is_cell = _columns(rows, table)
    named = {str(row[name]).strip(): row for row in rows}
    if strange := [file for file in named if file not in files]:
        raise SlideOpenError(
            f"reading the table of positions: it names {_look(strange)}, which the folder {folder} does not hold; it "
            f"holds {_look(files)}: correct the table",
            subject=str(table),
        )
    if len(named) < len(rows):
        raise SlideOpenError(
            "reading the table of positions: a file stands in it twice: remove one row", subject=str(table)
        )
    found = [Place(file, yx=_numbers(row, pair, table)) for file, row in named.items()]
    if is_cell:
        found = [replace(one, cell=(int(one.yx[0]), int(one.yx[1])), yx=None) for one in found if one.yx]
    return found


def _columns(rows: Sequence[Mapping[str, object]], table: Path) -> tuple[str, tuple[str, str], bool]:
    """The column of names, those of the position, and whether these are rows and columns of a grid."""
    have = set(rows[0]) if rows else set()
    name = next((one for one in _FILE if one in have), "")
    for pair, is_cell in ((("y", "x"), False), (("row", "col"), True), (("row", "column"), True)):
        if name and have.issuperset(pair):
            return name, pair, is_cell
    raise SlideOpenError(
        f"reading the table of positions: columns file, y, x (pixels) or file, row, col are needed, it has "
        f"{', '.join(sorted(map(str, have))) or 'no rows'}: name them so",
        subject=str(table),
    )


def _numbers(row: Mapping[str, object], pair: tuple[str, str], table: Path) -> tuple[float, float]:
    try:
        y, x = (float(str(row[one])) for one in pair)
    except ValueError as error:
        raise SlideOpenError(f"reading the table of positions: {error}: give numbers", subject=str(table)) from error
    if not (math.isfinite(y) and math.isfinite(x)):
        raise SlideOpenError(
            "reading the table of positions: a position is not finite: give numbers", subject=str(table)
        )
    return y, x


def _from_stage(files: Sequence[str], folder: Path) -> list[Place]:
    from wsipipe.slide.field_stage import stage_yx  # deferred: tifffile only where it is asked for

    found = {file: stage_yx(folder / file) for file in files}
    if missing := [file for file, at in found.items() if at is None]:
        raise SlideOpenError(
            f"placing fields by stage metadata: {len(missing)} of {len(files)} files hold none ({_look(missing)}), "
            "OME-TIFF's Plane PositionX and PositionY or TIFF's XPosition are read: give --pattern or --positions",
            subject=str(folder),
        )
    return [Place(file, yx=at) for file, at in found.items()]
