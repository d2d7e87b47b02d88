"""How far a results directory is: ended slides from ``slides.parquet``, the others from their marks alone.

Enters: a results directory. Leaves: a plain dict. Works beside a running batch, from another shell or machine.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from wsipipe.errors import UsageError
from wsipipe.store.layout import RUN_FILE, SLIDES_FILE
from wsipipe.store.progress import unit_counts
from wsipipe.store.records import plain, read_slides


def progress(results: str | Path) -> dict[str, Any]:
    """What became of each slide.

    Returns
    -------
    dict
        ``run`` (None while it has not ended), ``counts`` by status, and ``slides``: ``id``, ``status`` (done, failed,
        skipped or running), ``category``, ``reason``, ``units`` and ``units_done`` (0 where no layer is open).

    Raises
    ------
    UsageError
        Where the directory holds no results.
    """
    folder = Path(results)
    stores = sorted(folder.glob("*.zarr"))
    if not stores and not (folder / SLIDES_FILE).is_file():
        raise UsageError(
            "reading results: no slides.parquet and no slide stores here; give what a run's --out named",
            subject=str(folder),
        )
    rows = sorted(_ended(folder / SLIDES_FILE), key=lambda row: bool(row["status"] == "done"))
    ended = {str(row["id"]): row for row in rows}  # an alias may have the id of the slide that is done: that one wins
    slides = [_line(name, ended.get(name), folder) for name in sorted({*ended, *(path.stem for path in stores)})]
    run = json.loads((folder / RUN_FILE).read_text()) if (folder / RUN_FILE).is_file() else {}
    return {"run": run.get("status"), "counts": dict(Counter(slide["status"] for slide in slides)), "slides": slides}


def _ended(path: Path) -> list[dict[str, Any]]:
    return [plain(row) for row in read_slides(path).to_dict("records")] if path.is_file() else []


def _line(name: str, row: dict[str, Any] | None, folder: Path) -> dict[str, Any]:
    store = folder / f"{name}.zarr"
    done, units = unit_counts(store) if row is None and store.is_dir() else (0, 0)
    known = row or {"status": "running"}
    return {
        "id": name,
        "status": known["status"],
        "category": known.get("category"),
        "reason": known.get("reason") or "",
        "units_done": done,
        "units": units,
    }
