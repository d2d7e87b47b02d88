"""Who may ask: only this machine's own browser, with the token, under the address that was printed.

Enters: the head of a request. Leaves: yes or no. Next room: `wsipipe.view.handlers`.

The token is the first part of every path, not a cookie: a cookie is sent by any page of any port of this machine, and
would be read by a server on another one. No page but ours knows the path, and none is told (``Referrer-Policy``).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""Of no text at all: an empty style element of ours keeps OpenSeadragon from adding one with text."""
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self' {EMPTY_STYLE}; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "private, no-cache",
}
"""Sent with every answer, refusals too."""
HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Gate:
    """What a request must bring.

    Parameters
    ----------
    port : int
        That the server listens to.
    token : str
        Random; a new one for every start.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def address(self) -> str:
        """Of the list of slides, token included."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def admits(self, host: str, path: str) -> bool:
        """Whether a request may be answered at all.

        Parameters
        ----------
        host : str
            Its Host header: another name that was made to point here (DNS rebinding) is refused.
        path : str
            As it was sent, not decoded.
        """
        name, _, port = host.partition(":")
        given = path.removeprefix("/").partition("/")[0]
        same = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())
        return same and name in HOSTS and port == str(self.port)
