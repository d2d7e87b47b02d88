"""Which DICOM files belong together, and which of them are the slide.

Enters: a file or a directory. Leaves: the instances of one series. Next: `wsipipe.slide.dicom`, `wsipipe.slide.find`.
"""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from wsipipe.errors import SlideOpenError
from wsipipe.slide.native import MOST_PX
from wsipipe.slide.reader import choose_scene

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""SOP class VL Whole Slide Microscopy Image Storage."""
HEADER_ERRORS = (
    InvalidDicomError, BytesLengthException, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError,
    EOFError, NotImplementedError, ArithmeticError, RecursionError, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom raises on files that are no DICOM, or damaged ones."""
_TAGS = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "ImageType", "Rows", "Columns"]
_ASSOCIATED = ("LABEL", "OVERVIEW", "LOCALIZER", "THUMBNAIL")


@dataclass(frozen=True, slots=True)
class Instance:
    """One file of a series.

    ``flavour`` is the third value of ImageType: VOLUME, LABEL, OVERVIEW, THUMBNAIL.

    ``frame_px`` is the area of one frame.
    """

    path: Path
    series: str
    uid: str
    sop_class: str
    flavour: str
    frame_px: int

    @property
    def is_volume(self) -> bool:
        """Whether it is a level of the slide, and not a picture beside it."""
        return self.sop_class == WHOLE_SLIDE and self.flavour not in _ASSOCIATED


def is_dicom(path: Path) -> bool:
    """Whether a file starts with DICOM's preamble."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_instance(path: Path) -> Instance | None:
    """What a header says of where its file belongs; None for what is no DICOM."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        kind = [str(value).upper() for value in header.get("ImageType") or []]
        return Instance(
            path, str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", "")),
            str(header.get("SOPClassUID", "")), kind[2] if len(kind) > 2 else "VOLUME",
            int(header.get("Rows", 0)) * int(header.get("Columns", 0)),
        )  # fmt: skip
    except HEADER_ERRORS:
        return None


def by_series(paths: Iterable[Path]) -> dict[str, list[Instance]]:
    """Instances of each series, sorted by SOP instance UID; series sorted too."""
    found: dict[str, list[Instance]] = defaultdict(list)
    for instance in filter(None, map(read_instance, sorted(paths))):
        found[instance.series].append(instance)
    return {series: sorted(found[series], key=lambda item: (item.uid, str(item.path))) for series in sorted(found)}


def series_of(path: Path, scene: int | None = None) -> list[Instance]:
    """The instances of the series that a path stands for: a file's own, or a directory's.

    Raises
    ------
    SlideOpenError
        Where there is no DICOM, or several series and none is chosen by `scene`.
    """
    series = _series_in(path)
    names = [f"series ...{one[0].series[-12:]} of {len(one)} files" for one in series]
    return series[choose_scene(names, scene, path)]


def volumes_of(series: list[Instance], path: Path) -> list[Instance]:
    """The levels among a series' instances.

    Raises
    ------
    SlideOpenError
        Where there is none (another modality, or only labels), or a frame too large to be true.
    """
    volumes = [instance for instance in series if instance.is_volume]
    if not volumes:
        raise SlideOpenError("its series holds no whole-slide volume (VL Whole Slide Microscopy)", subject=str(path))
    largest = max(instance.frame_px for instance in volumes)
    if not 0 < largest <= MOST_PX:
        raise SlideOpenError(
            f"its frames are {largest} px, 1 to {MOST_PX} are read: copy or tile it again", subject=str(path)
        )
    return volumes


def _series_in(path: Path) -> list[list[Instance]]:
    folder = path if path.is_dir() else path.parent
    files = [item for item in folder.iterdir() if item.is_file() and (item == path or _may_be(item))]
    series = by_series(files)
    if not path.is_dir():
        own = read_instance(path)
        series = {key: value for key, value in series.items() if own is not None and key == own.series}
    if not series:
        raise SlideOpenError("no DICOM header in it, or a damaged one: copy it again", subject=str(path))
    return list(series.values())


def _may_be(path: Path) -> bool:
    return not path.name.startswith(".") and (path.suffix.lower() == ".dcm" or is_dicom(path))
