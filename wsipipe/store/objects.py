"""Requests to an object store, over s3fs, and trying them again. The one door to s3fs and botocore, with `failure`.

Enters: buckets and keys. Leaves: bytes and listings, or errors that say what to do. Next room: `wsipipe.store.remote`.

s3fs is asynchronous: a client belongs to the event loop that it was made in. A process has two of them, one for paths
(in fsspec's loop) and one for Zarr (in Zarr's), each made once. Neither survives a fork; workers start by spawn.

Every request is tried again in one place, here: botocore and s3fs try once. Where each of them tries again by itself,
attempts multiply (five by three, for bodies by three once more), and so do their time-outs: a request could take a
quarter of an hour. What fails passes soon, mostly; so the first pauses are short.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from s3fs import S3FileSystem

from wsipipe.errors import StoreError
from wsipipe.store.failure import RAISED, is_taken, passes, told

CONNECT_S, READ_S = 5.0, 20.0
"""Time-outs of a connection and of waiting for bytes; ``WSIPIPE_S3_TIMEOUT`` replaces both."""
ATTEMPTS = 8
"""Of one request, the first included; ``AWS_MAX_ATTEMPTS`` replaces it."""
PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Before the second attempt at most this long, then twice as long each time up to the longest, less a random part."""
PATIENCE_S = 90.0
"""Seconds after which a request that failed is not tried again, however few attempts it had."""
ATTEMPT_S = 600.0
"""Time limit of one attempt, for answers that trickle."""
CLOSE_S = 2.0
"""Time-out for closing connections at the end of a process."""
DELETE_MOST = 1000
"""Keys of one bulk delete: the protocol's limit."""

T = TypeVar("T")


class Objects(S3FileSystem):
    """s3fs whose failures are told: nothing is taken for "not there" unless the object store said so."""

    retries = 1
    cachable = False
    async_impl = True

    def __init__(self, *, asynchronous: bool) -> None:
        config: dict[str, Any] = {"connect_timeout": _timeout(CONNECT_S), "read_timeout": _timeout(READ_S)}
        config["retries"] = {"mode": "standard", "total_max_attempts": 1}
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
            with told("connecting", ""):
                return await super().set_session(refresh=refresh)

    def close(self) -> None:
        """Close connections in the loop that they belong to; fsspec closes those of its own loop by itself."""
        if self.asynchronous and self._s3 is not None and self._in.is_running():
            with suppress(TimeoutError):
                closing = self._s3creator.__aexit__(None, None, None)
                asyncio.run_coroutine_threadsafe(closing, self._in).result(CLOSE_S)

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        subject = "/".join(filter(None, (kwargs.get("Bucket"), kwargs.get("Key") or kwargs.get("Prefix"))))
        call = super()._call_s3
        return await _tried(lambda: call(method, *args, **kwargs), method.replace("_", " "), subject)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:  # noqa: ARG002 (s3fs's signature)
        bucket, key, _ = self.split_path(path)
        asked = {"Bucket": bucket, "Key": key}
        if start is not None or end is not None:
            asked["Range"] = await self._process_limits(path, start, end)
        call = super()._call_s3

        async def read() -> bytes:
            answer = await call("get_object", **asked)
            async with answer["Body"] as body:
                return bytes(await body.read())

        return await _tried(read, "reading", path)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        """A file whose parts are read by `_cat_file`: s3fs asks for them past all that tries again."""
        file = super()._open(path, mode, **options)
        if mode == "rb":
            file.cache.fetcher = partial(self.cat_file, path)
        return file

    async def _iterdir(
        self,
        bucket: str,
        max_items: int | None = None,  # noqa: ARG002 (s3fs's signature; only it asks for fewer, and takes the first)
        delimiter: str = "/",
        prefix: str = "",
        versions: bool = False,  # noqa: ARG002
    ) -> AsyncIterator[dict[str, Any]]:
        """Page by page, so that a page that fails is asked for again, not all; s3fs asks past `_call_s3`."""
        asked = {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter}
        while True:
            page = await self._call_s3("list_objects_v2", **asked)
            for folder in page.get("CommonPrefixes", ()):
                yield self._listed(bucket, {"Key": folder["Prefix"][:-1], "Size": 0, "type": "directory"})
            for one in page.get("Contents", ()):
                yield self._listed(bucket, one | {"type": "file", "size": one["Size"]})
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _listed(self, bucket: str, one: dict[str, Any]) -> dict[str, Any]:
        self._fill_info(one, bucket, versions=False)
        return one

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


async def _tried(attempt: Callable[[], Awaitable[T]], doing: str, subject: str) -> T:
    """The answer to a request, which is sent again while its failure may pass."""
    until, most = time.monotonic() + PATIENCE_S, int(os.environ.get("AWS_MAX_ATTEMPTS") or ATTEMPTS)
    for number in range(most):
        with told(doing, subject):
            try:
                async with asyncio.timeout(ATTEMPT_S):
                    return await attempt()
            except RAISED as error:
                if is_taken(error):
                    raise FileExistsError(subject) from error
                if not passes(error) or number + 1 == most or time.monotonic() > until:
                    raise
        await asyncio.sleep(min(PAUSE_S * 2**number, LONGEST_PAUSE_S) * random.uniform(0.5, 1))
    raise AssertionError("a request is tried at least once")


def _timeout(usual: float) -> float:
    return float(os.environ.get("WSIPIPE_S3_TIMEOUT") or usual)


_LOCK = threading.Lock()
_MADE: dict[tuple[int, bool], Objects] = {}


def client(*, asynchronous: bool = False) -> Objects:
    """The process's client for paths, or (`asynchronous`) for Zarr, which connects in Zarr's own loop."""
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
