"""A folder of microscope fields as one slide: every field is a plane, all of one shape, colour and depth.

Enters: a folder of pictures, and how they lie. Leaves: a `Slide` of planes that knows where each field is said to
be. Next rooms: `wsipipe.stitch` finds where they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.slide.field_places import TABLE, Arrangement, Place, places
from wsipipe.slide.find import EXTENSIONS
from wsipipe.slide.identity import joint_fingerprint, slide_id
from wsipipe.slide.reader import Reader

MOST_OPEN = 3
"""Fields that are held open, and for pictures decoded, at once."""


class FieldsSlide(Reader):
    """Fields as planes; see `wsipipe.slide.base.Slide`.

    Attributes
    ----------
    places : tuple of Place
        One per plane.
    known_by : str
        ``names``, ``table`` or ``stage``.
    """

    def __init__(
        self, info: SlideInfo, *, slide_id: str, folder: Path, places: Sequence[Place], known_by: str = "names"
    ) -> None:
        super().__init__(info, slide_id=slide_id, subject=str(folder))
        self.places, self.known_by = tuple(places), known_by
        self._folder = folder
        self._open: OrderedDict[int, Reader] = OrderedDict()
        self._opening = threading.Lock()

    def _pixels(self, level: int, box: Box, plane: int) -> Pixels:
        return self._field(plane).read(box, level=level)

    def _field(self, plane: int) -> Reader:
        """The field's own reader; the least recently used beyond `MOST_OPEN` is let go, its last reader frees it."""
        with self._opening:
            if plane not in self._open:
                self._open[plane] = _opened(self._folder / self.places[plane].file)
            self._open.move_to_end(plane)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return self._open[plane]

    def _release(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def open_fields(path: str | Path, how: Arrangement | None = None) -> FieldsSlide:
    """Open a folder of fields.

    Parameters
    ----------
    path : path
        A folder; the pictures directly in it are the fields. Names that start with a dot are left out.
    how : Arrangement, optional
        How it is known where they lie; by default ``fields.csv``, else the usual names.

    Returns
    -------
    FieldsSlide
        Planes by row and column, or by y and x. One level: coarser ones of a pyramid are not used. Alpha is laid on
        white (grey on black), as for every slide.

    Raises
    ------
    SlideOpenError
        No pictures, fields of different size, channels or depth, or places that are not known; see
        `wsipipe.slide.field_places.places`.
    """
    folder = Path(path)
    files = field_files(folder)
    if not files:
        raise SlideOpenError(
            "opening fields: no picture is in the folder: give a folder of fields", subject=str(folder)
        )
    placed, known_by = places(files, how or Arrangement(), folder=folder)
    infos = [_info(folder / place.file) for place in placed]
    _refuse_unlike(placed, infos, folder)
    print_ = joint_fingerprint(
        f"{place.file} {place.cell} {place.yx} {info.fingerprint}" for place, info in zip(placed, infos, strict=True)
    )
    first = infos[0]
    info = replace(
        first, levels=(Level(first.shape, 1.0),), fingerprint=print_, planes=len(placed), vendor="fields",
        reader=f"fields of {first.reader}", associated=(), properties={}, bounds=None,
    )  # fmt: skip
    return FieldsSlide(info, slide_id=slide_id(folder, print_), folder=folder, places=placed, known_by=known_by)


def field_files(folder: Path) -> list[str]:
    """Names of the pictures directly in a folder, sorted.

    Raises
    ------
    SlideOpenError
        Where it is no folder, or may not be read.
    """
    try:
        names = sorted(one.name for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    except OSError as error:
        raise SlideOpenError(
            f"opening fields: the system says {error.strerror!r}: give a folder of pictures", subject=str(folder)
        ) from error
    return [name for name in names if Path(name).suffix.lower() in EXTENSIONS and name != TABLE]


def _opened(path: Path) -> Reader:
    from wsipipe.slide.choose import open_local  # deferred: that module opens folders of fields through this one

    return open_local(path)


def _info(path: Path) -> SlideInfo:
    field = _opened(path)
    try:
        return field.info
    finally:
        field.close()


def _refuse_unlike(placed: Sequence[Place], infos: Sequence[SlideInfo], folder: Path) -> None:
    """Fields of one slide are of one size, number of channels and depth; what most are is the rule."""
    kinds = [(info.shape, info.channels, info.dtype.name) for info in infos]
    usual = max(set(kinds), key=lambda kind: (kinds.count(kind), str(kind)))
    other = [(place.file, kind) for place, kind in zip(placed, kinds, strict=True) if kind != usual]
    if other:
        (height, width), channels, dtype = usual
        file, ((high, wide), bands, depth) = other[0]
        raise SlideOpenError(
            f"opening fields: all are of one size and colour, most are {height} x {width} px, {channels} channels of "
            f"{dtype}, but {file} is {high} x {wide} px, {bands} channels of {depth} ({len(other)} such): convert or "
            "remove them",
            subject=str(folder),
        )
