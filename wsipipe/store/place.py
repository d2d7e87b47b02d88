"""Where results are: a folder of this machine, or a prefix of a bucket, behind one way to say it.

Enters: what ``--out`` named. Leaves: a path with the methods of `pathlib.Path`, a store for Zarr, and the few things
that disks and object stores do differently: making a write durable, replacing a file, removing a tree, listing.
Next rooms: everything that reads or writes results; nobody else asks which of the two it is.

On a disk a write is durable once the file and its folder are synced, and whole once it is renamed. On an object store
there are no folders and no half-written objects: a PUT that was acknowledged is durable, replaces as a whole, and is
seen by every later read and listing. So `sync` has nothing to do there, and `replace_file` is one PUT.

Only ``s3://`` imports anything of the object store's: see `wsipipe.store.remote`.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wsipipe.errors import StoreError, UsageError

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from wsipipe.store.remote import RemotePath

SCHEME = "s3://"
GATHER_S = 5.0
"""Lines for an object are gathered at least this long between two PUTs."""
_GATHERED: dict[Path, tuple[bytes, float]] = {}


def place(path: str | Path) -> Path:
    """The path that a text names: of this machine, or of an object store (``s3://bucket/prefix``).

    Raises
    ------
    UsageError
        For another scheme, a bucket without a name, or where the libraries for object storage are missing.
    """
    if isinstance(path, Path):
        return path
    if "://" not in path:
        return Path(path)
    if not path.startswith(SCHEME) or not path.removeprefix(SCHEME).strip("/"):
        raise UsageError("an address of an object store is s3://bucket or s3://bucket/prefix", subject=path)
    return remote(path)


def remote(url: str) -> RemotePath:
    """The path of an ``s3://`` address. Raises UsageError where the libraries for object storage are missing."""
    try:
        from wsipipe.store.remote import RemotePath  # deferred: runs on disks import no s3fs
    except ImportError as error:
        raise UsageError(
            f"object storage needs the extra s3 ({error.name} is missing): pip install 'wsipipe[s3]'", subject=url
        ) from error
    return RemotePath(url.rstrip("/"))


def is_remote(path: str | Path) -> bool:
    """Whether it lies on an object store."""
    return str(path).startswith(SCHEME)


def zarr_store(root: str | Path) -> str | Store:
    """What Zarr opens a group of: the path itself on a disk, a store of objects else."""
    if not is_remote(root):
        return str(root)
    from wsipipe.store.remote import object_store  # deferred, as above

    return object_store(remote(str(root)))


def checked_folder(path: Path) -> Path:
    """A path for results, made or not; nothing is written.

    Raises
    ------
    UsageError
        Where it is a file, or the bucket is missing, closed to us, or does not answer.
    """
    try:
        if path.exists() and not path.is_dir():
            raise UsageError("--out is a results directory, this is a file: give another path", subject=str(path))
    except StoreError as error:
        raise UsageError(error.message, subject=str(path)) from error
    return path


def make_folder(path: Path) -> None:
    """Make a directory with those above it; on an object store a prefix needs no making. Raises UsageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out cannot be made ({error.strerror}): give another path", subject=str(path)) from error


def replace_file(path: str | Path, data: bytes) -> None:
    """Put `data` in place of a file: on a disk written beside it, synced, renamed, and the folder synced.

    A reader sees the old file or the new one. A killed writer leaves a ``*.partial``, which `write.sweep` removes; on
    an object store, which replaces in one step, it leaves nothing.
    """
    path = place(path)
    if is_remote(path):
        path.write_bytes(data)
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync(path.parent)


def append(path: Path, data: bytes) -> None:
    """Append to a file with one write: lines of two writers do not mix.

    An object cannot be appended to: there the lines of this process are gathered and the whole is put again, at most
    every `GATHER_S` seconds and by `flush`. The object has one writer, who holds the lease.
    """
    if is_remote(path):
        text, put = _GATHERED.get(path) or (path.read_bytes() if path.is_file() else b"", 0.0)
        _GATHERED[path] = text + data, put
        if time.monotonic() - put > GATHER_S:
            flush(path)
        return
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


def flush(path: Path) -> None:
    """Put what `append` has gathered for an object; nothing to do on a disk."""
    if path in _GATHERED:
        text, _ = _GATHERED[path]
        path.write_bytes(text)
        _GATHERED[path] = text, time.monotonic()


def sync(path: Path) -> None:
    """Flush one file's bytes, or one folder's names, to the disk; an object was durable when its PUT returned."""
    if is_remote(path):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unsynced(folder: Path) -> list[Path]:
    """Everything below a folder that a writer has to `sync`: nothing on an object store."""
    return [] if is_remote(folder) else list(folder.rglob("*"))


def moves(path: str | Path) -> bool:
    """Whether a folder can be put in another's place at once: on a disk; an object store moves nothing."""
    return not is_remote(path)


def remove_tree(folder: Path, *, missing_ok: bool = False) -> None:
    """Remove a folder with all below it; of an object store all objects of the prefix, a thousand at a time."""
    if is_remote(folder):
        folder.rmdir()
    elif not missing_ok or folder.exists():
        shutil.rmtree(folder)


def tree_size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if is_remote(path):
        return sum(size for _, size, _ in remote(str(path)).objects())
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def may_list(folder: Path) -> bool:
    """Whether a folder's names may be read; an object store says so only when asked for them."""
    return is_remote(folder) or os.access(folder, os.R_OK | os.X_OK)


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files and folders of a folder, each by name; one listing, whatever their number.

    A link that leads nowhere, or in a circle, counts as a file: whoever opens it says what is wrong.

    Raises
    ------
    OSError
        Where the folder cannot be read.
    """
    files: list[Path] = []
    folders: list[Path] = []
    for one in sorted(folder.iterdir()):
        if one.is_dir():
            folders.append(one)
        elif one.is_file() or one.is_symlink():
            files.append(one)
    return files, folders
