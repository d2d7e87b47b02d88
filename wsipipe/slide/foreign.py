"""What is left, through TIAToolbox: large JPEG 2000 files, and OME-Zarr that `wsipipe.slide.ngff` refuses.

Enters: a path. Leaves: a `Slide`. Next rooms: all that read slides. Chosen last: importing TIAToolbox takes seconds.

TIAToolbox's readers interpolate between levels; here only stored pixels are asked of them, level by level, and the
resampling is ours. Its guess of mpp from the magnification is switched off.
"""

from __future__ import annotations

import threading
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from wsipipe.errors import SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.slide.identity import file_fingerprint, joint_fingerprint, slide_id
from wsipipe.slide.reader import Reader, brief, choose_scene
from wsipipe.slide.scale import with_mpp_yx

FOREIGN_ERRORS = (
    RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, ImportError,
    NotImplementedError,
)  # fmt: skip
"""What TIAToolbox, glymur (JPEG 2000) and Zarr raise on what they cannot read, a missing OpenJPEG library included."""


class ForeignSlide(Reader):
    """A slide that TIAToolbox reads; one read at a time, its readers say nothing of threads."""

    def __init__(self, info: SlideInfo, *, slide_id: str, subject: str, reader: Any) -> None:
        super().__init__(info, slide_id=slide_id, subject=subject)
        self._reader, self._alone = reader, threading.Lock()

    def _pixels(self, level: int, box: Box, plane: int) -> Pixels:  # noqa: ARG002 (one plane)
        scale = int(self._info.levels[level].downsample)
        bounds = (box.x * scale, box.y * scale, box.x1 * scale, box.y1 * scale)
        try:
            with self._alone:
                pixels = np.asarray(self._reader.read_bounds(bounds, resolution=level, units="level"))
        except FOREIGN_ERRORS as exc:
            raise SlideReadError(
                f"decoding {box} of level {level}: {brief(exc)}: the file is damaged there, copy or export it again",
                subject=self._subject,
            ) from exc
        if pixels.shape != (*box.shape, 3):
            raise SlideReadError(
                f"decoding {box} of level {level}: TIAToolbox gave {pixels.shape}", subject=self._subject
            )
        return pixels

    def _release(self) -> None:
        self._reader = None


def open_foreign(path: Path, scene: int | None = None) -> ForeignSlide:
    """Open with TIAToolbox.

    Raises
    ------
    SlideOpenError
        Where it refuses, or the OpenJPEG library that its JPEG 2000 reader loads is not installed.
    """
    choose_scene(["whole slide"], scene, path)
    try:
        with warnings.catch_warnings(action="ignore"):  # glymur warns of what it then raises
            reader = _reader(path)
            known = reader.info
    except FOREIGN_ERRORS as exc:
        raise SlideOpenError(f"{brief(exc, path)}{_cure(path)}", subject=str(path)) from exc
    fingerprint = _fingerprint(path)
    info = SlideInfo(
        _levels(path, known), None, 3, np.dtype(np.uint8), fingerprint, f"tiatoolbox {version('tiatoolbox')}",
        objective=known.objective_power, vendor=str(known.vendor or "").lower().replace("none", ""),
    )  # fmt: skip
    mpp_yx = (None, None) if known.mpp is None else (float(known.mpp[1]), float(known.mpp[0]))
    return ForeignSlide(
        with_mpp_yx(info, mpp_yx), slide_id=slide_id(path, fingerprint), subject=str(path), reader=reader
    )


def _reader(path: Path) -> Any:
    """TIAToolbox's reader for the path, without its guess of mpp from the magnification."""
    from tiatoolbox.wsicore import wsireader  # deferred: takes seconds

    kind: Any = wsireader.NGFFWSIReader if path.is_dir() else wsireader.JP2WSIReader

    def as_stored(objective_power: Any, mpp: Any) -> tuple[Any, Any]:
        return objective_power, mpp

    exact = type("Exact", (kind,), {"_estimate_mpp_objective_power": staticmethod(as_stored)})
    return exact(path, post_proc=None)


def _levels(path: Path, known: Any) -> tuple[Level, ...]:
    """JPEG 2000's halves as far as both sides stay whole; of a Zarr level 0 only, the others are read shifted."""
    width, height = (int(side) for side in known.slide_dimensions)
    halves = 1 if path.is_dir() else int(known.level_count)
    return tuple(
        Level((height >> i, width >> i), float(1 << i))
        for i in range(halves)
        if i == 0 or min(height >> i, width >> i) > 0
    )


def _fingerprint(path: Path) -> str:
    """Of a file; of a Zarr, of its metadata and the sizes of its chunks."""
    if path.is_file():
        return file_fingerprint(path)
    files = sorted(item for item in path.rglob("*") if item.is_file())
    return joint_fingerprint(
        file_fingerprint(item)
        if item.name.startswith((".z", "zarr."))
        else f"{item.relative_to(path)} {item.stat().st_size}"
        for item in files
    )


def _cure(path: Path) -> str:
    return ": JPEG 2000 needs the OpenJPEG library (conda: openjpeg)" if path.is_file() else ""
