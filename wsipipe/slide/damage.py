"""Which parts of a file could not be decoded, where a run asks that they be passed over in white.

Enters: native tiles that failed. Leaves: what share of a box they are. Next rooms: `wsipipe.slide.tiled` fills it,
`wsipipe.run` records the shares.

A tile that was read before it is asked about: reading a box tries every native tile that touches it, so the share of a
box that was read is the same in whatever order and by however many threads a slide is read.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Literal

from wsipipe.grid import Box

Damaged = Literal["fail", "mask"]
"""What a native tile that cannot be decoded means: an error, or white pixels that are recorded."""


class Damage:
    """The native tiles of one slide that failed; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: dict[tuple[int, int], set[Box]] = defaultdict(set)

    def add(self, level: int, plane: int, box: Box) -> None:
        """A native tile, in pixels of its level."""
        with self._lock:
            self._boxes[level, plane].add(box)

    def share(self, level: int, plane: int, box: Box) -> float:
        """Share of a box of a level, 0 to 1, that failed tiles cover; of what was read so far."""
        with self._lock:
            boxes = tuple(self._boxes.get((level, plane), ()))
        area = sum(part.height * part.width for part in (one.intersect(box) for one in boxes) if not part.is_empty)
        return area / max(1, box.height * box.width)
