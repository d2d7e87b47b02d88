"""Headers of plain picture files, and their pixels: PNG, JPEG, BMP, WebP through Pillow, JPEG 2000 through imagecodecs.

Enters: a path. Leaves: a `Facts`. Next room: `wsipipe.slide.picture`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from wsipipe.slide.base import Pixels
from wsipipe.slide.samples import UnsupportedError
from wsipipe.slide.scale import MppYX, length_um

HEAD_BYTES = 2**20
"""JPEG 2000 files keep boxes of metadata before their codestream."""
J2K_MAGIC = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
PNG_MAGIC = b"\x89PNG"

_PLUGINS: dict[bytes, Callable[..., Any]] = {
    PNG_MAGIC: PngImagePlugin.PngImageFile, b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"BM": BmpImagePlugin.BmpImageFile, b"RIFF": WebPImagePlugin.WebPImageFile,
}  # fmt: skip
"""Magic bytes to Pillow's reader, called directly: ``Image.open`` warns of large files by a global of the process."""
_MODES = {"RGB": "RGB", "RGBA": "RGBA", "RGBX": "RGB", "L": "L", "LA": "LA", "1": "L", "I;16": "I;16", "I": "I;16"}
"""Pillow's mode to the one that is decoded to."""
_BANDS = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2, "I;16": 1}
_PNG_BANDS = {0: 1, 2: 3, 4: 2, 6: 4}
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values that swap height and width."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a header says.

    ``bands`` counts alpha; ``alpha`` says whether the last one is. ``decode`` gives the pixels upright,
    ``(height, width)`` or ``(height, width, band)``.
    """

    shape: tuple[int, int]
    bands: int
    alpha: bool
    dtype: np.dtype[Any]
    decode: Callable[[], Pixels]
    mpp_yx: MppYX = (None, None)
    icc: bytes | None = field(default=None, repr=False)


def read_facts(path: Path) -> Facts:
    """What a picture file's header says; no pixel is decoded.

    Raises
    ------
    UnsupportedError
        Of another format, colours other than grey and RGB, animations.
    OSError, ValueError, SyntaxError, struct.error
        Damaged headers.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(J2K_MAGIC):
        return _j2k(path, head)
    plugin = next((plugin for magic, plugin in _PLUGINS.items() if head.startswith(magic)), None)
    if plugin is None:
        raise UnsupportedError("it is neither PNG, JPEG, BMP, WebP nor JPEG 2000")
    with plugin(path) as picture:
        if head.startswith(PNG_MAGIC) and head[24] == 16:
            return _deep_png(path, picture, _PNG_BANDS.get(head[25], 0))
        return _shallow(path, picture, plugin)


def _shallow(path: Path, picture: Any, plugin: Callable[..., Any]) -> Facts:
    """Whatever Pillow decodes without loss."""
    mode = _mode(picture)
    turn = _orientation(picture)
    shape = (picture.width, picture.height) if turn in _TURNED else (picture.height, picture.width)
    return Facts(
        shape, _BANDS[mode], mode in ("RGBA", "LA"), np.dtype(np.uint16 if mode == "I;16" else np.uint8),
        lambda: upright(_by_pillow(path, plugin, mode), turn), _density(picture),
        picture.info.get("icc_profile") or None,
    )  # fmt: skip


def _mode(picture: Any) -> str:
    """The Pillow mode to decode to."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise UnsupportedError(f"an animation of {frames} frames: save the frames one by one")
    clear = "transparency" in picture.info
    if picture.mode == "P":
        return "RGBA" if clear else "RGB"
    if picture.mode not in _MODES:
        raise UnsupportedError(
            f"its colours are {picture.mode}, grey and RGB are read: convert it with its colour profile"
        )
    return {"RGB": "RGBA", "L": "LA", "1": "LA"}.get(picture.mode, picture.mode) if clear else _MODES[picture.mode]


def _by_pillow(path: Path, plugin: Callable[..., Any], mode: str) -> Pixels:
    with plugin(path) as picture:
        return np.asarray(picture if picture.mode == mode else picture.convert(mode))


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """A picture as stored, turned as EXIF's Orientation (1 to 8) says; other values turn nothing."""
    if orientation in _TURNED:
        pixels = pixels.swapaxes(0, 1)
    down = -1 if orientation in (3, 4, 7, 8) else 1
    across = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::down, ::across]


def _orientation(picture: Any) -> int:
    """EXIF's Orientation, where it stands before the pixels (Pillow's own ``getexif`` decodes a PNG to look behind)."""
    return int(Image.Image.getexif(picture).get(_ORIENTATION, 1) or 1)


def _deep_png(path: Path, picture: Any, bands: int) -> Facts:
    """Sixteen bits; Pillow would cut RGB to eight."""
    if _orientation(picture) != 1 or "transparency" in picture.info or not bands:
        raise UnsupportedError(
            "a 16-bit PNG that is turned by EXIF or has a transparent colour: save it upright, with alpha"
        )
    return Facts(
        (picture.height, picture.width), bands, bands in (2, 4), np.dtype(np.uint16),
        lambda: np.asarray(imagecodecs.png_decode(path.read_bytes())), _density(picture),
        picture.info.get("icc_profile") or None,
    )  # fmt: skip


def _density(picture: Any) -> MppYX:
    """Micrometres per pixel (down, across) of JPEG's density or PNG's pHYs."""
    unit = {1: "inch", 2: "cm"}.get(picture.info.get("jfif_unit", 1 if "jfif" not in picture.info else 0), "")
    across, down = picture.info.get("jfif_density") or picture.info.get("dpi") or (0, 0)
    return length_um(1 / down if down else None, unit), length_um(1 / across if across else None, unit)


def _j2k(path: Path, head: bytes) -> Facts:
    """JPEG 2000: sizes from the codestream's SIZ marker (ISO 15444-1, A.5.1), scale from the capture resolution box."""
    at = head.find(J2K_MAGIC[1])
    if at < 0:
        raise UnsupportedError("a JPEG 2000 file whose codestream starts past its first MiB")
    x1, y1, x0, y0 = struct.unpack(">4I", head[at + 8 : at + 24])
    bands, depth = struct.unpack(">HB", head[at + 40 : at + 43])
    if bands not in (1, 3) or depth & 0x80 or depth > 15:
        raise UnsupportedError(f"JPEG 2000 of {bands} components of {(depth & 0x7F) + 1} bits")
    return Facts(
        (y1 - y0, x1 - x0), bands, alpha=False, dtype=np.dtype(np.uint8 if depth < 8 else np.uint16),
        decode=lambda: np.asarray(imagecodecs.jpeg2k_decode(path.read_bytes())), mpp_yx=_capture_resolution(head[:at]),
    )  # fmt: skip


def _capture_resolution(boxes: bytes) -> MppYX:
    """The ``resc`` box: samples per metre as fractions with powers of ten (ISO 15444-1, I.5.3.7.1)."""
    at = boxes.find(b"resc")
    if at < 0 or at + 14 > len(boxes):
        return None, None
    down, down_of, across, across_of, down_ten, across_ten = struct.unpack(">4H2b", boxes[at + 4 : at + 14])
    per_metre = [
        a / b * 10.0**ten if a and b else 0.0
        for a, b, ten in ((down, down_of, down_ten), (across, across_of, across_ten))
    ]
    return length_um(1 / per_metre[0] if per_metre[0] else None, "m"), length_um(
        1 / per_metre[1] if per_metre[1] else None, "m"
    )
