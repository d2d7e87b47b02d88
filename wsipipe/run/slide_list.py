"""Slide lists: a CSV that says what the files do not.

Enters: paths of slides, and a CSV with the columns ``wsi`` and any of ``mpp, case_id, stain, scene``.
Leaves: `Source` values. Next room: `wsipipe.run.batch`.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path

from wsipipe.errors import UsageError
from wsipipe.run.source import Source
from wsipipe.store.place import is_remote, place
from wsipipe.units import is_sane

COLUMNS = ("wsi", "mpp", "case_id", "stain", "scene")


def sources(paths: Sequence[Path], slide_list: str | Path | None = None, facts: Sequence[str] = ()) -> list[Source]:
    """Sources of found slides, with what a slide list tells of them.

    Parameters
    ----------
    paths : sequence of Path
        Slides that were found; empty takes the slides that the list names.
    slide_list : path, optional
        A row is meant for the slide of the same path (relative to the list's folder or to the working
        directory), else for the one slide of the same file name.

    facts : sequence of str
        Further columns, kept as text in `Source.facts`; one of the usual columns named here is kept so, too.

    Raises
    ------
    UsageError
        Where the list has no ``wsi`` column, an unknown column, a wrong number, or a row that fits no slide.
    """
    if slide_list is None:
        return [Source(str(path)) for path in paths]
    rows, folder = _rows(Path(slide_list), facts), Path(slide_list).parent
    if not paths:
        return [_source(str(_where(row["wsi"], folder)), row, facts) for row in rows]
    told = {_match(row["wsi"], paths, folder): row for row in rows}
    return [_source(str(path), told.get(path, {}), facts) for path in paths]


def _rows(path: Path, facts: Sequence[str] = ()) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            names = [name.strip() for name in reader.fieldnames or ()]
            rows = [{k.strip(): (v or "").strip() for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"reading the slide list: {error}; give a CSV file", subject=str(path)) from None
    unknown = [name for name in names if name not in {*COLUMNS, *facts}]
    known = dict.fromkeys([*COLUMNS[1:], *facts])
    if "wsi" not in names or unknown:
        raise UsageError(
            f"reading the slide list: the columns are wsi and any of {', '.join(known)}; got {names}", subject=str(path)
        )
    return [row for row in rows if row["wsi"]]


def _where(name: str, folder: Path) -> Path:
    if is_remote(name):
        return place(name)
    beside = folder / name
    return beside if beside.exists() else Path(name)


def _match(name: str, paths: Sequence[Path], folder: Path) -> Path:
    wanted = _where(name, folder).resolve()
    same = [path for path in paths if path.resolve() == wanted] or [p for p in paths if p.name == Path(name).name]
    if len(same) == 1:
        return same[0]
    found = "no slide" if not same else f"{len(same)} slides"
    near = difflib.get_close_matches(name, [path.name for path in paths], n=1)
    hint = f"; did you mean {near[0]}?" if near and not same else "; give its path"
    raise UsageError(f"reading the slide list: the row for {name!r} fits {found} of the {len(paths)} given{hint}")


def _source(path: str, row: dict[str, str], facts: Sequence[str] = ()) -> Source:
    scene = row.get("scene", "")
    if scene and not scene.isdigit():
        raise UsageError(f"reading the slide list: a scene is a whole number, got {scene!r}", subject=path)
    return Source(
        path,
        _mpp("" if "mpp" in facts else row.get("mpp", ""), path),
        row.get("case_id", ""),
        row.get("stain", ""),
        int(scene) if scene else None,
        tuple((name, row[name]) for name in facts if row.get(name)),
    )


def _mpp(text: str, path: str) -> float | None:
    if not text:
        return None
    try:
        mpp = float(text)
    except ValueError:
        mpp = float("nan")
    if not is_sane(mpp):
        raise UsageError(
            f"reading the slide list: an mpp is a number from 0.05 to 20 micrometres per pixel, got {text!r}",
            subject=path,
        )
    return mpp
