"""A file system for DuckDB that opens given files, and only for reading.

Enters: paths of the catalogue. Leaves: names that DuckDB may read. Next room: `wsipipe.query.engine`.

DuckDB's own ``allowed_paths`` lets COPY write what it lets a view read; through this door nothing can be written.
"""

from __future__ import annotations

import datetime
import os
import threading
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem


class OpenFile:
    """A file open for reading, with a position of its own for every thread: DuckDB's threads share one handle."""

    def __init__(self, path: Path) -> None:
        self._handle, self._at = os.open(path, os.O_RDONLY), threading.local()
        self.closed = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move this thread's position."""
        if whence != os.SEEK_SET:
            offset += self.tell() if whence == os.SEEK_CUR else os.fstat(self._handle).st_size
        self._at.offset = offset
        return offset

    def tell(self) -> int:
        """Where this thread reads next."""
        return int(getattr(self._at, "offset", 0))

    def read(self, size: int) -> bytes:
        """Bytes from this thread's position on."""
        at = self.tell()
        data = os.pread(self._handle, size, at)
        self._at.offset = at + len(data)
        return data

    def close(self) -> None:
        """Close once."""
        if not self.closed:
            self.closed = True
            os.close(self._handle)


class ReadOnlyFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no type hints
    """Files under made-up names; every way to change one keeps the base class's refusal."""

    protocol = "wsicatalogue"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, Path] = {}

    @property
    def names(self) -> list[str]:
        """All names given out."""
        return [f"{self.protocol}://{name}" for name in self._files]

    def add(self, path: Path) -> str:
        """Allow a file; returns the name to read it by."""
        name = f"{len(self._files)}.parquet"
        self._files[name] = path
        return f"{self.protocol}://{name}"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and type of a file."""
        name = self._known(path)
        stat = self._files[name].stat()
        return {"name": name, "size": stat.st_size, "type": "file", "mtime": stat.st_mtime}

    def modified(self, path: str) -> datetime.datetime:
        """When a file was last written."""
        return datetime.datetime.fromtimestamp(self.info(path)["mtime"], tz=datetime.UTC)

    def glob(self, path: str, **_: Any) -> list[str]:
        """The file itself: no pattern is followed."""
        name = self._strip_protocol(path)
        return [name] if name in self._files else []

    def open(self, path: str, mode: str = "rb", **_: Any) -> OpenFile:
        """Open for reading; PermissionError for anything else."""
        if mode not in {"r", "rb"}:
            raise PermissionError("the catalogue is read-only for SQL")
        return OpenFile(self._files[self._known(path)])

    def _known(self, path: str) -> str:
        name: str = self._strip_protocol(path)
        if name not in self._files:
            raise FileNotFoundError("no such file in the catalogue")
        return name
