"""Object storage: paths and Zarr stores of ``s3://`` addresses, over s3fs. The one door to s3fs and universal_pathlib.

Enters: addresses; endpoint, profile and credentials come from the usual environment (``AWS_ENDPOINT_URL``,
``AWS_PROFILE``, ``AWS_ACCESS_KEY_ID`` ...) and are written nowhere. Leaves: `RemotePath`, stores for Zarr. Next room:
`wsipipe.store.place`, through which all others come.

s3fs is asynchronous: a client belongs to the event loop that it was made in. A process has two of them, one for paths
(in fsspec's loop) and one for Zarr (in Zarr's), each made once. Neither survives a fork; workers start by spawn.

Time-outs and retries are botocore's (standard mode: attempts with exponential back-off and jitter on 500, 502, 503,
504, throttling, time-outs and broken connections), and all are bounded. What then still fails is a `StoreError` that
says what to do; s3fs alone would call some of it "no such file", which a run that resumes must never believe.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound
from s3fs import S3FileSystem
from upath.implementations.cloud import S3Path
from zarr.abc.store import Store
from zarr.storage import FsspecStore

from wsipipe.errors import StoreError

CONNECT_S, READ_S = 5.0, 20.0
"""Time-outs of a connection and of one read; ``WSIPIPE_S3_TIMEOUT`` replaces both."""
ATTEMPTS = 5
"""Of one request, the first included (botocore); ``AWS_MAX_ATTEMPTS`` replaces it."""
BODY_ATTEMPTS = 3
"""Of reading an answer whose body breaks off (s3fs)."""
CLOSE_S = 2.0
"""Time-out for closing connections at the end of a process."""
DELETE_MOST = 1000
"""Keys of one bulk delete: the protocol's limit."""

T = TypeVar("T")


class RemotePath(S3Path):
    """A `pathlib.Path` of an object store; folders are prefixes, which exist while something lies below them."""

    __slots__ = ()

    @classmethod
    def _fs_factory(cls, urlpath: str, protocol: str, storage_options: Any) -> Any:  # noqa: ARG003 (upath's signature)
        return _files()

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


def object_store(root: Path) -> Store:
    """A Zarr store of the objects below `root`."""
    if not isinstance(root, RemotePath):
        raise TypeError(f"{root} is no address of an object store")
    return FsspecStore(_objects(), path=root.path)


class Objects(S3FileSystem):
    """s3fs whose failures are told: nothing is taken for "not there" unless the object store said so."""

    retries = BODY_ATTEMPTS
    cachable = False
    async_impl = True

    def __init__(self, *, asynchronous: bool) -> None:
        config: dict[str, Any] = {"connect_timeout": _timeout(CONNECT_S), "read_timeout": _timeout(READ_S)}
        if "AWS_MAX_ATTEMPTS" not in os.environ:
            config["retries"] = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        super().__init__(asynchronous=asynchronous, config_kwargs=config, use_listings_cache=False, max_concurrency=1)
        self._connecting = asyncio.Lock()
        self._in: asyncio.AbstractEventLoop

    async def set_session(self, refresh: bool = False, kwargs: Any = None) -> Any:  # noqa: ARG002 (s3fs's signature)
        """The client of this loop, made once however many ask at the same time."""
        if self._s3 is not None and not refresh:
            return self._s3
        async with self._connecting:
            if self._s3 is not None and not refresh:
                return self._s3
            self._in = asyncio.get_running_loop()
            with _told("connecting", ""):
                return await super().set_session(refresh=refresh)

    def close(self) -> None:
        """Close connections in the loop that they belong to; fsspec closes those of its own loop by itself."""
        if self.asynchronous and self._s3 is not None and self._in.is_running():
            with suppress(TimeoutError):
                closing = self._s3creator.__aexit__(None, None, None)
                asyncio.run_coroutine_threadsafe(closing, self._in).result(CLOSE_S)

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        subject = "/".join(filter(None, (kwargs.get("Bucket"), kwargs.get("Key") or kwargs.get("Prefix"))))
        with _told(method.replace("_", " "), subject):
            return await super()._call_s3(method, *args, **kwargs)

    async def _cat_file(self, path: str, **kwargs: Any) -> bytes:
        return await _answered(super()._cat_file(path, **kwargs), "reading", path)

    async def _iterdir(self, bucket: str, **kwargs: Any) -> AsyncIterator[dict[str, Any]]:
        with _told("listing", "/".join(filter(None, (bucket, kwargs.get("prefix"))))):
            async for one in super()._iterdir(bucket, **kwargs):
                yield one

    async def _isfile(self, path: str) -> bool:
        bucket, key, _ = self.split_path(path)
        try:
            return bool(key) and bool(await self._call_s3("head_object", Bucket=bucket, Key=key))
        except FileNotFoundError:
            return False

    async def _isdir(self, path: str) -> bool:
        bucket, key, _ = self.split_path(path.rstrip("/"))
        prefix = f"{key}/" if key else ""
        found = await self._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        return not key or bool(found.get("Contents"))

    async def _exists(self, path: str) -> bool:
        return await self._isfile(path) or await self._isdir(path)

    def exists(self, path: str) -> bool:
        """Whether there is such an object, or any below such a prefix."""
        return bool(self.isfile(path) or self.isdir(path))

    async def _rm(self, path: str, recursive: bool = False) -> None:
        bucket, key, _ = self.split_path(path)
        if not recursive:
            await self._call_s3("delete_object", Bucket=bucket, Key=key)
            return
        if not key:
            raise StoreError("removing: a whole bucket is never emptied, give a prefix", subject=path)
        keys = [one["name"] async for one in self._iterdir(bucket, delimiter="", prefix=f"{key}/")]
        for start in range(0, len(keys), DELETE_MOST):
            await self._bulk_delete(keys[start : start + DELETE_MOST])

    async def _bulk_delete(self, pathlist: list[str]) -> list[str]:
        """s3fs passes over keys that could not be removed; stale ones would be read as results."""
        bucket = self.split_path(pathlist[0])[0]
        keys = [{"Key": self.split_path(path)[1]} for path in pathlist]
        answer = await self._call_s3("delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        if errors := answer.get("Errors"):
            code, key = errors[0].get("Code"), errors[0].get("Key")
            raise StoreError(
                f"removing {len(errors)} objects: the object store says {code}", subject=f"s3://{bucket}/{key}"
            )
        return pathlist


async def _answered(call: Awaitable[T], doing: str, path: str) -> T:
    with _told(doing, path):
        return await call


@contextmanager
def _told(doing: str, subject: str) -> Iterator[None]:
    """Failures of an object store as errors with a cure; that an object is not there passes as it is."""
    try:
        yield
    except (BotoCoreError, ClientError, OSError) as error:
        code = _code(error)
        if isinstance(error, (FileNotFoundError, FileExistsError)) and code != "NoSuchBucket":
            raise
        name = subject.removeprefix("s3://")
        raise StoreError(
            f"object storage, {doing}: {_cause(error, code)}", subject=f"s3://{name}" if name else ""
        ) from error


def _code(error: BaseException) -> str:
    """The object store's own word for an error; s3fs keeps it as the cause of what it raises."""
    for one in (error, error.__cause__):
        if isinstance(one, ClientError):
            return str(one.response.get("Error", {}).get("Code", ""))
    return ""


def _cause(error: BaseException, code: str) -> str:
    if code == "NoSuchBucket":
        return "there is no such bucket; make it, or give another"
    if isinstance(error, ProfileNotFound):
        return "AWS_PROFILE names a profile that is not configured; correct it"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return "no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, PermissionError) or code in ("403", "AccessDenied"):
        return f"permission denied ({code or 'refused'}); use credentials that may list, read, write and delete there"
    name = code or type(error).__name__
    return (
        f"no usable answer after all attempts ({name}); see to the service, or to AWS_ENDPOINT_URL, then run the same "
        "command again"
    )


def _timeout(usual: float) -> float:
    return float(os.environ.get("WSIPIPE_S3_TIMEOUT") or usual)


_LOCK = threading.Lock()
_MADE: dict[tuple[int, bool], Objects] = {}


def _files() -> Objects:
    """The process's client for paths."""
    return _made(asynchronous=False)


def _objects() -> Objects:
    """The process's client for Zarr, which connects in Zarr's own loop."""
    return _made(asynchronous=True)


def _made(*, asynchronous: bool) -> Objects:
    with _LOCK:
        key = os.getpid(), asynchronous
        if key not in _MADE:
            _MADE[key] = Objects(asynchronous=asynchronous)
        return _MADE[key]


def disconnect() -> None:
    """Close what this process has open; the next use connects anew, with the environment of then."""
    with _LOCK:
        for (pid, _), made in _MADE.items():
            if pid == os.getpid():
                made.close()
        _MADE.clear()


atexit.register(disconnect)
