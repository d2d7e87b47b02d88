"""A GeoJSON FeatureCollection written feature by feature, compressed beside the writing.

Enters: texts of features. Leaves: one ``.geojson`` or ``.geojson.gz``. Next room: `wsipipe.export.outline`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from wsipipe.export.place import placed
from wsipipe.export.text import SEPARATOR

LEVEL = 1
"""Of zlib: a higher one costs more time than it saves bytes, tiles being so alike."""
GZIP = 31
"""zlib's window bits for a gzip file; its header then says no time, so equal features give equal bytes."""


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: Any, /) -> Any:
        """Take some bytes."""
        ...


class Compressed:
    """Bytes compressed by a second thread while the first makes the next ones; at most one piece waits."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._coder = file, zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        self._pool, self._waiting = ThreadPoolExecutor(1), Future[None]()
        self._waiting.set_result(None)

    def write(self, data: Any) -> None:
        """Take bytes, once those before are compressed; raises what went wrong with them."""
        self._waiting.result()
        self._waiting = self._pool.submit(self._put, data)

    def end(self) -> None:
        """Write the end of the file."""
        self._waiting.result()
        self._file.write(self._coder.flush())

    def release(self) -> None:
        """Let the thread go."""
        self._pool.shutdown()

    def _put(self, data: Any) -> None:
        self._file.write(self._coder.compress(data))


class Collection:
    """An open FeatureCollection."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._empty = sink, True
        sink.write(b'{"type":"FeatureCollection","features":[\n')

    def add(self, feature: Mapping[str, Any]) -> None:
        """One feature. Raises ValueError for NaN, which JSON does not have."""
        self.extend(f"{SEPARATOR}{json.dumps(feature, allow_nan=False, separators=(',', ':'))}".encode())

    def extend(self, features: bytes | memoryview) -> None:
        """Texts of features, each with `SEPARATOR` before it."""
        if len(features):
            self._sink.write(features[len(SEPARATOR) :] if self._empty else features)
            self._empty = False

    def end(self) -> None:
        """Close the list."""
        self._sink.write(b"\n]}\n")


@contextmanager
def collection(path: Path, *, gzip: bool) -> Iterator[Collection]:
    """A FeatureCollection that takes the place of `path` when the block has ended."""
    with placed(path) as partial, partial.open("wb") as file:
        sink = Compressed(file) if gzip else None
        try:
            features = Collection(sink or file)
            yield features
            features.end()
            if sink:
                sink.end()
        finally:
            if sink:
                sink.release()
