"""An S3 server on loopback, and a proxy before it that misbehaves by a seed. Shared by tests of object storage."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import create_backend_app
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from werkzeug.serving import WSGIRequestHandler, make_server

from wsipipe.store import objects

TIMEOUT_S = 3
"""Time-out of the client in tests; the proxy hangs longer."""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "WSIPIPE_S3_TIMEOUT": str(TIMEOUT_S),
}


CODES = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}


class Bucket:
    """A bucket of its own, looked at by boto3, past the code under test."""

    def __init__(self, name: str, endpoint: str) -> None:
        self.name, self.endpoint, self.url = name, endpoint, f"s3://{name}"
        self.client = boto3.client("s3", endpoint_url=endpoint)
        self.client.create_bucket(Bucket=name)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def contents(self, prefix: str, *, without: tuple[str, ...] = ()) -> dict[str, str]:
        """sha256 of every object below a prefix, by what follows it."""
        wanted = [key for key in self.keys(f"{prefix}/") if key.rpartition("/")[2] not in without]
        return {key.removeprefix(f"{prefix}/"): hashlib.sha256(self.get(key)).hexdigest() for key in wanted}


class Lasting(WSGIRequestHandler):
    """Keeps connections open, as object stores do."""

    protocol_version = "HTTP/1.1"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 server that every process of this machine reaches."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=Lasting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket; the environment says where it is, and names a cache of its own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("WSIPIPE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    objects.disconnect()
    yield Bucket(f"b{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]}", s3_server)
    objects.disconnect()


class Faulty:
    """A proxy that answers some requests with 500 or 503, some too late or never, and breaks off some answers.

    What it does to a request is drawn by (seed, its number); ``done`` counts it.
    """

    KINDS = ("500", "503", "applied", "hang", "broken", "slow")
    WEIGHTS = (3, 2, 2, 0.4, 2, 2)

    def __init__(self, behind: str, *, seed: int, share: float) -> None:
        self.behind, self.share, self.done = behind, share, Counter[str]()
        self.random = random.Random(seed)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def draw(self) -> str:
        hit = self.random.random() < self.share
        kind = self.random.choices(self.KINDS, self.WEIGHTS)[0] if hit else "none"
        self.done[kind] += 1
        return kind

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        AsyncHTTPClient.configure(None, max_clients=100)
        self.client = AsyncHTTPClient(force_instance=True)
        server = HTTPServer(Application([(".*", Proxied, {"proxy": self})]), max_body_size=2**28)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        self.address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.stop()
        await server.close_all_connections()


class Proxied(RequestHandler):
    """One request of a `Faulty`."""

    SUPPORTED_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")

    def initialize(self, proxy: Faulty) -> None:
        self.proxy = proxy

    async def _forward(self) -> None:
        kind = self.proxy.draw()
        if kind == "hang":
            await asyncio.sleep(TIMEOUT_S + 1)
            self._break()
        elif kind in CODES:
            self._refuse(int(kind))
        else:
            answer = await self._ask()
            if kind == "applied":
                self._refuse(500)
            else:
                await self._answer(answer, kind)

    get = head = put = post = delete = _forward

    async def _ask(self) -> Any:
        headers = {name: value for name, value in self.request.headers.items() if name.lower() != "expect"}
        headers.setdefault(
            "Content-Type", "application/octet-stream"
        )  # else the client calls the body of a POST a form
        return await self.proxy.client.fetch(
            self.proxy.behind + self.request.uri, method=self.request.method, headers=headers, raise_error=False,
            body=self.request.body if self.request.method in ("PUT", "POST") else None, follow_redirects=False,
            decompress_response=False, request_timeout=60,
        )  # fmt: skip

    async def _answer(self, answer: Any, kind: str) -> None:
        self.set_status(answer.code, answer.reason)
        for name, value in answer.headers.get_all():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                self.set_header(name, value)
        if self.request.method == "HEAD" or len(answer.body) < 2 or kind == "none":
            self.finish(answer.body or None)
            return
        self.write(answer.body[: len(answer.body) // 2])
        await self.flush()
        await asyncio.sleep(0.1)
        if kind == "broken":
            self._break()
        else:
            self.finish(answer.body[len(answer.body) // 2 :])

    def _refuse(self, code: int) -> None:
        self.set_status(code)
        self.finish("" if self.request.method == "HEAD" else f"<Error><Code>{CODES[str(code)]}</Code></Error>")

    def _break(self) -> None:
        self.request.connection.stream.close()

    def log_exception(self, *args: Any) -> None:
        """Broken connections are meant."""
        if not isinstance(args[1], StreamClosedError):
            super().log_exception(*args)


@pytest.fixture
def faulty(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """The same bucket, reached through a proxy that spoils one request in twenty-five."""
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    proxy = Faulty(bucket.endpoint, seed=7, share=1 / 25)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    objects.disconnect()
    yield proxy
    objects.disconnect()
    proxy.stop()
