"""Object storage: paths and Zarr stores of ``s3://`` addresses. The one door to universal_pathlib.

Enters: addresses; endpoint, profile and credentials come from the usual environment (``AWS_ENDPOINT_URL``,
``AWS_PROFILE``, ``AWS_ACCESS_KEY_ID`` ...) and are written nowhere. Leaves: `RemotePath`, stores for Zarr. Next room:
`wsipipe.store.place`, through which all others come; requests are `wsipipe.store.objects`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from upath.implementations.cloud import S3Path
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore

from wsipipe.store.objects import client

DOCUMENT = "zarr.json"
OLDER = frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata"})
"""Metadata of groups and arrays: of Zarr 3, and of Zarr 2, which results never have."""


class RemotePath(S3Path):
    """A `pathlib.Path` of an object store; folders are prefixes, which exist while something lies below them."""

    __slots__ = ()

    @classmethod
    def _fs_factory(cls, urlpath: str, protocol: str, storage_options: Any) -> Any:  # noqa: ARG003 (upath's signature)
        return client()

    def read_bytes(self) -> bytes:
        """The whole object. Raises FileNotFoundError where there is none."""
        return bytes(self.fs.cat_file(self.path))

    def read_range(self, start: int, stop: int) -> bytes:
        """Bytes from `start` up to `stop`; fewer where the object ends before."""
        return bytes(self.fs.cat_file(self.path, start=start, end=stop))

    def stamp(self) -> tuple[int, str]:
        """Size and ETag: another content has another. Raises FileNotFoundError where there is no such object."""
        return _stamp(self.fs.info(self.path))

    def objects(self, *, deep: bool = True) -> Iterator[tuple[RemotePath, int, str]]:
        """Objects below, by name, with size and ETag: all, or (not `deep`) those directly below."""
        found = (
            self.fs.find(self.path, detail=True)
            if deep
            else {one["name"]: one for one in self.fs.ls(self.path, detail=True)}
        )
        for name, info in sorted(found.items()):
            if info["type"] == "file" and not name.endswith("/"):
                yield RemotePath(f"s3://{name}"), *_stamp(info)

    def write_bytes(self, data: bytes) -> int:
        """One PUT: durable and visible as a whole when it returns."""
        self.fs.pipe_file(self.path, bytes(data))
        return len(data)

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: ARG002 (an object store does not say)
        """Remove the object; one that is not there is no error."""
        self.fs.rm(self.path)

    def rmdir(self, recursive: bool = True) -> None:  # noqa: ARG002 (there are no empty folders)
        """Remove all objects below the prefix."""
        self.fs.rm(self.path, recursive=True)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a prefix is there once something is written below it."""

    def iterdir(self) -> Iterator[RemotePath]:
        """Objects and prefixes directly below; each remembers which it is, so asking costs no request."""
        for one in self.fs.ls(self.path, detail=True):
            name = one["name"].rstrip("/").rpartition("/")[2]
            if name and one["name"].rstrip("/") != self.path.rstrip("/"):
                yield (_Prefix if one["type"] == "directory" else _Object)(str(self / name))


class _Object(RemotePath):
    __slots__ = ()

    def is_file(self) -> bool:
        return True

    def is_dir(self) -> bool:
        return False


class _Prefix(RemotePath):
    __slots__ = ()

    def is_file(self) -> bool:
        return False

    def is_dir(self) -> bool:
        return True


def _stamp(info: Mapping[str, Any]) -> tuple[int, str]:
    return int(info["size"]), str(info.get("ETag", ""))


class Documents(FsspecStore):
    """A Zarr store that asks for each metadata document once.

    Zarr reads the documents of all groups above whatever it makes or opens, again and again, and looks for those of
    Zarr 2: most of a run's requests. What one store object has read or written it keeps; a store object lives as long
    as the group that it was opened for, and within that a group's own attributes are not read anew either.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[str, bytes] = {}

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The bytes of a key, or None."""
        name = key.rpartition("/")[2]
        if name in OLDER:
            return None
        if name != DOCUMENT:
            return await super().get(key, prototype, byte_range)
        if key not in self._known:
            found = await super().get(key, prototype)
            if found is None:
                return None
            self._known[key] = found.to_bytes()
        return prototype.buffer.from_bytes(self._known[key])

    async def set(self, key: str, value: Buffer, byte_range: tuple[int, int] | None = None) -> None:
        """Put the bytes of a key."""
        self._known.pop(key, None)
        await super().set(key, value, byte_range)
        if key.rpartition("/")[2] == DOCUMENT:
            self._known[key] = value.to_bytes()

    async def exists(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self._known or await super().exists(key)

    async def delete(self, key: str) -> None:
        """Remove a key."""
        self._known.pop(key, None)
        await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove all keys below a prefix."""
        below = f"{prefix.rstrip('/')}/" if prefix else ""
        self._known = {key: data for key, data in self._known.items() if not key.startswith(below)}
        await super().delete_dir(prefix)


def object_store(root: Path) -> Store:
    """A Zarr store of the objects below `root`."""
    if not isinstance(root, RemotePath):
        raise TypeError(f"{root} is no address of an object store")
    return Documents(client(asynchronous=True), path=root.path)
