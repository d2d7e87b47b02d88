"""Features of tiles as text, a column at a time: no Python string per tile.

Enters: columns of a tile table. Leaves: bytes of GeoJSON features, and UUIDs. Next rooms: `wsipipe.export.outline`.

Arrow turns columns into strings and joins them row by row; a million tiles cost seconds, not minutes, and memory is
bounded by `ROWS` tiles.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

ROWS = 20_000
"""Tiles whose text is in memory at once."""
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://wsipipe/export")
SEPARATOR = ",\n"

Piece: TypeAlias = str | pa.Array
"""Text of every row, or one text that all rows share."""


def named_uuid(name: str) -> uuid.UUID:
    """The UUID (version 5) of an exported object; the same name, the same UUID for ever."""
    return uuid.uuid5(NAMESPACE, name)


def uuids(prefix: str, numbers: NDArray[Any]) -> pa.Array:
    """``named_uuid(prefix + str(number))`` of every number, as text.

    Parameters
    ----------
    prefix : str
    numbers : (N,) integers

    Returns
    -------
    (N,) Arrow strings
    """
    start = hashlib.sha1(NAMESPACE.bytes + prefix.encode(), usedforsecurity=False)
    digests = b"".join(_digest(start, number) for number in numbers.tolist())
    raw = np.frombuffer(digests, np.uint8).reshape(-1, 20)[:, :16].copy()
    raw[:, 6] = raw[:, 6] & 0x0F | 0x50  # version 5
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80  # RFC 4122
    digits = np.frombuffer(raw.tobytes().hex().encode(), np.uint8).reshape(-1, 32)
    text = np.full((len(raw), 36), ord("-"), np.uint8)
    for begin, end, at in ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24)):
        text[:, at : at + end - begin] = digits[:, begin:end]
    offsets = np.arange(0, text.size + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(text))


def _digest(start: Any, number: int) -> bytes:
    one = start.copy()
    one.update(b"%d" % number)
    return bytes(one.digest())


def strings(values: NDArray[Any]) -> pa.Array:
    """Numbers as JSON writes them: shortest text that reads back as the same value of their type."""
    plain = values.astype(np.int8) if values.dtype == bool else values
    return pc.cast(pa.array(plain), pa.string())


def members(columns: Sequence[tuple[str, NDArray[Any]]]) -> Iterator[Piece]:
    """``"name":value`` of every column, with commas between; a value that is not finite leaves its member out.

    The first column must be finite throughout (JSON has no NaN, and a comma needs something before it).
    """
    for index, (name, values) in enumerate(columns):
        key = f'{"," if index else ""}"{name}":'
        finite = np.isfinite(values)
        if finite.all():
            yield from (key, strings(values))
        else:
            yield pc.if_else(pa.array(finite), joined([key, strings(values)]), "")


def joined(pieces: Sequence[Piece]) -> pa.Array:
    """One text per row: its pieces one after another."""
    return pc.binary_join_element_wise(*[pa.scalar(p) if isinstance(p, str) else p for p in pieces], "")


def box_ring(x: NDArray[Any], y: NDArray[Any], width: NDArray[Any], height: NDArray[Any]) -> list[Piece]:
    """The closed ring of every box, as a polygon's coordinates."""
    left, top, right, bottom = strings(x), strings(y), strings(x + width), strings(y + height)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    pieces: list[Piece] = ["[[["]
    for index, (across, down) in enumerate(corners):
        pieces += [*(["],["] if index else []), across, ",", down]
    return [*pieces, "]]]"]


def content(texts: pa.Array) -> memoryview:
    """All rows' bytes one after another, not copied."""
    if not len(texts):
        return memoryview(b"")
    first, last = (np.frombuffer(texts.buffers()[1], np.int32)[texts.offset + at] for at in (0, len(texts)))
    return memoryview(texts.buffers()[2])[first:last]
