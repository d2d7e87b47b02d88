"""Pixels of a tile from its slide, and the probability map at a size fit to look at.

Enters: a slide's results, a tile id. Leaves: pixels. Next room: `wsipipe.query.results`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wsipipe.errors import UsageError
from wsipipe.grid import Box
from wsipipe.slide import open_slide
from wsipipe.store import published

if TYPE_CHECKING:
    from wsipipe.query.results import SlideResult

LONGEST_PX = 1024


@dataclass(frozen=True, eq=False)
class Heatmap:
    """The probability map, small: ``values`` ``(y, x)`` float32 from 0 to 1, ``mpp``, ``l0_scale``.

    It shows itself in a notebook, and NumPy takes it for its values.
    """

    values: NDArray[np.float32]
    mpp: float
    l0_scale: float

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """``(y, x, 3)`` uint8 in matplotlib's *inferno*."""
        from matplotlib import colormaps

        return np.asarray(colormaps["inferno"](self.values, bytes=True)[..., :3], np.uint8)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.values, dtype=dtype)

    def _repr_png_(self) -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, format="png")
        return buffer.getvalue()


def heatmap(slide: SlideResult, *, longest_px: int = LONGEST_PX) -> Heatmap:
    """The finest stored level of the probability map whose longer side is at most `longest_px`."""
    found = published.small(slide.path, "images/probability", longest_px=longest_px)
    return Heatmap(np.asarray(found, np.float32) / np.float32(255), found.mpp, found.l0_scale)


def tile_image(slide: SlideResult, tile_id: int, *, slide_path: str | Path | None = None) -> NDArray[Any]:
    """Level-0 pixels ``(height, width, channel)`` of a kept tile, read from the slide now.

    Raises
    ------
    UsageError
        Where the tile was not kept, or the slide is not where it was and no `slide_path` is given, or another slide
        lies there.
    """
    tiles = slide.tiles
    rows = tiles[tiles["tile_id"] == tile_id] if len(tiles) else tiles
    if not len(rows):
        raise UsageError("reading a tile: it was not kept; .tiles lists those that were", subject=f"tile {tile_id}")
    tile = rows.iloc[0]
    source = open_slide(_source(slide, slide_path))
    try:
        if slide.row["fingerprint"] and source.info.fingerprint != slide.row["fingerprint"]:
            raise UsageError("reading a tile: another slide lies there; give slide_path=", subject=slide.id)
        return source.read(Box(*(int(tile[name]) for name in ("y", "x", "height", "width"))), level=0)
    finally:
        source.close()


def _source(slide: SlideResult, given: str | Path | None) -> Path:
    told = given or slide.row["path"]
    if not told:
        raise UsageError("reading a tile: the run was de-identified; give slide_path=", subject=slide.id)
    if not Path(told).exists():
        raise UsageError("reading a tile: the slide is not there any more; give slide_path=", subject=slide.id)
    return Path(told)
