"""A laboratory's table of slides or of tiles.

Enters: a CSV. Leaves: checked rows with category, case and split. Next: `wsipipe.train.source`.
"""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from wsipipe.errors import UsageError
from wsipipe.models.card import CATEGORIES
from wsipipe.train.split import check_cases, split_cases
from wsipipe.units import is_sane

SLIDE_COLUMNS = ("wsi", "mpp", "case_id", "category", "mask", "split", "stain")
TILE_COLUMNS = ("picture", "mask", "category", "case_id", "split")


@dataclass(frozen=True)
class Row:
    """One slide or tile: paths are absolute or relative to the working directory; ``mask`` may be None."""

    path: Path
    case_id: str
    category: str
    split: str
    mask: Path | None = None
    mpp: float | None = None


def read_table(path: Path, columns: tuple[str, ...], *, shares: tuple[float, float, float], seed: int) -> list[Row]:
    """The rows of a table, each with a split.

    Parameters
    ----------
    path : Path
    columns : tuple of str
        ``SLIDE_COLUMNS`` or ``TILE_COLUMNS``; the first is required and names the file, relative to the table
        or to the working directory. ``category`` is required. No ``case_id``: every file is its own case.
    shares, seed
        How cases are split where the table has no ``split`` column.

    Raises
    ------
    UsageError
        For a missing or unknown column, a file that is not there, an unknown category, a case in two splits.
    """
    raw = _raw(path, columns)
    rows = [_row(values, columns[0], path) for values in raw]
    if any(values.get("split") for values in raw):
        check_cases([(row.case_id, row.split) for row in rows])
        return rows
    splits = split_cases([(row.case_id, row.category) for row in rows], shares, seed=seed)
    return [replace(row, split=splits[row.case_id]) for row in rows]


def check_category(name: str, subject: str) -> str:
    """The category, if it is one.

    Raises
    ------
    UsageError
        Where it is not; the nearest one is named.
    """
    if name in CATEGORIES:
        return name
    near = difflib.get_close_matches(name, CATEGORIES, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]}?" if near else "correct it"
    raise UsageError(
        f"reading the table: a category is one of {', '.join(CATEGORIES)}, got {name!r}: {hint}", subject=subject
    )


def _raw(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            names = [name.strip() for name in reader.fieldnames or ()]
            rows = [{k.strip(): (v or "").strip() for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"reading the table: {error}; give a CSV file", subject=str(path)) from None
    unknown = sorted(set(names) - set(columns))
    if columns[0] not in names or "category" not in names or unknown:
        raise UsageError(
            f"reading the table: the columns are {columns[0]}, category and any of {', '.join(columns)}, got "
            f"{', '.join(names) or 'none'}: rename them",
            subject=str(path),
        )
    found = [row for row in rows if row[columns[0]]]
    if not found:
        raise UsageError("reading the table: it has no rows; list at least one file per category", subject=str(path))
    return found


def _row(values: dict[str, str], first: str, table: Path) -> Row:
    path = _where(values[first], table)
    mask = _where(values["mask"], table) if values.get("mask") else None
    category = check_category(values["category"], values[first])
    case = values.get("case_id") or values[first]
    return Row(path, case, category, values.get("split", ""), mask, _mpp(values.get("mpp", ""), values[first]))


def _where(name: str, table: Path) -> Path:
    beside = table.parent / name
    path = beside if beside.exists() else Path(name)
    if not path.exists():
        raise UsageError("reading the table: there is no such file beside the table; correct the path", subject=name)
    return path


def _mpp(text: str, subject: str) -> float | None:
    try:
        mpp = float(text) if text else None
    except ValueError:
        mpp = float("nan")
    if mpp is not None and not is_sane(mpp):
        raise UsageError(
            f"reading the table: an mpp is a number from 0.05 to 20 micrometres per pixel, got {text!r}",
            subject=subject,
        )
    return mpp
