"""Which slides of a folder have come to rest: slides that are still being copied wait.

Enters: the slides of a folder, looked at again and again. Leaves: those that have not changed for a while and were
not handed out as they are. Next room: `wsipipe.cli.follow` makes batches of them.

A slide of several files settles as a whole: an ``.mrxs`` with its folder, a ``.vms`` with its pictures, a DICOM file
with those beside it, a folder with all below it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

WITH_FOLDER, WITH_NEIGHBOURS = frozenset({".mrxs"}), frozenset({".vms", ".vmu", ".dcm", ""})
State = frozenset[tuple[str, int, int]]


def parts(slide: Path) -> Iterator[Path]:
    """The files that a slide is made of, as far as names tell."""
    if slide.is_dir():
        yield from (one for one in slide.rglob("*") if one.is_file())
        return
    yield slide
    if slide.suffix.lower() in WITH_FOLDER and slide.with_suffix("").is_dir():
        yield from parts(slide.with_suffix(""))
    if slide.suffix.lower() in WITH_NEIGHBOURS:
        yield from (one for one in slide.parent.iterdir() if one.is_file())


def state(slide: Path) -> State:
    """Names, sizes and times of a slide's files; empty where it is gone or cannot be looked at."""
    try:
        return frozenset((str(one), (known := one.stat()).st_size, known.st_mtime_ns) for one in parts(slide))
    except OSError:  # a file that its copier renames just now: another look will tell
        return frozenset()


@dataclass
class Settling:
    """Remembers slides from look to look.

    Parameters
    ----------
    settle_s : float
        A slide that has not changed for so long is at rest.
    """

    settle_s: float
    _since: dict[Path, tuple[State, float]] = field(default_factory=dict)
    _given: dict[Path, State] = field(default_factory=dict)

    def look(self, slides: Iterable[Path], *, now: float | None = None) -> list[Path]:
        """Slides that are at rest and were not handed out before, or have changed since; each is handed out once."""
        now = time.monotonic() if now is None else now
        return [slide for slide in slides if self._rests(slide, now)]

    def _rests(self, slide: Path, now: float) -> bool:
        found = state(slide)
        if not found or self._given.get(slide) == found:
            return False
        before, since = self._since.get(slide, (frozenset(), now))
        if before != found:
            self._since[slide] = found, now
            since = now
        if now - since < self.settle_s:
            return False
        self._given[slide] = found
        self._since.pop(slide, None)
        return True
