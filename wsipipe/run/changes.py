"""Which settings differ from those of the last run in the same results directory.

Enters: a job, the sha256 of its weights, a results directory. Leaves: one line per changed setting. Next rooms:
`wsipipe.run.session` says them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsipipe.errors import StoreError
from wsipipe.run.row import nameless
from wsipipe.store.layout import RUN_FILE, RUNS
from wsipipe.store.place import place
from wsipipe.store.records import read_json


def changed(results: str | Path, told: Mapping[str, Any], *, deidentify: bool = False) -> list[str]:
    """Lines such as ``stain.method: macenko -> ruifrok``, by name; none where there was no run before.

    Parameters
    ----------
    results : path
    told : mapping
        ``config`` and ``weights`` as ``run.json`` will hold them.
    deidentify : bool
        Leave paths of the earlier run out too.
    """
    before = _last(place(results))
    old = {name: before.get(name) or {} for name in ("config", "weights")}
    if not old["config"]:
        return []
    was, now = (_flat(nameless(side) if deidentify else side) for side in (old, told))
    names = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    return [f"{name.removeprefix('config.')}: {_shown(was, name)} -> {_shown(now, name)}" for name in names]


def _last(results: Path) -> dict[str, Any]:
    """What the last run said of itself: ``run.json``, or the newest below ``runs/`` where that is not readable."""
    try:
        return read_json(results / RUN_FILE)
    except StoreError:
        pass
    found = [path for path in (results / RUNS).glob(f"*/{RUN_FILE}") if path.is_file()]
    try:
        return read_json(max(found, key=lambda path: path.stat().st_mtime)) if found else {}
    except StoreError:
        return {}


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in section.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _shown(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name, "(not set)")
    return value[:12] if name.startswith("weights.") and isinstance(value, str) else str(value)
