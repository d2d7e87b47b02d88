"""Tiles as a browser takes them: JPEG for the slide, PNG of 256 colours with opacity for a probability map.

Enters: pixels. Leaves: bytes. Next room: `wsipipe.view.shelf` keeps the latest of them.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 85


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """JPEG (4:2:0) of ``(height, width, 3)`` uint8."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "JPEG", quality=QUALITY)
    return sink.getvalue()


def heat_png(probability: NDArray[np.uint8]) -> bytes:
    """PNG of ``(height, width)`` uint8, 255 is 1, in the colours of all our pictures; low values are transparent.

    The probability itself is what is stored, with a palette beside it: nothing is coloured pixel by pixel.
    """
    picture = Image.fromarray(np.ascontiguousarray(probability, np.uint8))
    colours, opacities = _palette()
    picture.putpalette(colours)
    sink = io.BytesIO()
    picture.save(sink, "PNG", compress_level=1, transparency=opacities)
    return sink.getvalue()


def ramp() -> list[str]:
    """``#rrggbb`` of each probability from 0 to 255."""
    colours = _palette()[0]
    return [f"#{colours[at : at + 3].hex()}" for at in range(0, 768, 3)]


@lru_cache(maxsize=1)
def _palette() -> tuple[bytes, bytes]:
    from wsipipe.report.heat import painted  # deferred: matplotlib is slow to load

    table = painted(np.arange(256, dtype=np.uint8)[None])[0]
    return np.ascontiguousarray(table[:, :3]).tobytes(), np.ascontiguousarray(table[:, 3]).tobytes()
