"""Stored samples to the pixels that readers promise: no alpha, no palette, no YCbCr, black is 0.

Enters: decoded samples. Leaves: grey or RGB of the same dtype. Next rooms: all readers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.slide.base import Pixels


def white(dtype: np.dtype[Any]) -> int:
    """The value of white for a dtype of whole numbers, 1 for floats."""
    return int(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1


def fill_of(channels: int, dtype: np.dtype[Any]) -> int:
    """What lies outside the plane: white around RGB (bright field), 0 around all else."""
    return white(dtype) if channels == 3 else 0


def on_fill(colour: Pixels, alpha: Pixels, fill: int, *, premultiplied: bool = False) -> Pixels:
    """Lay transparent pixels on a flat ground.

    Parameters
    ----------
    colour : (height, width, channel) array
        Whole numbers or floats.
    alpha : (height, width) array
        Of the same dtype; 0 is clear, the dtype's maximum opaque.
    fill : int
        The ground.
    premultiplied : bool
        Whether `colour` is already multiplied by alpha (TIFF's associated alpha).

    Returns
    -------
    (height, width, channel) array
        Of the same dtype; opaque pixels are unchanged to the bit.
    """
    top = white(colour.dtype)
    if bool((alpha == top).all()):
        return colour
    share = (alpha.astype(np.float64) / top)[..., None]
    laid = (colour if premultiplied else colour * share) + fill * (1.0 - share)
    if np.issubdtype(colour.dtype, np.integer):
        laid = np.clip(np.floor(laid + 0.5), 0, top)
    return laid.astype(colour.dtype)


def from_palette(index: Pixels, palette: NDArray[np.uint8]) -> Pixels:
    """``(height, width, 3)`` uint8 of palette indices ``(height, width)`` or ``(height, width, 1)``."""
    flat = index[..., 0] if index.ndim == 3 else index
    return palette[np.minimum(flat, len(palette) - 1)]


def inverted(pixels: Pixels) -> Pixels:
    """MinIsWhite to MinIsBlack."""
    return (white(pixels.dtype) - pixels).astype(pixels.dtype)


def from_ycbcr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Full-range YCbCr to RGB, both ``(height, width, 3)`` uint8 (ITU-T T.871; DICOM YBR_FULL)."""
    y, cb, cr = (pixels[..., i].astype(np.float32) for i in range(3))
    cb, cr = cb - 128, cr - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)


def jpeg_space(stream: bytes, declared: str) -> str:
    """Whether a three-component JPEG stream holds ``"YCBCR"`` or ``"RGB"``.

    Parameters
    ----------
    stream : bytes
        From its start-of-image marker on.
    declared : {"YCBCR", "RGB"}
        What the container says; asked last.

    Notes
    -----
    The stream knows better than the container: scanners' RGB streams are found in DICOM files that declare YBR_FULL.
    In this order: Adobe's transform flag; a JFIF header (always YCbCr); component ids ``R G B``; for other ids than
    1, 2, 3 the rule of Java's ImageIO, RGB unless chroma is subsampled; else what is declared.
    """
    jfif, ids, sampling = False, (1, 2, 3), (0x11, 0x11, 0x11)
    for marker, body in _segments(stream):
        if marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            return "YCBCR" if body[11] else "RGB"
        jfif |= marker == 0xE0 and body[:4] == b"JFIF"
        if 0xC0 <= marker <= 0xC3 and len(body) >= 15:
            ids, sampling = (body[6], body[9], body[12]), (body[7], body[10], body[13])
    if jfif or ids == (1, 2, 3):
        return "YCBCR" if jfif else declared
    return "RGB" if bytes(ids) == b"RGB" or len(set(sampling)) == 1 else "YCBCR"


def _segments(stream: bytes) -> list[tuple[int, bytes]]:
    """Markers and bodies of a JPEG stream up to its scan; an unreadable one ends the list."""
    found, at = [], 2
    while at + 4 <= len(stream) and stream[at] == 0xFF and stream[at + 1] != 0xDA:
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        found.append((stream[at + 1], stream[at + 4 : at + 2 + length]))
        at += 2 + max(length, 2)
    return found
