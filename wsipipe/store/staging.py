"""Overwriting slide by slide: a slide is made anew beside the old one, and put in its place when it is whole.

Enters: a folder ``RESULTS/overwriting/<run key>``, which looks like a results directory, and a finished slide in it.
Leaves: the new slide in place of the old one. Next room: `wsipipe.run.work` calls it at the end of a slide.

Until the very moment of the exchange the old result is whole and readable. Layers of other settings move along. The
folder remembers which slides it has replaced, so the same command after a kill goes on with the others; it is removed
once an overwrite has come to its end.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from wsipipe.errors import UsageError
from wsipipe.store.layout import OVERWRITING, PACKED, WORK, pictures_path, store_path
from wsipipe.store.place import moves, place, replace_file, sync

REPLACED = "replaced"
"""A file per slide that was put in place."""
FRESH = "overwritten"
"""A file in ``work/`` of a slide that is being put in place, with the overwrite's name: once it is in RESULTS, the
exchange was made."""
_AT_FDCWD, _EXCHANGE = -100, 2


def begin(results: str | Path, key: str) -> Path:
    """The folder of the overwrite of a run's settings; one that was interrupted is taken up again.

    Raises
    ------
    UsageError
        On an object store, where nothing can be exchanged.
    """
    folder = place(results) / OVERWRITING / key
    if not moves(folder):
        raise UsageError(
            "--overwrite swaps folders, which an object store cannot do: give a new prefix as --out",
            subject=str(results),
        )
    (folder / REPLACED).mkdir(parents=True, exist_ok=True)
    return folder


def replaced(folder: str | Path) -> int:
    """How many slides an overwrite has put in place so far."""
    return len(list((place(folder) / REPLACED).glob("*")))


def is_replaced(folder: str | Path, results: str | Path, slide_id: str) -> bool:
    """Whether this overwrite has put the slide in place; one that was killed while it did so is brought to its end."""
    fresh = store_path(results, slide_id) / WORK / FRESH
    if fresh.is_file() and fresh.read_bytes() == place(folder).name.encode():
        _after_exchange(place(folder), place(results), slide_id)
    return (place(folder) / REPLACED / slide_id).is_file()


def put_in_place(folder: str | Path, results: str | Path, slide_id: str) -> None:
    """Exchange a finished slide of the folder for the one of the same id in RESULTS."""
    new, old = store_path(folder, slide_id), store_path(results, slide_id)
    if old.is_dir():
        _keep_other_layers(old / WORK, new / WORK)
    replace_file(new / WORK / FRESH, place(folder).name.encode())
    if old.is_dir():
        _exchange(new, old)
    else:
        new.rename(old)
    sync(place(results))
    _after_exchange(place(folder), place(results), slide_id)


def end(folder: str | Path) -> None:
    """Forget an overwrite that has come to its end."""
    shutil.rmtree(folder, ignore_errors=True)
    above = place(folder).parent
    if above.is_dir() and not any(above.iterdir()):
        above.rmdir()


def _after_exchange(folder: Path, results: Path, slide_id: str) -> None:
    """The pictures follow, the old slide goes, the overwrite remembers; may be done again at any point."""
    pictures = pictures_path(folder, slide_id)
    if pictures.is_dir():
        shutil.rmtree(pictures_path(results, slide_id), ignore_errors=True)
        pictures.rename(pictures_path(results, slide_id))
    shutil.rmtree(store_path(folder, slide_id), ignore_errors=True)
    if folder.is_dir():
        (folder / REPLACED).mkdir(exist_ok=True)
        replace_file(folder / REPLACED / slide_id, b"")
    (store_path(results, slide_id) / WORK / FRESH).unlink(missing_ok=True)


def _keep_other_layers(old: Path, new: Path) -> None:
    """Move the layers of other settings along; those of the same key are made anew already."""
    fresh = {path.name.removesuffix(PACKED) for path in new.iterdir()}
    for layer in sorted(old.glob("*-*")) if old.is_dir() else []:
        if layer.is_dir() and layer.name.removesuffix(PACKED) not in fresh:
            layer.rename(new / layer.name)


def _exchange(new: Path, old: Path) -> None:
    """Exchange two folders in one step where the system can (Linux); else in two, the old one aside for a moment."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None or rename(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _EXCHANGE) != 0:
        aside = new.with_name(f"{new.name}.old")
        old.rename(aside)
        new.rename(old)
        aside.rename(new)
