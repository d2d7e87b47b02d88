"""Local copies of slides that lie on an object store: bounded, shared by the processes of a machine, never half.

Enters: an ``s3://`` address. Leaves: the path of a whole copy, held as long as somebody reads it. Next room:
`wsipipe.slide.choose` opens the copy as any file, so its pixels, fingerprint and id are those of the original.

A copy is named after the address and after what the object store says of the content (names, sizes, ETags): another
content is another copy, and none is ever replaced. Beside a copy lies its lock, a file with the copy's size in it, held
shared by who reads and alone by who writes or removes. The system lets go of a lock when its process ends, however it
ends, so there are no stale ones. The least recently opened copies that nobody holds are removed to make room; copies in
use are not, so with many workers the folder may exceed its limit by what they have open.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wsipipe.errors import SlideOpenError, StoreError, UsageError
from wsipipe.slide.parts import Part, parts_of
from wsipipe.store.place import sync

DIR, SIZE = "WSIPIPE_CACHE_DIR", "WSIPIPE_CACHE_SIZE"
"""Names in the environment: the folder and its limit belong to a machine, not to a run."""
USUAL_SIZE = "50GB"
CHUNK = 8 * 2**20
"""Bytes of one request; at most `CONNECTIONS` of them are in memory for each copy that is being made."""
CONNECTIONS = 4
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class Copy:
    """A local copy that is in use; nobody removes it before `release`, or before this value and its process are gone.

    ``path`` is the slide: a file, or a folder.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.release = weakref.finalize(self, os.close, lock)


@dataclass(frozen=True)
class Cache:
    """A folder of copies.

    Parameters
    ----------
    folder : Path
        On a disk of this machine: locks of network file systems may not hold.
    limit : int
        Bytes.
    """

    folder: Path
    limit: int

    def copy(self, url: str) -> Copy:
        """A whole copy of a slide with all files that belong to it, made if it is not there.

        Raises
        ------
        SlideOpenError
            Where there is no such slide, it is larger than the cache, it changed while it was copied, the disk is full,
            or the object store cannot be read.
        """
        try:
            parts = parts_of(url)
            return self._copy(url, parts)
        except StoreError as error:
            raise SlideOpenError(f"opening: {error.message}", subject=url) from error
        except OSError as error:
            raise SlideOpenError(
                f"copying it to the cache: the system says {error.strerror!r}; free space there, or give another "
                "--cache-dir",
                subject=url,
            ) from error

    def _copy(self, url: str, parts: list[Part]) -> Copy:
        size = sum(part.size for part in parts)
        if size > self.limit:
            raise SlideOpenError(
                f"copying it to the cache: it has {size} bytes, --cache-size allows {self.limit}: allow more",
                subject=url,
            )
        entry = self.folder / _key(url, parts)
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            lock = _locked(_lock_of(entry), fcntl.LOCK_SH)
            if entry.exists():
                os.utime(lock)
                return Copy(entry / parts[0].name.partition("/")[0], lock)
            os.close(lock)
            self._make(entry, parts, size)

    def _make(self, entry: Path, parts: list[Part], size: int) -> None:
        """Copy beside, then rename; whoever comes second waits here, and finds the copy of the first."""
        lock = _locked(_lock_of(entry), fcntl.LOCK_EX)
        try:
            if entry.exists():
                return
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(size).encode(), 0)
            self._make_room(entry)
            with _partial(entry) as partial:
                _download(partial, parts)
                partial.rename(entry)
                sync(self.folder)
        finally:
            if not entry.exists():
                os.ftruncate(lock, 0)
            os.close(lock)

    def _make_room(self, mine: Path) -> None:
        """Remove copies that nobody holds, the least recently opened first, until all fit."""
        gate = _locked(self.folder / "gate", fcntl.LOCK_EX)
        try:
            locks = sorted(self.folder.glob("*.lock"), key=lambda path: path.stat().st_mtime_ns)
            total = sum(map(_size, locks))
            for path in locks:
                if total <= self.limit:
                    return
                if path != _lock_of(mine):
                    total -= _removed(path)
        finally:
            os.close(gate)


def cache() -> Cache:
    """The cache that the environment names. Raises UsageError for a size that is none."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get(DIR) or home / "wsipipe" / "slides")
    return Cache(folder, byte_count(os.environ.get(SIZE) or USUAL_SIZE))


def use(folder: Path | None, size: str | None) -> None:
    """Take the cache of a command's options, here and in the processes that it starts."""
    if folder is not None:
        os.environ[DIR] = str(folder.absolute())
    if size is not None:
        byte_count(size)
        os.environ[SIZE] = size


def byte_count(text: str) -> int:
    """Bytes of ``50GB``, ``1.5 TB`` or ``1000000``; units are powers of 1,000. Raises UsageError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)?\s*", text, re.IGNORECASE)
    if found is None:
        raise UsageError(f"a cache's size is a number with KB, MB, GB or TB, got {text!r}", subject="--cache-size")
    return int(float(found[1]) * _UNITS[(found[2] or "").upper()])


def _key(url: str, parts: list[Part]) -> str:
    told = repr((url, sorted((part.name, part.size, part.etag) for part in parts)))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _lock_of(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.lock")


def _locked(path: Path, how: int) -> int:
    """An open, locked file; waits unless `how` says otherwise. One that was removed meanwhile is made anew."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, how)
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except OSError:
            os.close(lock)
            raise
        os.close(lock)


def _size(lock: Path) -> int:
    try:
        return int(lock.read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0


def _removed(path: Path) -> int:
    """Remove a copy with its lock, and what a killed process left of one; how many bytes, 0 where it is in use."""
    try:
        lock = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    try:
        size, entry = _size(path), path.with_suffix("")
        for folder in (entry, _partial_of(entry)):
            shutil.rmtree(folder, ignore_errors=True)
        path.unlink()
        return size
    finally:
        os.close(lock)


def _partial_of(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.partial")


@contextmanager
def _partial(entry: Path) -> Iterator[Path]:
    """An empty folder to copy into; gone afterwards unless it was renamed."""
    partial = _partial_of(entry)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _download(folder: Path, parts: list[Part]) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for part in parts:
            path = folder / part.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                handle = file.fileno()
                starts = range(0, part.size, CHUNK)
                for _ in pool.map(lambda start, part=part, handle=handle: _fetch(part, handle, start), starts):
                    pass
            sync(path)
            sync(path.parent)
            part.check()


def _fetch(part: Part, handle: int, start: int) -> None:
    data = part.read(start, min(start + CHUNK, part.size))
    if os.pwrite(handle, data, start) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
