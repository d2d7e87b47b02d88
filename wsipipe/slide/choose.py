"""Which reader opens a path: decided by content, then by name; every refusal is kept and told.

Enters: a path. Leaves: an open `Slide`. Next rooms: all that read slides.

The order of a kind's readers is its line in `_ORDERS`: to make native tiles the first choice for TIFF, swap two words.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wsipipe.errors import SlideOpenError
from wsipipe.slide.base import Slide
from wsipipe.slide.damage import Damaged
from wsipipe.slide.icc import Icc
from wsipipe.slide.reader import Reader
from wsipipe.store.place import is_remote

if TYPE_CHECKING:
    from wsipipe.slide.tiff import TiffIndex

Opener = Callable[[Path, int | None], Reader]

_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF")
_JPEG_2000 = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
_OPENSLIDE_ONLY = frozenset({".mrxs", ".vms", ".vmu"})
"""Slides of several files whose entry looks like a picture or a text."""

_ORDERS: dict[str, tuple[str, ...]] = {
    "tiff": ("openslide", "tiled"),
    "dicom": ("openslide", "dicom"),
    "picture": ("picture",),
    "jpeg2000": ("picture", "tiatoolbox"),
    "zarr": ("ngff", "tiatoolbox"),
    "fields": ("fields",),
    "other": ("openslide",),
}


def open_slide(
    path: str | Path, *, mpp: float | None = None, scene: int | None = None, icc: Icc = "record",
    damaged: Damaged = "fail",
) -> Slide:  # fmt: skip
    """Open a slide, a picture or an OME-Zarr image, whatever reader it takes.

    Parameters
    ----------
    path : path
        A file; or a directory that is one slide: a DICOM series, an OME-Zarr. Of an object store
        (``s3://bucket/key``) a copy in the local cache is opened, see `wsipipe.slide.cache`.
    mpp : float, optional
        Micrometres per level-0 pixel; replaces what the file says.
    scene : int, optional
        Which picture of a file with several; needed there.
    icc : {"record", "ignore", "apply"}
        With ``apply`` pixels are given in sRGB, by the ICC profile that the file carries; else as they are stored.
    damaged : {"fail", "mask"}
        With ``mask`` native tiles of a TIFF that cannot be decoded are white, and `Slide.damaged` tells of them.

    Returns
    -------
    Slide
        Close it when done. Nothing but headers is read now.

    Raises
    ------
    SlideOpenError
        Missing, unreadable, empty, truncated, of no known format, or of several scenes with none chosen. One line,
        with what each reader said.
    MppError
        Where the given `mpp` is outside 0.05 to 20.
    """
    slide = _copied(str(path), scene) if is_remote(path) else open_local(Path(path), scene)
    if mpp is not None:
        slide.replace_mpp(mpp)
    if icc == "apply":
        slide.to_srgb()
    if damaged == "mask":
        slide.mask_damage()
    return slide


def open_local(path: Path, scene: int | None = None) -> Reader:
    """A file or folder of this machine as a reader; see `open_slide`."""
    return _first(path, _kind(path), scene)


def _copied(url: str, scene: int | None) -> Reader:
    """The slide of a local copy, which is kept as long as the slide is open; errors are about the address."""
    from wsipipe.slide.cache import cache  # deferred: only slides of object stores are copied

    copy = cache().copy(url)
    try:
        slide = open_local(copy.path, scene)
    except SlideOpenError as exc:
        raise SlideOpenError(exc.message.replace(str(copy.path), "the file"), subject=url) from exc
    slide.keep(copy, subject=url)
    return slide


def _kind(path: Path) -> str:
    """The key of `_ORDERS`; raises where there is nothing to read."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _directory_kind(path)
        if not stat.S_ISREG(mode):
            raise SlideOpenError("opening: it is neither file nor directory, give a slide's file", subject=str(path))
        with path.open("rb") as file:
            return _file_kind(path, file.read(132))
    except FileNotFoundError as exc:
        raise SlideOpenError("opening: there is no such file or directory, check the path", subject=str(path)) from exc
    except PermissionError as exc:
        raise SlideOpenError("opening: permission denied, change the file's rights", subject=str(path)) from exc
    except (OSError, ValueError) as exc:
        said = getattr(exc, "strerror", None) or str(exc)
        raise SlideOpenError(f"opening: the system says {said!r}, check path and disk", subject=str(path)) from exc


def _directory_kind(path: Path) -> str:
    if any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zattrs")):
        return "zarr"
    from wsipipe.slide.dicom_files import is_dicom  # deferred: pydicom only where a directory may need it

    if any(item.is_file() and is_dicom(item) for item in sorted(path.iterdir())):
        return "dicom"
    from wsipipe.slide.fields import field_files  # deferred, as above

    if len(field_files(path)) > 1:
        return "fields"
    raise SlideOpenError(
        "opening: a directory is a slide where it holds a DICOM series, an OME-Zarr or microscope fields, this one "
        "holds none: give the slide's file",
        subject=str(path),
    )


def _file_kind(path: Path, head: bytes) -> str:
    if not head:
        raise SlideOpenError("opening: the file is empty (0 bytes), copy it again", subject=str(path))
    if path.suffix.lower() in _OPENSLIDE_ONLY:
        return "other"
    if head[128:132] == b"DICM":
        return "dicom"
    kinds = {_TIFF: "tiff", _PICTURES: "picture", _JPEG_2000: "jpeg2000"}
    return next((kind for magics, kind in kinds.items() if head.startswith(magics)), "other")


def _first(path: Path, kind: str, scene: int | None) -> Reader:
    """The first reader that takes the path."""
    refusals = []
    openers = _openers(path, kind)
    for name in _ORDERS[kind]:
        try:
            return openers[name](path, scene)
        except SlideOpenError as exc:
            refusals.append(f"{name}: {exc.message}")
    if kind == "other":
        refusals.append("its first bytes are none of TIFF, DICOM, PNG, JPEG, BMP, WebP, JPEG 2000")
    raise SlideOpenError(
        f"opening: no reader takes it ({'; '.join(refusals)}): copy the file again, or export it as a tiled TIFF",
        subject=str(path),
    )


def _openers(path: Path, kind: str) -> dict[str, Opener]:
    """Readers by name; each library is imported only once its reader's turn comes."""
    if kind == "tiff":
        index = _index(path)
        return {"openslide": partial(_whole, index=index), "tiled": partial(_tiled, index=index)}
    whole = _whole_dicom if kind == "dicom" else _whole
    return {
        "openslide": whole,
        "dicom": _dicom,
        "picture": _picture,
        "ngff": _ngff,
        "tiatoolbox": _foreign,
        "fields": _fields,
    }


def _index(path: Path) -> TiffIndex | None:
    """The directories, read once for both readers; None where tifffile cannot. A truncated TIFF goes no further."""
    from wsipipe.slide.tiff import check_sound, read_index

    try:
        index = read_index(path)
    except SlideOpenError:
        return None
    check_sound(index, path)
    return index


def _whole(path: Path, scene: int | None, index: TiffIndex | None = None) -> Reader:
    from wsipipe.slide.whole import open_whole

    return open_whole(path, scene, index=index)


def _whole_dicom(path: Path, scene: int | None) -> Reader:
    """OpenSlide wants one volume of the series, whatever file of it or directory was named."""
    from wsipipe.slide.dicom_files import series_of, volumes_of
    from wsipipe.slide.whole import open_whole

    entries = [instance.path for instance in volumes_of(series_of(path, scene), path)]
    return open_whole(path, entry=path if path in entries else entries[0])


def _tiled(path: Path, scene: int | None, index: TiffIndex | None = None) -> Reader:
    from wsipipe.slide.tiled import open_tiled

    return open_tiled(path, scene, index=index)


def _dicom(path: Path, scene: int | None) -> Reader:
    from wsipipe.slide.dicom import open_dicom

    return open_dicom(path, scene)


def _picture(path: Path, scene: int | None) -> Reader:
    from wsipipe.slide.picture import open_picture

    return open_picture(path, scene)


def _ngff(path: Path, scene: int | None) -> Reader:
    from wsipipe.slide.ngff import open_ngff

    return open_ngff(path, scene)


def _fields(path: Path, scene: int | None) -> Reader:  # noqa: ARG001 (one scene)
    from wsipipe.slide.fields import open_fields

    return open_fields(path)


def _foreign(path: Path, scene: int | None) -> Reader:
    from wsipipe.slide.foreign import open_foreign

    return open_foreign(path, scene)
