"""Whether the libraries that decode slides work: a tiny picture through every codec that slides use.

Enters: nothing. Leaves: what went wrong, by codec. Next room: `wsipipe.doctor`.
"""

from __future__ import annotations

import io

import numpy as np
import tifffile

CODECS = {
    "JPEG": "jpeg",
    "JPEG 2000": "jpeg2000",
    "WebP": "webp",
    "LZW": "lzw",
    "deflate": "adobe_deflate",
    "zstd": "zstd",
}
"""tifffile's names of them."""
LOSSY = 12.0
"""Mean difference of a smooth picture from what a lossy codec gives back is at most this, of 255."""


def tried() -> dict[str, str]:
    """What is wrong with each codec of `CODECS`; empty for those that decode what they were given."""
    return {name: _wrong(code) for name, code in CODECS.items()}


def openslide_version() -> str:
    """Version of OpenSlide's library; empty where it cannot be loaded."""
    try:
        import openslide  # deferred: it raises where the library is missing
    except (ImportError, OSError):
        return ""
    return str(openslide.__library_version__)


def _wrong(code: str) -> str:
    y, x = np.mgrid[:64, :64].astype(np.uint8)
    picture, sink = np.stack([2 * y, 2 * x, y + x], axis=-1), io.BytesIO()
    try:
        tifffile.imwrite(sink, picture, compression=code, tile=(32, 32), photometric="rgb")
        found = tifffile.imread(io.BytesIO(sink.getvalue()))
    except (ValueError, ImportError, RuntimeError, OSError, AttributeError) as error:  # what codecs raise
        return f"cannot decode ({type(error).__name__}: {' '.join(str(error).split())[:120]})"
    if found.shape != picture.shape:
        return f"decodes a picture of {picture.shape} to {found.shape}"
    difference = float(np.abs(found.astype(int) - picture.astype(int)).mean())
    return f"decodes to other pixels (difference {difference:.1f})" if difference > LOSSY else ""
