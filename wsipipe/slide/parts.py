"""The objects that are one slide: its own, and those that its format keeps beside it.

Enters: an ``s3://`` address. Leaves: what has to be copied, by the names that it needs there. Next room:
`wsipipe.slide.cache`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsipipe.errors import SlideOpenError
from wsipipe.store.place import remote

if TYPE_CHECKING:
    from wsipipe.store.remote import RemotePath

WITH_SIBLINGS = frozenset({".vms", ".vmu"})
"""Their parts lie beside them, under names that only the file itself tells."""


@dataclass(frozen=True)
class Part:
    """One object of a slide; ``name`` is its place in the copy, with ``/`` between folders."""

    name: str
    path: RemotePath
    size: int
    etag: str

    def read(self, start: int, stop: int) -> bytes:
        """A range of its bytes. Raises SlideOpenError where fewer came than were asked for."""
        data = self.path.read_range(start, stop)
        if len(data) != stop - start:
            raise self._changed()
        return data

    def check(self) -> None:
        """Raise SlideOpenError where it is not any more what it was."""
        if self.path.stamp() != (self.size, self.etag):
            raise self._changed()

    def _changed(self) -> SlideOpenError:
        return SlideOpenError(
            "copying it to the cache: it changed meanwhile; run again once its upload has ended", subject=str(self.path)
        )


def parts_of(url: str) -> list[Part]:
    """All objects of a slide, its own first.

    An object alone; with ``.mrxs`` the folder of its name too; with ``.vms``, ``.vmu`` and DICOM what lies beside it. A
    prefix (an OME-Zarr, a DICOM series): everything below.

    Raises
    ------
    SlideOpenError
        Where there is nothing, or a key that is no relative path.
    StoreError
        Where the object store cannot be read.
    """
    path = remote(url)
    parts = list(_own(path) if path.is_file() else _below(path, path.name))
    if not parts:
        raise SlideOpenError("opening: there is no such object, and none below it, check the address", subject=url)
    for part in parts:
        if not set(part.name.split("/")).isdisjoint(("", ".", "..")) or "\0" in part.name:
            raise SlideOpenError(f"opening: the key {part.name!r} is no path, rename the object", subject=url)
    return parts


def _own(path: RemotePath) -> Iterator[Part]:
    yield Part(path.name, path, *path.stamp())
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        yield from _below(path.with_suffix(""), path.stem)
    elif suffix in WITH_SIBLINGS or _is_dicom(path):
        yield from (part for part in _below(path.parent, "", deep=False) if part.name != path.name)


def _below(folder: RemotePath, name: str, *, deep: bool = True) -> Iterator[Part]:
    for path, size, etag in folder.objects(deep=deep):
        below = path.path.removeprefix(f"{folder.path}/")
        yield Part(f"{name}/{below}" if name else below, path, size, etag)


def _is_dicom(path: RemotePath) -> bool:
    """By its ending; one without an ending (archives often leave it out) by its first bytes."""
    if path.suffix and not path.suffix[1:].isdigit():
        return path.suffix.lower() == ".dcm"
    return path.read_range(0, 132)[128:] == b"DICM"
