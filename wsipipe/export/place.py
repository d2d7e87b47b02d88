"""Exported files put in place as a whole: written beside, flushed, renamed.

Enters: a path. Leaves: the old file or the new one, never half of one. Next rooms: every format of this one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wsipipe.errors import UsageError
from wsipipe.store.place import sync


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Where to write a file that takes the place of `path` once the block has ended; nothing is left where it fails.

    Raises
    ------
    UsageError
        Where the disk refuses.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        why = error.strerror or " ".join(str(error).split())
        raise UsageError(f"writing a file: {why}; free the place or give another --out", subject=str(path)) from error
    finally:
        discard(partial)


def discard(path: Path) -> None:
    """Remove what a failed writer left, if anything."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder itself is a file or may not be read: nothing was written there
        return


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raise UsageError where a file would be replaced without having been allowed to.

    Asked before the first file is written, so a refused export changes nothing.
    """
    there = [] if overwrite else [path for path in paths if path.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UsageError(f"exporting: the file{more} exists; give --overwrite, or another --out", subject=str(there[0]))


def check_folder(path: Path) -> None:
    """Raise UsageError where `path` cannot be a folder that is written to; it is made."""
    if path.exists() and not path.is_dir():
        raise UsageError("--out is a folder, this is a file: give another path", subject=str(path))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out cannot be made ({error.strerror}): give another path", subject=str(path)) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError("--out cannot be written to: change its permissions or give another path", subject=str(path))
