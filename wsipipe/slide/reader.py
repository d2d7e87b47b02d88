"""What all readers share: the checks, the plane's edge, the resample, and closing while others still read.

Enters: a stored level's pixels, from a reader's ``_pixels``. Leaves: a `Slide`. Next rooms: all that read slides.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wsipipe.errors import MppError, SlideOpenError, SlideReadError
from wsipipe.grid import Box, Frame, source_level
from wsipipe.slide.base import Pixels, SlideInfo
from wsipipe.slide.damage import Damage
from wsipipe.slide.icc import ToSrgb
from wsipipe.slide.resample import fill_area
from wsipipe.units import SANE_MPP, Mpp, is_sane

if TYPE_CHECKING:
    from wsipipe.slide.cache import Copy
    from wsipipe.slide.tiled import TiffTiles


class Reader:
    """A `Slide` but for the decoding: a reader gives `_pixels` or `_into` and, where it holds something, `_release`.

    Parameters
    ----------
    info : SlideInfo
        The facts.
    slide_id : str
        See `wsipipe.slide.identity.slide_id`.
    subject : str
        What errors are about: the path.
    """

    def __init__(self, info: SlideInfo, *, slide_id: str, subject: str) -> None:
        self._info, self._id, self._subject = info, slide_id, subject
        self._gate = threading.Condition()
        self._readers = 0
        self._closed = False
        self._copy: Copy | None = None
        self._colour: ToSrgb | None = None

    @property
    def id(self) -> str:
        """The name's stem and the first twelve hex digits of the fingerprint."""
        return self._id

    @property
    def info(self) -> SlideInfo:
        """What is known without reading pixels."""
        return self._info

    def replace_mpp(self, mpp: float) -> None:
        """Take `mpp` for what the file says; `open_slide` does, before anyone else has the slide.

        Raises
        ------
        MppError
            Outside 0.05 to 20.
        """
        if not is_sane(mpp):
            raise MppError(
                f"opening with a given mpp: it is {SANE_MPP[0]:g} to {SANE_MPP[1]:g} micrometres per pixel, "
                f"got {mpp:g}: give the true value",
                subject=self._subject,
            )
        self._info = self._info.with_mpp(mpp)

    def to_srgb(self) -> None:
        """Give all pixels in sRGB from now on, by the file's ICC profile; a slide without one stays as it is.

        `open_slide` does, before anyone else has the slide. ``info.reader`` says so, and with it the keys of all that
        is computed.

        Raises
        ------
        SlideOpenError
            Where the profile cannot be used.
        """
        if self._info.icc and self._info.channels == 3 and self._info.dtype == np.uint8:
            self._colour = ToSrgb(self._info.icc, subject=self._subject)
            self._info = replace(self._info, reader=f"{self._info.reader}; ICC to sRGB")

    def mask_damage(self) -> None:
        """Leave native tiles that cannot be decoded white from now on, and tell of them by `damaged`.

        `open_slide` does, before anyone else has the slide. Only where native tiles are decoded directly (`tiled`,
        `whole`); other readers go on to raise. ``info.reader`` says so, and with it the keys of all that is computed.
        """
        tiles = self._native_tiles()
        if tiles is not None:
            tiles.damage = Damage()
            self._info = replace(self._info, reader=f"{self._info.reader}; damage masked")

    def damaged(self, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0) -> float:
        """Share of a box that was read and could not be decoded; see `wsipipe.slide.base.Slide.damaged`."""
        tiles = self._native_tiles()
        if tiles is None or tiles.damage is None:
            return 0.0
        stored = self._level_of(frame, level)
        if stored is not None:
            return tiles.damage.share(stored, plane, box)
        assert frame is not None
        source, ratio = self._finer(frame)
        edges = (box.y * ratio, box.x * ratio, box.y1 * ratio, box.x1 * ratio)
        return tiles.damage.share(source, plane, Box.from_edges(*(int(edge) for edge in edges)))

    def read(self, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0) -> Pixels:
        """Pixels of `box`; see `wsipipe.slide.base.Slide.read`."""
        out = np.empty((*box.shape, self._info.channels), self._info.dtype)
        self.read_into(out, box, frame=frame, level=level, plane=plane)
        return out

    def read_into(
        self, out: Pixels, box: Box, *, frame: Frame | None = None, level: int | None = None, plane: int = 0
    ) -> None:
        """Write the pixels of `box` to `out`; see `wsipipe.slide.base.Slide.read_into`."""
        with self._reading():
            stored = self._level_of(frame, level)
            self._check_plane(plane)
            shape = frame.shape if frame else self._info.levels[stored or 0].shape
            inside = box.intersect(Box(0, 0, *shape))
            if inside != box:
                out[...] = self._info.fill
            if not inside.is_empty:
                part = out[inside.slices(box)]
                self._fill(part, inside, stored, frame, plane)
                if self._colour is not None:
                    self._colour.apply(part)

    def close(self) -> None:
        """Give back files and memory once nobody reads any more; a second call does nothing."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._gate.wait_for(lambda: self._readers == 0)
        self._release()
        if self._copy is not None:
            self._copy.release()

    def keep(self, copy: Copy, *, subject: str) -> None:
        """Hold the local copy that is read until the slide is closed; errors are about `subject` from now on."""
        self._copy, self._subject = copy, subject

    def _pixels(self, level: int, box: Box, plane: int) -> Pixels:
        """Pixels of a box inside the stored level: the same for a pixel whatever the box."""
        out = np.empty((*box.shape, self._info.channels), self._info.dtype)
        self._into(out, level, box, plane)
        return out

    def _into(self, out: Pixels, level: int, box: Box, plane: int) -> None:
        """The same, written to `out`. A reader defines one of the two: this one, where it spares a copy."""
        out[...] = self._pixels(level, box, plane)

    def _native_tiles(self) -> TiffTiles | None:
        """The file's own tiles, where they are decoded directly."""
        return None

    def _release(self) -> None:
        """Give back what is held; called once."""

    def _fill(self, out: Pixels, box: Box, stored: int | None, frame: Frame | None, plane: int) -> None:
        if stored is not None:
            self._into(out, stored, box, plane)
        elif frame is not None:
            level, ratio = self._finer(frame)
            read = partial(self._pixels, level, plane=plane)
            fill_area(out, box, read, ratio=ratio, shape=self._info.levels[level].shape)

    def _finer(self, frame: Frame) -> tuple[int, float]:
        """The level that `frame` is resampled from, and its pixels per pixel of the frame."""
        stored = tuple(Frame(at.shape, at.downsample, Mpp(at.downsample), i) for i, at in enumerate(self._info.levels))
        level = source_level(stored, frame.downsample)
        return level, frame.downsample / stored[level].downsample

    def _level_of(self, frame: Frame | None, level: int | None) -> int | None:
        """The stored level to read as it is, or None where `frame` is resampled."""
        if (frame is None) == (level is None):
            raise self._refuse("exactly one of frame and level says what the box counts in", f"{frame=}, {level=}")
        wanted = level if frame is None else frame.level
        if wanted is None:
            return None
        levels = self._info.levels
        if not 0 <= wanted < len(levels):
            raise self._refuse(f"a level from 0 to {len(levels) - 1} is stored", str(wanted))
        if frame is not None and frame.shape != levels[wanted].shape:
            raise self._refuse(
                f"level {wanted} is {levels[wanted].shape}, and a frame must be this slide's", str(frame)
            )
        return wanted

    def _check_plane(self, plane: int) -> None:
        if not 0 <= plane < self._info.planes:
            raise self._refuse(f"a plane from 0 to {self._info.planes - 1} is stored", str(plane))

    def _refuse(self, rule: str, got: str) -> SlideReadError:
        return SlideReadError(f"reading pixels: {rule}, got {got}", subject=self._subject)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._gate:
            if self._closed:
                raise SlideReadError("reading pixels: the slide was closed, open it again", subject=self._subject)
            self._readers += 1
        try:
            yield
        finally:
            with self._gate:
                self._readers -= 1
                self._gate.notify_all()


def choose_scene(scenes: list[str], wanted: int | None, path: Path) -> int:
    """The scene that is asked for, or the only one.

    Raises
    ------
    SlideOpenError
        Where there are several and none is asked for, or fewer than asked for; they are listed.
    """
    listed = "; ".join(f"{i}: {name}" for i, name in enumerate(scenes))
    if wanted is None and len(scenes) > 1:
        raise SlideOpenError(f"it holds {len(scenes)} scenes, choose one with scene= ({listed})", subject=str(path))
    if wanted is not None and not 0 <= wanted < len(scenes):
        raise SlideOpenError(f"it has no scene {wanted}, choose from those it holds ({listed})", subject=str(path))
    return wanted or 0


def brief(exc: BaseException, path: Path | None = None) -> str:
    """An error of a library on one line of at most 160 characters, without the file's path."""
    said = str(exc) if path is None else str(exc).replace(str(path), "the file")
    return f"{type(exc).__name__} {' '.join(said.split())}"[:160]
