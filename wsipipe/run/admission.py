"""In which order slides are taken up: the largest first, so that the last hours are not one worker's alone.

Enters: sources. Leaves: the same sources with their places in the list. Next room: `wsipipe.run.batch`.

The order is a function of the sources, never of the workers. Two copies of one file have one size, so they stay
next to each other in the order in which they were given, and the first of them is the one that counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wsipipe.run.source import Source


def largest_first(sources: Iterable[Source]) -> list[tuple[int, Source]]:
    """Sources with their place in the list given, by descending size; equal sizes as given."""
    return sorted(enumerate(sources), key=lambda placed: -size(placed[1]))


def size(source: Source) -> int:
    """Bytes of a slide's file, or of the files right inside its folder; 0 where that cannot be known cheaply."""
    path = Path(source.path)
    try:
        if not path.is_dir():
            return path.stat().st_size
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except (OSError, ValueError):  # missing, forbidden, an address, a name with a null byte: opening it will tell
        return 0
