"""How far a results directory is: ended slides from ``slides.parquet``, the others from their marks alone.

Enters: a results directory. Leaves: a plain dict. Works beside a running batch, from another shell or machine.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wsipipe.errors import UsageError
from wsipipe.store.layout import LAYERS_FILE, RUN_FILE, RUNS, SLIDES_FILE
from wsipipe.store.lease import owner
from wsipipe.store.place import place
from wsipipe.store.progress import share, unit_counts
from wsipipe.store.records import plain, read_json, read_slides
from wsipipe.store.references import recorded


def progress(results: str | Path) -> dict[str, Any]:
    """What became of each slide.

    Returns
    -------
    dict
        ``run`` (the last run's status; None where none began), ``sources`` (slides that it was given; 0 where it does
        not say), ``owner`` (who holds the lease; None where nobody does), ``counts`` by status, and ``slides``:
        ``id``, ``status`` (done, failed, partial, skipped or running), ``category``, ``reason``, ``units`` and
        ``units_done`` (0 where no layer is open), ``share`` (of the slide that is done, 0 to 1).

    Raises
    ------
    UsageError
        Where the directory holds no results.
    """
    folder = place(results)
    stores = sorted(folder.glob("*.zarr"))
    if not stores and not any((folder / name).is_file() for name in (SLIDES_FILE, RUN_FILE)):
        raise UsageError(
            "reading results: no slides.parquet and no slide stores here; give what a run's --out named",
            subject=str(folder),
        )
    who = owner(folder)  # in this order: a run writes its rows, then that it has ended, then gives its lease back
    run = read_json(folder / RUN_FILE) if (folder / RUN_FILE).is_file() else {}
    rows = sorted(_ended(folder / SLIDES_FILE), key=lambda row: bool(row["status"] == "done"))
    ended = {str(row["id"]): row for row in rows}  # an alias may have the id of the slide that is done: that one wins
    layers = recorded(folder / RUNS / str(run.get("key")) / LAYERS_FILE)
    names = sorted({*ended, *(path.stem for path in stores)})
    slides = [_line(name, ended.get(name), folder, layers.get(name, [])) for name in names]
    return {
        "run": run.get("status"),
        "sources": run.get("sources", 0),
        "owner": asdict(who) if who and not who.released else None,
        "counts": dict(Counter(slide["status"] for slide in slides)),
        "slides": slides,
    }


def _ended(path: Path) -> list[dict[str, Any]]:
    return [plain(row) for row in read_slides(path).to_dict("records")] if path.is_file() else []


def _line(name: str, row: dict[str, Any] | None, folder: Path, layers: list[str]) -> dict[str, Any]:
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
        "share": 1.0 if row else share(store, layers),
    }
