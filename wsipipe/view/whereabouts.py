"""Where the slide of a result is now: at the path of its row, or below a folder that the user names.

Enters: a row of ``slides.parquet``. Leaves: the open slide whose content is the row's, or None. Next room:
`wsipipe.view.shelf`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wsipipe.errors import SlideError, UsageError
from wsipipe.slide import Slide, find_slides, open_slide

SCENES = 16
"""So many scenes of a file are compared with a row's fingerprint."""


class Whereabouts:
    """Finds slides by content; what stands at a path counts only where its fingerprint is the row's.

    Parameters
    ----------
    folder : path, optional
        Searched where a slide is not at the path that its row names: files of the same name first, then all others.

    Raises
    ------
    UsageError
        Where `folder` does not exist or holds no slide.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._found = [] if folder is None else find_slides([folder])
        self._content: dict[Path, str] = {}
        self._lock = threading.Lock()

    def open(self, row: Mapping[str, Any]) -> Slide | None:
        """The slide of a row, None where it cannot be found; close it when done."""
        wanted = str(row["fingerprint"] or "")
        for path in self._candidates(str(row["path"] or "")):
            if self._content.get(path, wanted) == wanted and (slide := self._opened(path, wanted)):
                return slide
        return None

    def _candidates(self, named: str) -> Iterator[Path]:
        if named:
            yield Path(named)
        name = Path(named).name
        yield from sorted(self._found, key=lambda path: path.name != name)

    def _opened(self, path: Path, wanted: str) -> Slide | None:
        """The slide at a path if it is the wanted one; of a file with several scenes the one that is."""
        for scene in (None, *range(SCENES)):
            try:
                slide = open_slide(path, scene=scene)
            except (SlideError, UsageError):
                if scene is None and path.is_file():
                    continue  # several scenes, or no slide at all: scene 0 tells
                return None
            if slide.info.fingerprint == wanted:
                return slide
            self._remember(path, slide, scene)
            slide.close()
            if scene is None:
                return None
        return None

    def _remember(self, path: Path, slide: Slide, scene: int | None) -> None:
        if scene is None:
            with self._lock:
                self._content[path] = slide.info.fingerprint
