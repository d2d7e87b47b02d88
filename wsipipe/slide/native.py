"""Native tiles: which ones a box touches, put together, with the decoded ones kept for a while.

Enters: a function that decodes one tile. Leaves: a box of pixels. Next rooms: `wsipipe.slide.tiled`,
`wsipipe.slide.dicom`.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator

from wsipipe.grid import Box
from wsipipe.slide.base import Pixels

MOST_PX = 500_000_000
"""Largest tile, strip, frame or picture that is decoded in one piece; more is a damaged header or an untiled file."""
CACHE_BYTES = 32 * 2**20
"""Decoded tiles that one slide keeps: 170 of 256 x 256 x 3 bytes, a row of a 40,000 px wide slide."""

DECODE_ERRORS = (
    RuntimeError, ValueError, TypeError, IndexError, KeyError, ArithmeticError, OSError, ImportError, SyntaxError,
    struct.error, zlib.error,
)  # fmt: skip
"""What tifffile, pydicom, Pillow and imagecodecs raise on damaged tiles (imagecodecs' errors are RuntimeErrors).

Pillow says SyntaxError of a damaged PNG; NotImplementedError and RecursionError are RuntimeErrors."""


class TileCache:
    """The tiles used last, within a number of bytes; safe for several threads.

    Two threads that miss the same tile at once both decode it: waiting for each other costs more.
    """

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._tiles: OrderedDict[Hashable, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, decode: Callable[[], Pixels], *, keep: bool = True) -> Pixels:
        """The tile of `key`, decoded now if it is not held, and held if it is to be kept. Not to be written to."""
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
        tile = decode()
        if keep:
            self._keep(key, tile)
        return tile

    def peek(self, key: Hashable) -> Pixels | None:
        """The tile of `key` if it is held."""
        with self._lock:
            return self._tiles.get(key)

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._tiles.clear()
            self.held_bytes = 0

    def _keep(self, key: Hashable, tile: Pixels) -> None:
        """Hold a tile; the last one stays even if it alone is over the limit (a picture in one strip)."""
        with self._lock:
            if key in self._tiles:
                return
            self._tiles[key] = tile
            self.held_bytes += tile.nbytes
            while self.held_bytes > self.most_bytes and len(self._tiles) > 1:
                self.held_bytes -= self._tiles.popitem(last=False)[1].nbytes


def cells(box: Box, tile: tuple[int, int]) -> Iterator[tuple[int, int, Box]]:
    """Row, column and box of every tile of shape `tile` that `box` touches, in row-major order."""
    for row in range(box.y // tile[0], -(-box.y1 // tile[0])):
        for column in range(box.x // tile[1], -(-box.x1 // tile[1])):
            yield row, column, Box(row * tile[0], column * tile[1], *tile)


def assemble(
    out: Pixels, box: Box, tile: tuple[int, int], fetch: Callable[[int, int, bool], Pixels | None], *, fill: int
) -> None:
    """Put the native tiles that a box touches where they belong.

    Parameters
    ----------
    out : (height, width, channel) array
        The pixels of `box`; every one is written.
    box : Box
        Inside the plane.
    tile : (int, int)
        Height and width of a native tile.
    fetch : callable
        Row and column to the tile's ``(height, width, channel)``, cut short at the plane's edge or not; None where the
        file stores none, which leaves `fill`. Third, whether the tile reaches past the box: the next box will want it.
    """
    for row in range(box.y // tile[0], -(-box.y1 // tile[0])):
        top = row * tile[0]
        y, y1 = max(box.y, top), min(box.y1, top + tile[0])
        for column in range(box.x // tile[1], -(-box.x1 // tile[1])):
            left = column * tile[1]
            x, x1 = max(box.x, left), min(box.x1, left + tile[1])
            reaches_past = y1 - y < tile[0] or x1 - x < tile[1]
            pixels = fetch(row, column, reaches_past)
            part = fill if pixels is None else pixels[y - top : y1 - top, x - left : x1 - left]
            out[y - box.y : y1 - box.y, x - box.x : x1 - box.x] = part
