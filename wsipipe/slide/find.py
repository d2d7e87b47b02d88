"""Which files and folders below what the user named are slides.

Enters: paths of files and directories. Leaves: one path per slide, in a fixed order. Next rooms: `wsipipe.slide.choose`
opens them; `wsipipe.run` makes a batch of them.

Names decide, no picture is opened: a damaged slide is found, and then fails with its own error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from wsipipe.errors import StoreError, UsageError
from wsipipe.store.place import entries, may_list, place

EXTENSIONS = frozenset({
    ".svs", ".tif", ".tiff", ".btf", ".tf2", ".tf8", ".ndpi", ".vms", ".vmu", ".mrxs", ".scn", ".bif", ".svslide",
    ".dcm", ".czi", ".zvi", ".qptiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".jp2", ".j2k", ".jpx",
})  # fmt: skip
"""Endings of slides and pictures, in lower case."""
ZARR_ENDING = ".zarr"
RESULTS = ("run.json", "slides.parquet")
"""A folder that holds these is what a run left: its pictures and stores are no slides."""
HEAD = 2**16
"""Bytes read at once of a file whose header is asked for."""
_WITH_DATA_FOLDER = frozenset({".mrxs"})
_WITH_JPEG_PARTS = frozenset({".vms", ".vmu"})


def find_slides(paths: Iterable[str | Path]) -> list[Path]:
    """The slides among files and below directories.

    Parameters
    ----------
    paths : iterable of path
        A file is returned whatever its name is. A directory is searched with all below it, unless it is one slide
        itself: a ``.zarr``, or a folder of one DICOM series.

    Returns
    -------
    list of Path
        In the order given, below a directory by name; no path twice. Of a DICOM series: its folder where the series
        alone lies there, else its first file. A ``.zarr`` below a directory is one slide and is not searched, nor is
        the data folder beside an ``.mrxs``; JPEGs beside a ``.vms`` or ``.vmu`` are parts of it. Names that start
        with a dot are left out; links to directories are followed once.

    Raises
    ------
    UsageError
        Where a path does not exist or may not be read, or a directory holds no slide.
    """
    found = [slide for path in paths for slide in _named(place(path))]
    return list(dict.fromkeys(found))


def _named(path: Path) -> list[Path]:
    try:
        if not path.exists():
            raise UsageError("looking for slides: no such file or directory, check the path", subject=str(path))
        if not path.is_dir() or _is_zarr(path):
            return [path]
        found = list(_below(path, set()))
    except StoreError as exc:
        raise UsageError(f"looking for slides: {exc.message}", subject=str(path)) from exc
    except OSError as exc:
        raise UsageError(
            f"looking for slides: the directory cannot be read ({exc.strerror}): change its permissions",
            subject=str(path),
        ) from exc
    if not found:
        known = " ".join(sorted(EXTENSIONS | {ZARR_ENDING}))
        raise UsageError(
            f"looking for slides: none below this directory, known endings are {known}: give another directory, or "
            "name the files one by one",
            subject=str(path),
        )
    return found


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Slides of a folder, then of its folders, sorted; `seen` are folders on the way, without links."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    files, folders = ([one for one in some if not one.name.startswith(".")] for some in entries(folder))
    if {one.name for one in files}.issuperset(RESULTS):
        return
    yield from _files(folder, files, alone=not folders)
    with_data = {one.stem for one in files if one.suffix.lower() in _WITH_DATA_FOLDER}
    for one in folders:
        if _is_zarr(one):
            yield one
        elif one.name not in with_data:
            yield from _readable(one, seen)


def _readable(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """A folder below another: one that may not be read is passed over, as a batch goes on."""
    if may_list(folder):
        yield from _below(folder, seen)


def _files(folder: Path, files: list[Path], *, alone: bool) -> Iterator[Path]:
    dicom = [one for one in files if _is_dicom(one)]
    series = _series(dicom)
    if len(series) == 1 and alone and len(dicom) == len(files):
        yield folder
        return
    wanted = EXTENSIONS
    if any(one.suffix.lower() in _WITH_JPEG_PARTS for one in files):
        wanted = EXTENSIONS - {".jpg", ".jpeg"}
    firsts = {group[0] for group in series}
    for one in files:
        if one in firsts or (one not in dicom and one.suffix.lower() in wanted):
            yield one


def _series(files: list[Path]) -> list[list[Path]]:
    """Files by their SeriesInstanceUID; one that tells none is a series of its own."""
    if not files:
        return []
    import pydicom  # deferred: importing this room stays cheap

    from wsipipe.slide.dicom_files import HEADER_ERRORS  # deferred, as above

    groups: dict[str, list[Path]] = {}
    for one in files:
        try:
            with one.open("rb", buffering=HEAD) as opened:
                header = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
            key = str(header.get("SeriesInstanceUID") or one)
        except HEADER_ERRORS:
            key = str(one)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _is_dicom(file: Path) -> bool:
    """A ``.dcm``, or a file without an ending that starts as DICOM does (archives often leave it out)."""
    if file.suffix.lower() == ".dcm":
        return True
    if file.suffix and not file.suffix[1:].isdigit():
        return False
    try:
        with file.open("rb", buffering=HEAD) as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _is_zarr(folder: Path) -> bool:
    """A Zarr group: by its ending, or by its metadata."""
    return folder.name.lower().endswith(ZARR_ENDING) or any(
        (folder / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs")
    )
