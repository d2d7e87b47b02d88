"""The slides of a results directory as the server hands them out: looked up by id in a table, opened when asked for.

Enters: a results directory. Leaves: `Shown`, one slide with its pixels, map, shapes and rows. Next room:
`wsipipe.view.handlers`.

An id is only ever compared with the ids of ``slides.parquet``. Nothing that a request names becomes a part of a path.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wsipipe.errors import StoreError, UsageError
from wsipipe.query.results import Results, SlideResult, open_results
from wsipipe.slide import MemorySlide
from wsipipe.store import published
from wsipipe.store.layout import SLIDES_FILE, store_path
from wsipipe.store.lazy import Lazy
from wsipipe.view.deepzoom import DeepZoom
from wsipipe.view.encode import heat_png, jpeg, ramp
from wsipipe.view.ground import Ground, as_rgb
from wsipipe.view.recent import Recent
from wsipipe.view.whereabouts import Whereabouts

OPEN_SLIDES = 4
"""Slides that the server keeps open; one that is let go is closed by whoever reads it last."""
HEAT, OVERVIEW = "images/probability", "images/overview"
THUMBNAIL_PX, FINEST = 320, 10**9
METADATA = "zarr.json"
"""Of a store's root; replaced last when a slide is published anew."""


@dataclass(frozen=True)
class Shown:
    """One finished slide, opened.

    Parameters
    ----------
    result : SlideResult
    ground : Ground
        Its pixels.
    key : str
        Of what is published; part of every ETag.
    """

    result: SlideResult
    ground: Ground
    key: str

    @cached_property
    def heat(self) -> list[Lazy]:
        """The stored levels of the probability map as uint8, finest first; none where there is no map."""
        try:
            count = published.levels(self.result.path, HEAT)
        except StoreError:
            return []
        return [published.picture(self.result.path, HEAT, level=level) for level in range(count)]

    @cached_property
    def tiles(self) -> Any:
        """The tile table with ``tile_id`` as its index too."""
        found = self.result.tiles
        return found.set_index("tile_id", drop=False) if len(found) else found

    def pixels(self, level: int, row: int, column: int) -> bytes:
        """JPEG of a Deep Zoom tile of the slide."""
        return jpeg(self.ground.tile(level, row, column))

    def heat_tile(self, level: int, row: int, column: int) -> bytes:
        """PNG of a tile of the map; level 0 is the coarsest that is stored, and tiles are as large as the slide's."""
        if not 0 <= level < len(self.heat):
            raise IndexError(f"the map has {len(self.heat)} levels, got {level}")
        source, side = self.heat[-1 - level], self.ground.zoom.tile
        rows, columns = (-(-length // side) for length in source.shape)
        if not (0 <= row < rows and 0 <= column < columns):
            raise IndexError(f"level {level} of the map has {rows} x {columns} tiles")
        return heat_png(source[row * side : (row + 1) * side, column * side : (column + 1) * side])

    def thumbnail(self) -> bytes:
        """JPEG of the whole slide, at most 320 pixels a side or the smallest that is stored."""
        return jpeg(_overview(self.result.path, longest_px=THUMBNAIL_PX)[0])


class Shelf:
    """All slides of a results directory.

    Parameters
    ----------
    results : path
    slides : path, optional
        Where slides are looked for that are not where they were; see `Whereabouts`.

    Raises
    ------
    UsageError
        Where there are no results, or no slides below `slides`.
    """

    def __init__(self, results: str | Path, slides: Path | None = None) -> None:
        self._results, self._stamp = open_results(results), -1
        self._done: frozenset[str] = frozenset()
        self._where = Whereabouts(slides)
        self._open: Recent[Shown] = Recent(OPEN_SLIDES, lambda _: 1)
        self._opening = threading.Lock()

    def warm(self) -> None:
        """Read one slide's rows and shapes, so that the libraries it takes are loaded before anybody waits."""
        ramp()
        with contextlib.suppress(StoreError):
            for slide_id in self.results.done[:1]:
                result = self.results.slide(slide_id)
                _ = len(result.tiles), len(result.regions)

    @property
    def results(self) -> Results:
        """The results; read again once a running batch has added a slide."""
        stamp = _stamp(self._results.path / SLIDES_FILE)
        if stamp != self._stamp:
            self._results, self._stamp = open_results(self._results.path), stamp
            self._done = frozenset(self._results.done)
        return self._results

    def shown(self, slide_id: str) -> Shown:
        """The slide of exactly this id.

        Raises
        ------
        KeyError
            Where the table has no finished slide of this id.
        StoreError
            Where its store is not published, damaged, or leads out of the results.
        """
        results = self.results
        if slide_id not in self._done:
            raise KeyError(slide_id)
        key = slide_id, _stamp(store_path(results.path, slide_id) / METADATA)
        return self._open.get(key) or self._once(key, results.slide(slide_id))

    def _once(self, key: tuple[str, int], result: SlideResult) -> Shown:
        """Opened by the first who asks; the others wait, but nobody who asks for a slide that is open already."""
        with self._opening:
            found = self._open.get(key)
            if found is None:
                found = self._opened(result)
                self._open.put(key, found)
        return found

    def _opened(self, result: SlideResult) -> Shown:
        check_inside(result.path, self._results.path)
        key = str(published.marked(result.path)["published"])
        return Shown(result, self._ground(result), key)

    def _ground(self, result: SlideResult) -> Ground:
        slide = self._where.open(result.row)
        shape = slide.info.shape if slide else _shape(result)
        try:
            pixels, l0_scale = _overview(result.path, longest_px=FINEST)
        except StoreError:
            if slide is None:
                raise
            return Ground(DeepZoom(shape), slide, None)
        return Ground(DeepZoom(shape), slide, MemorySlide(pixels, name="overview"), l0_scale)


def check_inside(store: Path, results: Path) -> None:
    """Refuse a store that leads out of its results directory, by its name or by a link anywhere in it.

    Raises
    ------
    StoreError
    """
    home = results.resolve()
    if store.resolve().parent != home:
        raise StoreError("opening a slide's results: its store is not in the results directory", subject=store.name)
    for folder, folders, files in os.walk(store):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                raise StoreError(
                    f"opening a slide's results: {path.relative_to(store)} is a link that leads out of the results "
                    "directory; copy what it points to",
                    subject=store.name,
                )


def _stamp(path: Path) -> int:
    """When a file was last replaced; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _shape(result: SlideResult) -> tuple[int, int]:
    """Of the slide's level 0, as the run recorded it."""
    height, width = result.record.get("source", {}).get("shape", (0, 0))
    if not height or not width:
        raise StoreError(
            "opening a slide's results: the slide was not found, and its size is not recorded; give --slides",
            subject=result.id,
        )
    return int(height), int(width)


def _overview(store: Path, *, longest_px: int) -> tuple[Any, float]:
    """Pixels of the published overview at the finest level of at most this size, and level-0 pixels per pixel."""
    red, green, blue = (published.small(store, OVERVIEW, longest_px=longest_px, channel=c) for c in range(3))
    return as_rgb(np.stack([np.asarray(red), np.asarray(green), np.asarray(blue)], axis=-1)), red.l0_scale


def chosen(shelf: Shelf, begin: str | None) -> str | None:
    """The id of the slide that the user names by its beginning. Raises UsageError where there is none such."""
    if begin is None:
        return None
    found = shelf.results.slide(begin)
    try:
        check_inside(found.path, shelf.results.path)
    except StoreError as error:
        raise UsageError(error.message, subject=error.subject) from error
    return found.id
