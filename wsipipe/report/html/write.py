"""Writing ``report.html``: one slide in memory at a time.

Enters: a results directory. Leaves: one file, and beside it a folder of pictures where there are too many slides to
put them into the page. Next room: a browser.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from wsipipe import __version__
from wsipipe.errors import UsageError
from wsipipe.report.html import slide
from wsipipe.report.html.batch import batch
from wsipipe.report.html.pictures import Mode, Pictures
from wsipipe.report.html.text import FILTERS
from wsipipe.report.panel import NAMES
from wsipipe.store.layout import RUN_FILE, SLIDES_FILE
from wsipipe.store.place import is_remote, place, replace_file, sync
from wsipipe.store.records import CATEGORIES, WITH_RESULTS, plain, read_json, read_slides

REPORT_FILE = "report.html"
INLINED_SLIDES = 20
"""Up to so many finished slides the large pictures are put into the page, unless asked otherwise."""
SCRIPTS = ("static/sortable-tablesort-4.1.7.min.js", "templates/report.js")
STYLE = "templates/report.css"
WIDTHS = "".join(f".w{share}{{--w:{share}%}}" for share in range(1, 101)) + "\n"
"""Classes of bars: a page's elements carry no style of their own, so that the policy can forbid it."""


@dataclass(frozen=True)
class Choice:
    """How a report is written.

    Parameters
    ----------
    out : path or None
        The file; None is ``report.html`` in the results directory.
    pictures : bool
        Without them the outlines, numbers and graphs are still drawn.
    inline : bool or None
        Whether large pictures are put into the page; None: up to `INLINED_SLIDES` finished slides.
    """

    out: Path | None = None
    pictures: bool = True
    inline: bool | None = None

    def mode(self, done: int) -> Mode:
        """Where the pictures of a batch with `done` finished slides go."""
        if not self.pictures:
            return "none"
        inline = done <= INLINED_SLIDES if self.inline is None else self.inline
        return "inline" if inline else "linked"


def write_report(results: str | Path, choice: Choice | None = None) -> Path:
    """Write the report of a results directory, whole or not at all, and return its path.

    Parameters
    ----------
    results : path
        What a run's ``--out`` named; the run may still be under way or have been interrupted.
    choice : Choice, optional

    Raises
    ------
    UsageError
        Where there are no results, or the report cannot be written there.
    StoreError
        Where ``slides.parquet`` or ``run.json`` is damaged. A damaged slide is told on its page.
    """
    folder, choice = place(results), choice or Choice()
    rows, run = _rows(folder), _run(folder)
    out = choice.out or folder / REPORT_FILE
    mode = choice.mode(sum(row["status"] in WITH_RESULTS for row in rows))
    if mode == "linked" and is_remote(folder):
        mode = "none"  # a page cannot name files of a bucket
    pictures = Pictures(folder, out, mode)
    try:
        _dump(out, environment().get_template("report.html.j2").generate(**_context(rows, run, pictures)))
    except OSError as error:
        raise UsageError(
            f"writing the report: {error.strerror or error}; give another --out", subject=str(out)
        ) from error
    return out


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Rows with plain values, each finished id first and once; aliases and failures keep their rows."""
    if not (folder / SLIDES_FILE).is_file():
        raise UsageError(
            f"writing a report: no {SLIDES_FILE} in it; give what a run's --out named, "
            "or wait until the run's first slide has ended",
            subject=str(folder),
        )
    return [plain(row) for row in read_slides(folder / SLIDES_FILE).to_dict("records")]


def _run(folder: Path) -> dict[str, Any]:
    path = folder / RUN_FILE
    return read_json(path) if path.is_file() else {}


def _context(rows: Sequence[dict[str, Any]], run: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    style, scripts = _file(STYLE) + WIDTHS, [_file(name) for name in SCRIPTS]
    hidden = bool(run.get("deidentified"))
    return {
        "title": "Slides" if hidden else pictures.results.resolve().name,
        "version": __version__,
        "batch": batch(rows, run),
        "run": run,
        "machine": {name: value for name, value in (run.get("machine") or {}).items() if name not in ("host", "user")},
        "mode": pictures.mode,
        "rows": _listed(rows, pictures),
        "pages": _pages(rows, pictures),
        "finished": WITH_RESULTS,
        "categories": CATEGORIES,
        "names": NAMES,
        "style": style,
        "scripts": scripts,
        "policy": _policy(style, scripts),
    }


def _listed(rows: Sequence[dict[str, Any]], pictures: Pictures) -> Iterator[dict[str, Any]]:
    """Rows of the table with their thumbnails."""
    for row in rows:
        thumbnail = ""
        if row["status"] in WITH_RESULTS and slide.safe(row["id"]):
            try:
                thumbnail = pictures.thumbnail(row["id"])
            except slide.DAMAGED:
                thumbnail = ""  # the slide's page tells what is wrong with its store
        yield row | {"thumbnail": thumbnail}


def _pages(rows: Sequence[dict[str, Any]], pictures: Pictures) -> Iterator[slide.Page]:
    """A page per slide; the same content given twice has one, that of the finished slide."""
    done = {row["id"] for row in rows if row["status"] in WITH_RESULTS}
    for row in rows:
        if row["status"] in WITH_RESULTS or row["id"] not in done:
            yield slide.page(row, pictures)


def _dump(out: Path, parts: Iterator[str]) -> None:
    if is_remote(out):
        replace_file(out, "".join(parts).encode(errors="replace"))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    sync(out.parent)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja2 that escapes every value: names, reasons and settings come from files of others."""
    made = Environment(
        loader=PackageLoader("wsipipe.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Content security policy: the page's own style and scripts by their hashes, pictures from here, nothing else."""
    allowed = " ".join(_source(script) for script in scripts)
    return (
        f"default-src 'none'; img-src data: file: 'self'; style-src {_source(style)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return files("wsipipe.report").joinpath(name).read_text(encoding="utf-8")
