"""What each address answers. Everything is read; nothing can be changed from outside.

Enters: requests that the gate let through. Leaves: pages, JSON, pictures. Next room: the browser.

Work that touches a disk is done in a pool of threads; a request whose browser has gone leaves the queue.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from wsipipe.errors import SlideError, StoreError
from wsipipe.view import facts
from wsipipe.view.gate import HEADERS, Gate
from wsipipe.view.recent import Recent
from wsipipe.view.shelf import Shelf

TYPES = {
    ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
JSON = "application/json; charset=utf-8"
THREADS = 4
KEPT_BYTES = 64 * 2**20


def static_files() -> dict[str, bytes]:
    """The pages, scripts and styles that are installed with this room."""
    folder = resources.files("wsipipe.view") / "static"
    return {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}


@dataclass(frozen=True)
class Desk:
    """What all handlers share.

    Parameters
    ----------
    shelf : Shelf
    gate : Gate
    pool : ThreadPoolExecutor
        Where files are read and decoded.
    kept : Recent of bytes
        Encoded tiles.
    files : mapping
        The pages' own files by name.
    """

    shelf: Shelf
    gate: Gate
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "wsipipe-view"))
    kept: Recent[bytes] = field(default_factory=lambda: Recent(KEPT_BYTES, len))
    files: Mapping[str, bytes] = field(default_factory=static_files)


class Handler(RequestHandler):
    """GET and HEAD, security headers, errors without a word about what there is."""

    SUPPORTED_METHODS = ("GET", "HEAD")
    desk: Desk
    _work: Future[bytes] | None = None

    def initialize(self, desk: Desk) -> None:
        """Tornado's way to hand something over."""
        self.desk = desk

    def set_default_headers(self) -> None:
        """Those of the gate."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def write_error(self, status_code: int, **_: Any) -> None:
        """The number and its name, no more."""
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        self.set_header("Content-Type", TYPES[".txt"])
        self.finish(f"{status_code} {self._reason}\n")

    async def head(self, *words: str) -> None:
        """As GET; tornado leaves the body out."""
        await self.get(*words)

    async def get(self, *_words: str) -> None:
        """Each address has its own; this is the answer of all others."""
        raise HTTPError(404)

    async def reply(self, kind: str, make: Callable[[], bytes]) -> None:
        """Answer with what `make` gives, made in the pool; 404 for what there is not."""
        self._work = self.desk.pool.submit(make)
        try:
            body = await asyncio.wrap_future(self._work)
        except asyncio.CancelledError:
            return  # the browser has gone, see on_connection_close
        except (KeyError, IndexError, StoreError, SlideError) as error:
            raise HTTPError(404) from error
        self.set_header("Content-Type", kind)
        self.finish(body)

    def on_connection_close(self) -> None:
        """Nobody waits for it any more."""
        if self._work is not None:
            self._work.cancel()

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Only what is our own fault is worth a line."""
        if not isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)


class Refused(Handler):
    """Whoever has no token, or came by another name."""

    def prepare(self) -> None:
        """The same answer to everything."""
        raise HTTPError(403)


class File(Handler):
    """A page, script or style by its name in a table."""

    name = ""

    async def get(self, *words: str) -> None:
        """The file, or the one page that this address is."""
        name = self.name or words[0]
        if name not in self.desk.files:
            raise HTTPError(404)
        self.set_header("Content-Type", TYPES[name[name.rindex(".") :]])
        self.finish(self.desk.files[name])


class ListPage(File):
    """The list of slides."""

    name = "list.html"


class SlidePage(File):
    """One slide."""

    name = "slide.html"

    async def get(self, *words: str) -> None:
        """The page, where there is such a slide."""
        await self.reply(TYPES[".html"], lambda: self._page(words[0]))

    def _page(self, slide_id: str) -> bytes:
        self.desk.shelf.shown(slide_id)
        return self.desk.files[self.name]


class Listing(Handler):
    """The rows of ``slides.parquet``."""

    async def get(self, *_words: str) -> None:
        """JSON; see `facts.slide_rows`."""
        await self.reply(JSON, lambda: _json(facts.slide_rows(self.desk.shelf.results)))


class Told(Handler):
    """What is known of one slide: ``slide``, ``tiles``, ``regions`` or ``tissues``."""

    async def get(self, *words: str) -> None:
        """JSON; see `wsipipe.view.facts`."""
        await self.reply(JSON, lambda: self._made(*words))

    def _made(self, slide_id: str, what: str) -> bytes:
        shown = self.desk.shelf.shown(slide_id)
        made: dict[str, Callable[[], Any]] = {
            "slide": lambda: facts.slide_facts(shown),
            "tiles": lambda: facts.tile_columns(shown.tiles),
            "regions": lambda: facts.polygons(shown.result.regions),
            "tissues": lambda: facts.polygons(shown.result.tissues),
        }
        return _json(made[what]())


class TileRow(Handler):
    """All columns of one tile."""

    async def get(self, *words: str) -> None:
        """JSON; see `facts.tile_row`."""
        await self.reply(JSON, lambda: _json(facts.tile_row(self.desk.shelf.shown(words[0]).tiles, int(words[1]))))


class Thumbnail(Handler):
    """A small picture of one slide."""

    async def get(self, *words: str) -> None:
        """JPEG."""
        await self.reply("image/jpeg", lambda: self.desk.shelf.shown(words[0]).thumbnail())


class Picture(Handler):
    """A tile of the slide (``pixels``) or of the probability map (``heat``)."""

    etag = ""

    async def get(self, *words: str) -> None:
        """A picture; nothing is decoded for a browser that has it already, or where it was made before."""
        slide_id, kind, level, row, column = words
        key = (slide_id, kind, int(level), int(row), int(column))
        await self.reply("image/jpeg" if kind == "pixels" else "image/png", lambda: self._made(*key))

    def _made(self, slide_id: str, kind: str, *where: int) -> bytes:
        shown = self.desk.shelf.shown(slide_id)
        key = (slide_id, shown.key, shown.ground.slide is None, kind, *where)
        self.etag = f'"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}"'
        if self.request.headers.get("If-None-Match") == self.etag:
            return b""
        body = self.desk.kept.get(key)
        if body is None:
            body = shown.pixels(*where) if kind == "pixels" else shown.heat_tile(*where)
            self.desk.kept.put(key, body)
        return body

    def compute_etag(self) -> str | None:
        """Of what the tile is made from, so that it is known before it is made."""
        return self.etag or None


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


class Site(Application):
    """The addresses below the token, behind the gate."""

    def __init__(self, desk: Desk) -> None:
        slide, shared = r"/[^/]+/slide/([^/]{1,200})", {"desk": desk}
        routes = [
            (r"/[^/]+/", ListPage),
            (r"/[^/]+/slides\.json", Listing),
            (r"/[^/]+/static/([^/]{1,80})", File),
            (slide + "/", SlidePage),
            (slide + r"/(slide|tiles|regions|tissues)\.json", Told),
            (slide + r"/tile/(\d{1,12})\.json", TileRow),
            (slide + r"/thumbnail\.jpg", Thumbnail),
            (slide + r"/(pixels)/(\d{1,2})/(\d{1,7})_(\d{1,7})\.jpg", Picture),
            (slide + r"/(heat)/(\d{1,2})/(\d{1,7})_(\d{1,7})\.png", Picture),
        ]
        super().__init__(
            [(pattern, handler, shared) for pattern, handler in routes],
            default_handler_class=Handler, default_handler_args=shared, log_function=lambda _: None,
        )  # fmt: skip
        self._desk = desk

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Nothing but the gate is asked for a request that it does not admit."""
        if self._desk.gate.admits(request.headers.get("Host", ""), request.path):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, Refused, {"desk": self._desk})
