"""DICOM whole slides frame by frame: what OpenSlide refuses (photometric YBR_FULL, misspelt ImageType, focal planes).

Enters: a directory of one series, or a file of it. Leaves: a `Slide`. Next rooms: all that read slides.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.slide.colour import fill_of
from wsipipe.slide.dicom_files import HEADER_ERRORS, Instance, series_of, volumes_of
from wsipipe.slide.dicom_frames import Frames
from wsipipe.slide.identity import file_fingerprint, joint_fingerprint, slide_id
from wsipipe.slide.native import DECODE_ERRORS, TileCache, assemble
from wsipipe.slide.reader import Reader, brief
from wsipipe.slide.scale import MppYX, length_um, level_downsample, with_mpp_yx

_KEPT = (
    "Manufacturer", "ManufacturerModelName", "SeriesDescription", "SeriesInstanceUID", "StudyInstanceUID",
    "PhotometricInterpretation", "DimensionOrganizationType", "LossyImageCompressionMethod",
)  # fmt: skip


class DicomLevel:
    """One instance: its frames, and which of them lies where.

    ``number[plane, row, column]`` is the frame of a tile, -1 where the file has none.
    """

    def __init__(self, frames: Frames) -> None:
        self.frames, header = frames, frames.header
        self.shape = int(header.get("TotalPixelMatrixRows", 0)), int(header.get("TotalPixelMatrixColumns", 0))
        if min(self.shape) < 1:
            raise frames.refuse("it says no TotalPixelMatrixRows and -Columns")
        paths = max(int(header.get("NumberOfOpticalPaths", 1) or 1), len(header.get("OpticalPathSequence") or [0]))
        if paths > 1:
            raise frames.refuse(f"it holds {paths} optical paths, 1 is read: export them one by one")
        self.tiles = -(-self.shape[0] // frames.tile[0]), -(-self.shape[1] // frames.tile[1])
        self.number = self._sparse() if self._is_sparse() else self._full()

    @property
    def planes(self) -> int:
        """Focal planes."""
        return len(self.number)

    def mpp_yx(self) -> MppYX:
        """PixelSpacing (down, across), else the imaged volume over the pixels; both in millimetres."""
        header = self.frames.header
        shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
        measures = (shared.get("PixelMeasuresSequence") or [{}])[0]
        spacing = measures.get("PixelSpacing") or header.get("PixelSpacing")
        if spacing:
            return length_um(float(spacing[0]), "mm"), length_um(float(spacing[1]), "mm")
        down, across = (float(header.get(f"ImagedVolume{side}") or 0) for side in ("Height", "Width"))
        return length_um(down / self.shape[0], "mm"), length_um(across / self.shape[1], "mm")

    def _is_sparse(self) -> bool:
        kind = str(self.frames.header.get("DimensionOrganizationType", ""))
        return kind == "TILED_SPARSE" or (
            kind != "TILED_FULL" and "PerFrameFunctionalGroupsSequence" in self.frames.header
        )

    def _full(self) -> NDArray[np.int64]:
        """TILED_FULL: columns run fastest, then rows, then focal planes (DICOM PS3.3 C.7.6.17.3)."""
        planes = int(self.frames.header.get("TotalPixelMatrixFocalPlanes", 1) or 1)
        needed = planes * self.tiles[0] * self.tiles[1]
        if self.frames.count < needed:
            raise self.frames.refuse(f"it holds {self.frames.count} frames, {needed} are needed: copy it again")
        return np.arange(needed, dtype=np.int64).reshape(planes, *self.tiles)

    def _sparse(self) -> NDArray[np.int64]:
        """TILED_SPARSE: every frame says where it lies."""
        where = [_position(item) for item in self.frames.header.PerFrameFunctionalGroupsSequence]
        heights = sorted({z for _, _, z in where})
        number = np.full((len(heights), *self.tiles), -1, np.int64)
        for frame, (y, x, z) in enumerate(where):
            (row, dy), (column, dx) = divmod(y, self.frames.tile[0]), divmod(x, self.frames.tile[1])
            if dy or dx or not (0 <= row < self.tiles[0] and 0 <= column < self.tiles[1]):
                raise self.frames.refuse(f"frame {frame} lies at x {x}, y {y}, off the grid of its tiles")
            number[heights.index(z), row, column] = frame
        return number


class DicomSlide(Reader):
    """The volume instances of a series as levels."""

    def __init__(self, info: SlideInfo, *, slide_id: str, subject: str, levels: list[DicomLevel]) -> None:
        super().__init__(info, slide_id=slide_id, subject=subject)
        self._levels, self._cache = levels, TileCache()

    def _into(self, out: Pixels, level: int, box: Box, plane: int) -> None:
        fetch = partial(self._tile, level, plane)
        assemble(out, box, self._levels[level].frames.tile, fetch, fill=self._info.fill)

    def _tile(self, level: int, plane: int, row: int, column: int, keep: bool) -> Pixels | None:
        stored = self._levels[level]
        frame = int(stored.number[plane, row, column])
        if frame < 0:
            return None
        try:
            return self._cache.get((level, frame), partial(stored.frames.decode, frame), keep=keep)
        except DECODE_ERRORS as exc:
            raise SlideReadError(
                f"decoding frame {frame} (tile row {row}, column {column}) of level {level}, plane {plane}: "
                f"{brief(exc)}: the file is damaged there, copy or export it again",
                subject=self._subject,
            ) from exc

    def _release(self) -> None:
        self._cache.clear()
        for level in self._levels:
            level.frames.close()


def open_dicom(path: Path, scene: int | None = None) -> DicomSlide:
    """Open the series of a directory or of a file of it.

    Raises
    ------
    SlideOpenError
        No whole-slide volume, several series with none chosen, several volumes of one size, or what `Frames` refuses.
    """
    try:
        return _opened(path, series_of(path, scene))
    except HEADER_ERRORS as exc:  # pydicom reads an element's value only when it is asked for
        raise SlideOpenError(
            f"a header of its series is damaged ({brief(exc)}): copy it again", subject=str(path)
        ) from exc


def _opened(path: Path, series: list[Instance]) -> DicomSlide:
    volumes = volumes_of(series, path)
    levels = sorted((DicomLevel(Frames(item.path)) for item in volumes), key=lambda level: -level.shape[1])
    _check(levels, path)
    info = with_mpp_yx(_info(levels, series), levels[0].mpp_yx())
    return DicomSlide(info, slide_id=slide_id(path, info.fingerprint), subject=str(path), levels=levels)


def _info(levels: list[DicomLevel], series: list[Instance]) -> SlideInfo:
    first, header = levels[0].frames, levels[0].frames.header
    print_ = joint_fingerprint(file_fingerprint(item.path) for item in series)
    return SlideInfo(
        _ratios(levels), None, first.channels, first.dtype, print_, _versions(), planes=levels[0].planes,
        icc=_icc(header), objective=_objective(header), vendor="dicom",
        associated=tuple(sorted(item.flavour.lower() for item in series if not item.is_volume)),
        properties={f"dicom.{name}": str(header[name].value) for name in _KEPT if name in header},
        fill=fill_of(first.channels, first.dtype),
    )  # fmt: skip


def _ratios(levels: list[DicomLevel]) -> tuple[Level, ...]:
    full = levels[0].shape
    return tuple(Level(at.shape, level_downsample(full, at.shape) if i else 1.0) for i, at in enumerate(levels))


def _check(levels: list[DicomLevel], path: Path) -> None:
    """Levels differ in size, and in nothing else."""
    if len({level.shape for level in levels}) < len(levels):
        raise SlideOpenError(
            "two of its volumes are of one size (focal planes, optical paths or a concatenation in several files), "
            "which is not read: join them first",
            subject=str(path),
        )
    if len({(level.planes, level.frames.channels, level.frames.dtype) for level in levels}) > 1:
        raise SlideOpenError("its levels differ in planes, channels or bits: export them alike", subject=str(path))


def _position(item: Any) -> tuple[int, int, float]:
    place = item.PlanePositionSlideSequence[0]
    return (
        int(place.RowPositionInTotalImagePixelMatrix) - 1, int(place.ColumnPositionInTotalImagePixelMatrix) - 1,
        float(place.get("ZOffsetInSlideCoordinateSystem", 0.0)),
    )  # fmt: skip


def _icc(header: Any) -> bytes | None:
    profile = (header.get("OpticalPathSequence") or [{}])[0].get("ICCProfile")
    return bytes(profile) if profile else None


def _objective(header: Any) -> float | None:
    power = (header.get("OpticalPathSequence") or [{}])[0].get("ObjectiveLensPower")
    return None if power is None else float(power)


def _versions() -> str:
    return f"pydicom {version('pydicom')} + imagecodecs {version('imagecodecs')}"
