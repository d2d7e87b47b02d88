"""Area resampling whose every output pixel depends on its absolute position only, not on the box it is read in.

Enters: a function that reads boxes of a finer level. Leaves: pixels of a coarser frame. Next room: the readers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box

STRIP_PX = 2_000_000
"""Source pixels held at once."""
Read = Callable[[Box], NDArray[Any]]


def fill_area(
    out: NDArray[Any], box: Box, read: Read, *, ratio: float, shape: tuple[int, int], strip_px: int = STRIP_PX
) -> None:
    """Fill `out` with the pixels of `box` of a frame `ratio` times coarser than what `read` gives.

    Parameters
    ----------
    out : (height, width, channel) array
        Written to; its dtype is that of the pixels.
    box : Box
        In pixels of the coarser frame; not empty.
    read : callable
        Gives ``(h, w, c)`` pixels of a box inside the finer level.
    ratio : float
        Finer pixels per coarser pixel, above 0; below 1 it magnifies.
    shape : (int, int)
        Of the finer level. Ground past its edge repeats the edge's pixels: no border of another colour is mixed in.
    strip_px : int
        Source pixels held at once, or the ground of one output pixel if that is more; changes nothing but memory.

    Notes
    -----
    Each output pixel is the mean of the ground that it covers (box filter), with exact fractional weights computed
    from its absolute coordinates; taps are added in a fixed order in float32, and integers round half up. So reading
    in pieces equals reading whole, byte for byte.
    """
    wide = max(1, int(strip_px / max(1.0, ratio) ** 2))
    for first in range(0, box.width, wide):
        columns, across = _taps(box.x + first, min(wide, box.width - first), ratio, shape[1])
        left, right = int(columns.min()), int(columns.max()) + 1
        high = max(1, int(strip_px / (max(1.0, ratio) * (right - left))))
        for start in range(0, box.height, high):
            rows, down = _taps(box.y + start, min(high, box.height - start), ratio, shape[0])
            top = int(rows.min())
            pixels = read(Box.from_edges(top, left, int(rows.max()) + 1, right))
            half = _weighted(pixels, rows - top, down)
            full = np.moveaxis(_weighted(np.moveaxis(half, 1, 0), columns - left, across), 0, 1)
            part = out[start : start + rows.shape[1], first : first + columns.shape[1]]
            part[...] = full if out.dtype.kind == "f" else np.floor(full + 0.5).astype(out.dtype)


def _taps(start: int, count: int, ratio: float, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Source indices and weights ``(taps, count)`` of output pixels ``start ... start + count``."""
    index = np.arange(start, start + count)
    low, high = index * ratio, (index + 1) * ratio
    first = np.floor(low + 1e-9).astype(np.int64)
    source = first + np.arange(int(np.ceil(ratio)) + 1)[:, None]
    weight = np.clip(np.minimum(source + 1, high) - np.maximum(source, low), 0, None) / ratio
    weight = np.where(weight > 1e-7, weight, 0).astype(np.float32)
    return np.clip(np.where(weight > 0, source, first), 0, limit - 1), weight


def _weighted(pixels: NDArray[Any], source: NDArray[np.int64], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sum of rows; a tap that no row needs is left out, which adds exactly the same zeros."""
    total = np.zeros((source.shape[1], *pixels.shape[1:]), np.float32)
    for taps, share in zip(source, weight, strict=True):
        if share.any():
            total += pixels[taps] * share[:, None, None]
    return total
