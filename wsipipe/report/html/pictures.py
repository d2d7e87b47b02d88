"""Pictures of a report: written into the page, put beside it, or left out.

Enters: published pictures and the PNG files of a slide's folder. Leaves: addresses for ``<img>`` and ``<image>``.
Next room: `wsipipe.report.html.slide` places them.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsipipe.report.heat import CLEAR_BELOW, COLORMAP
from wsipipe.store import published
from wsipipe.store.layout import store_path
from wsipipe.store.place import replace_file

Mode = Literal["inline", "linked", "none"]

BASE_PX, HEAT_PX, TILE_PX, THUMB_PX = 1600, 1600, 1100, 112
"""Longest side of the slide's picture, of its heat map, of an inlined tile, of a thumbnail, in pixels."""
QUALITY, THUMB_QUALITY = 82, 72
LEAST_ALPHA = 0.45
"""Opacity of the heat map where it begins, before the page's slider; at probability 1 it is opaque."""


@dataclass(frozen=True)
class Shown:
    """A picture as a page names it: address, and size in pixels of the picture as it was drawn."""

    href: str
    width: int
    height: int


@dataclass(frozen=True)
class Pictures:
    """Gives each picture an address.

    Parameters
    ----------
    results : path
        The results directory.
    page : path
        The report; relative addresses start at its folder.
    mode : "inline", "linked" or "none"
        As data within the page; as files beside it; not at all (thumbnails neither).
    """

    results: Path
    page: Path
    mode: Mode

    @property
    def folder(self) -> Path:
        """Where linked pictures that only the report needs are put."""
        return self.page.parent / f"{self.page.stem}-pictures"

    def thumbnail(self, slide_id: str) -> str:
        """A small JPEG of the slide, always within the page; empty in mode "none"."""
        if self.mode == "none":
            return ""
        return _data("image/jpeg", _jpeg(_fit(_overview(self.root(slide_id), 2 * THUMB_PX), THUMB_PX), THUMB_QUALITY))

    def base(self, slide_id: str) -> str:
        """The slide with nothing on it; empty in mode "none"."""
        root = self.root(slide_id)
        return self._made(slide_id, "slide.jpg", lambda: _jpeg(_overview(root, BASE_PX), QUALITY))

    def heat(self, slide_id: str) -> str:
        """The probability map in colours with opacity; empty in mode "none"."""
        root = self.root(slide_id)
        return self._made(slide_id, "heat.png", lambda: heat_png(_heat(root)))

    def drawn(self, slide_id: str, name: str) -> Shown | None:
        """A picture that the run left in the slide's folder; None where it is not there or in mode "none"."""
        path = self.results / slide_id / name
        if self.mode == "none" or not path.is_file():
            return None
        with path.open("rb") as file, Image.open(file) as picture:
            width, height = picture.size
            if self.mode == "linked":
                return Shown(self._relative(path), width, height)
            small = _fit(np.asarray(picture.convert("RGB")), TILE_PX)
        return Shown(_data("image/jpeg", _jpeg(small, QUALITY)), width, height)

    def root(self, slide_id: str) -> Path:
        """The slide's store."""
        return store_path(self.results, slide_id)

    def _made(self, slide_id: str, name: str, make: Callable[[], bytes]) -> str:
        if self.mode == "none":
            return ""
        if self.mode == "inline":
            return _data("image/png" if name.endswith(".png") else "image/jpeg", make())
        path, store = self.folder / slide_id / name, self.root(slide_id) / "zarr.json"
        if not path.is_file() or path.stat().st_mtime < store.stat().st_mtime:  # kept while nothing new is published
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, make())
        return self._relative(path)

    def _relative(self, path: Path) -> str:
        return quote(Path(os.path.relpath(path, self.page.parent)).as_posix())


def heat_png(probability: NDArray[np.uint8]) -> bytes:
    """A PNG with a palette: the colours of `wsipipe.report.heat`, clear where the probability is under `CLEAR_BELOW`.

    Parameters
    ----------
    probability : (h, w) uint8
        255 is 1. Sixty-four steps of it are kept.
    """
    steps = np.arange(64) / 63
    rgb = np.floor(matplotlib.colormaps[COLORMAP](steps)[:, :3] * 255 + 0.5).astype(np.uint8)
    alpha = np.where(steps < CLEAR_BELOW, 0, LEAST_ALPHA + (1 - LEAST_ALPHA) * steps)
    picture = Image.fromarray((probability >> 2).astype(np.uint8), "P")
    picture.putpalette(rgb.tobytes())
    sink = io.BytesIO()
    picture.save(sink, "PNG", transparency=np.floor(alpha * 255 + 0.5).astype(np.uint8).tobytes())
    return sink.getvalue()


def _overview(root: Path, longest_px: int) -> NDArray[np.uint8]:
    parts = [
        published.small(root, "images/overview", longest_px=longest_px, channel=channel)[...] for channel in range(3)
    ]
    return _fit(np.stack(parts, axis=-1).astype(np.uint8), longest_px)


def _heat(root: Path) -> NDArray[np.uint8]:
    return np.asarray(published.small(root, "images/probability", longest_px=HEAT_PX)[...], np.uint8)


def _fit(pixels: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    """Reduced until the longer side is at most `longest_px`."""
    height, width = pixels.shape[:2]
    factor = longest_px / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX, reducing_gap=2))


def _jpeg(pixels: NDArray[Any], quality: int) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, np.uint8), "RGB").save(sink, "JPEG", quality=quality, optimize=True)
    return sink.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
