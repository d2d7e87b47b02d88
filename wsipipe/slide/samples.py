"""What a TIFF's samples mean: which are colour, which is alpha, what 0 looks like.

Enters: a tifffile page. Leaves: a `Samples` that turns a decoded tile into grey or RGB. Next: `wsipipe.slide.tiff`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.slide.base import Pixels
from wsipipe.slide.colour import fill_of, from_palette, inverted, on_fill

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
JPEG_CODECS = (6, 7, 34892, 33007)
ASSOCIATED_ALPHA, ALPHA = 1, 2


class UnsupportedError(Exception):
    """Why a page cannot be read; becomes part of a `SlideOpenError`."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """How the samples of a tile become channels.

    Parameters
    ----------
    channels : int
        That are handed out of one page: 3 for RGB, else those stored.
    dtype : numpy.dtype
        In native byte order.
    alpha : int
        0 none, 1 premultiplied, 2 straight; the sample after the colours.
    palette : (n, 3) uint8 or None
    min_is_white : bool
    """

    channels: int
    dtype: np.dtype[Any]
    alpha: int = 0
    palette: NDArray[np.uint8] | None = None
    min_is_white: bool = False

    @property
    def fill(self) -> int:
        """What lies outside the plane."""
        return fill_of(self.channels, self.dtype)

    def finish(self, tile: Pixels) -> Pixels:
        """``(height, width, sample)`` as decoded to ``(height, width, channel)`` of `dtype`."""
        if tile.dtype != self.dtype:
            tile = tile.astype(self.dtype)
        if self.palette is not None:
            return from_palette(tile, self.palette)
        if self.min_is_white:
            return inverted(tile)
        colour = tile[..., : self.channels] if tile.shape[2] != self.channels else tile
        if self.alpha:
            return on_fill(colour, tile[..., self.channels], self.fill, premultiplied=self.alpha == ASSOCIATED_ALPHA)
        return colour


def samples_of(page: Any) -> Samples:
    """The meaning of a page's samples.

    Raises
    ------
    UnsupportedError
        For CMYK, CIELAB, YCbCr outside JPEG, bilevel, complex, volumetric tiles, and turned pictures.
    """
    _check_layout(page)
    dtype, photometric, stored = (
        np.dtype(page.dtype).newbyteorder("="),
        int(page.photometric),
        int(page.samplesperpixel),
    )
    if photometric == PALETTE:
        return Samples(3, np.dtype(np.uint8), palette=_palette(page))
    if photometric == RGB or (photometric == YCBCR and int(page.compression) in JPEG_CODECS):
        if stored < 3:
            raise UnsupportedError(f"RGB of {stored} samples")
        return Samples(3, dtype, alpha=_alpha(page, stored - 3))
    if photometric in (MIN_IS_BLACK, MIN_IS_WHITE):
        alpha = _alpha(page, stored - 1)
        return Samples(stored - bool(alpha), dtype, alpha=alpha, min_is_white=photometric == MIN_IS_WHITE and not alpha)
    raise UnsupportedError(f"colours are stored as {page.photometric!s}: convert them to RGB first")


def _check_layout(page: Any) -> None:
    if page.dtype is None or np.dtype(page.dtype).kind not in "uif" or page.bitspersample < 2:
        raise UnsupportedError(
            f"samples of {page.bitspersample} bits, format {page.sampleformat}: 8 to 64 bits are read"
        )
    if page.imagedepth > 1:
        raise UnsupportedError("tiles are volumes: export the planes one by one")
    turned = int(page.tags.valueof(274, 1) or 1)
    if turned != 1:
        raise UnsupportedError(f"the picture is stored turned (Orientation {turned}): turn its pixels upright first")


def _alpha(page: Any, extra: int) -> int:
    """1 premultiplied, 2 straight, 0 where the first extra sample is not alpha."""
    kinds = tuple(int(kind) for kind in page.extrasamples)
    return kinds[0] if extra > 0 and kinds and kinds[0] in (ASSOCIATED_ALPHA, ALPHA) else 0


def _palette(page: Any) -> NDArray[np.uint8]:
    table = page.colormap
    if table is None or page.samplesperpixel != 1:
        raise UnsupportedError("a palette picture without its palette")
    return np.ascontiguousarray((np.asarray(table) >> 8).T.astype(np.uint8))
