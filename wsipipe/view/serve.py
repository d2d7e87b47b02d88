"""Starting and ending the server.

Enters: a results directory and what the user wishes. Leaves: the address, for as long as it is served. Next room:
`wsipipe.cli.view`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from wsipipe.errors import UsageError
from wsipipe.view.gate import Gate
from wsipipe.view.handlers import Desk, Site
from wsipipe.view.shelf import Shelf, chosen

LOOPBACK = "127.0.0.1"
MOST_HEADER, MOST_BODY, IDLE_S = 16_384, 1024, 600


@dataclass(frozen=True)
class Wishes:
    """What may be asked of a viewer.

    Parameters
    ----------
    slide : str, optional
        Beginning of the id of the slide to show first; the list without it.
    slides : path, optional
        Where slides are that are not where the run found them.
    port : int
        0 takes a free one.
    browser : bool
        Open the address in the user's browser, where there is a display.
    """

    slide: str | None = None
    slides: Path | None = None
    port: int = 0
    browser: bool = True


def serve(results: str | Path, wishes: Wishes, told: Callable[[str], None]) -> None:
    """Serve a results directory on this machine's loopback until SIGINT or SIGTERM.

    Parameters
    ----------
    results : path
    wishes : Wishes
    told : callable
        Given the address once requests are answered.

    Raises
    ------
    UsageError
        Where there are no results, no such slide, no slides below ``wishes.slides``, or the port is taken.
    """
    shelf = Shelf(results, wishes.slides)
    first = chosen(shelf, wishes.slide)
    sockets = listen(wishes.port)
    shelf.warm()
    gate = Gate(sockets[0].getsockname()[1])
    address = gate.address + (f"slide/{first}/" if first else "")

    def ready() -> None:
        told(address)
        if wishes.browser and _has_display():
            webbrowser.open(address)

    asyncio.run(_until_told(Desk(shelf, gate), sockets, ready))


def listen(port: int) -> list[socket.socket]:
    """Sockets bound to a loopback port.

    Raises
    ------
    UsageError
        Where the port is taken or may not be used.
    """
    try:
        return bind_sockets(port, LOOPBACK, family=socket.AF_INET)
    except OSError as error:
        why = {errno.EADDRINUSE: "another program listens there", errno.EACCES: "it may not be used"}
        raise UsageError(
            f"starting the viewer: port {port} is not free ({why.get(error.errno or 0, error.strerror)}); give another "
            "--port, or none and a free one is taken"
        ) from error


async def run(desk: Desk, sockets: list[socket.socket], over: asyncio.Event, ready: Callable[[], None]) -> None:
    """Answer requests until `over` is set; then stop listening, drop what waits, and close.

    Parameters
    ----------
    desk : Desk
    sockets : list of socket
        From `listen`; closed at the end.
    over : asyncio.Event
    ready : callable
        Called once requests are answered.
    """
    server = HTTPServer(
        Site(desk), max_header_size=MOST_HEADER, max_body_size=MOST_BODY, idle_connection_timeout=IDLE_S
    )
    server.add_sockets(sockets)
    try:
        ready()
        await over.wait()
    finally:
        server.stop()
        await server.close_all_connections()
        desk.pool.shutdown(wait=True, cancel_futures=True)


async def _until_told(desk: Desk, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
    """Until Ctrl-C or a polite kill, which is how a viewer ends: no error."""
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await run(desk, sockets, over, ready)


def _has_display() -> bool:
    """Whether a browser would open in a window, rather than take the terminal."""
    return sys.stdout.isatty() and any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
