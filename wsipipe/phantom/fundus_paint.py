"""Draw vessels exactly: how much of each pixel a vessel covers.

Enters: segments in pixels. Leaves: coverage per class and the label. Next: `wsipipe.phantom.fundus_render`.

A segment is drawn as a chain of quadrangles and discs on a canvas some times finer, then averaged: the area of each
pixel that a vessel covers, to about one part in 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.fundus_tree import ARTERY, VEIN, Segment

Map = NDArray[np.float32]
SHIFT = 5
"""Bits after the point of OpenCV's coordinates."""


def fineness(shape: tuple[int, int]) -> int:
    """How many times finer than the picture the canvas is: 4, and 2 for pictures beyond 1.5 megapixels."""
    return 4 if shape[0] * shape[1] < 1_500_000 else 2


def coverage(
    segments: Sequence[Segment],
    shape: tuple[int, int],
    *,
    width: float = 1.0,
    strength: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> Map:
    """Share of each pixel that the segments cover.

    Parameters
    ----------
    segments : sequence of Segment
        Drawn from thin to thick, in pixels of the picture.
    shape : tuple of int
        (height, width).
    width : float
        Drawn width over calibre.
    strength : callable, optional
        Value (0 to 1) for calibres; 1 where not given.

    Returns
    -------
    array (height, width) of float32, 0 to 1
    """
    fine = fineness(shape)
    canvas = np.zeros((shape[0] * fine, shape[1] * fine), np.uint8)
    for segment in sorted(segments, key=lambda part: float(part.calibre.mean())):
        value = 1.0 if strength is None else float(strength(segment.calibre).mean())
        _draw(canvas, segment, fine, width, round(255 * value))
    small = cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def label(segments: Sequence[Segment], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """0 background, 1 artery, 2 vein, 3 where both are.

    A pixel belongs to a class where it is covered by half, or where a centre line passes (so that the thinnest
    vessels hold together).
    """
    arteries, veins = (_mask([s for s in segments if s.kind == kind], shape) for kind in (ARTERY, VEIN))
    return (arteries * np.uint8(1) + veins * np.uint8(2)).astype(np.uint8)


def _mask(segments: Sequence[Segment], shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = (coverage(segments, shape) >= 0.5).astype(np.uint8)
    for segment in segments:
        line = np.rint(segment.points[:, ::-1] * (1 << SHIFT)).astype(np.int32)
        cv2.polylines(mask, [line], False, 1, 1, cv2.LINE_8, SHIFT)
    return mask > 0


def _draw(canvas: NDArray[np.uint8], segment: Segment, fine: int, width: float, value: int) -> None:
    """Quadrangles between points and a disc at each; OpenCV adds half a pixel of border, which is taken off."""
    scale = 1 << SHIFT
    xy = (segment.points[:, ::-1] + 0.5) * fine - 0.5
    half = np.maximum(segment.calibre * width * fine / 2 - 0.5, 0.25)
    along = np.diff(xy, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    left, right = xy[:-1] + normal * half[:-1, None], xy[:-1] - normal * half[:-1, None]
    left_end, right_end = xy[1:] + normal * half[1:, None], xy[1:] - normal * half[1:, None]
    quads = np.rint(np.stack([left, left_end, right_end, right], 1) * scale).astype(np.int32)
    for quad in quads:
        cv2.fillConvexPoly(canvas, quad, value, cv2.LINE_8, SHIFT)
    for (x, y), radius in zip(np.rint(xy * scale).astype(int), np.rint(half * scale).astype(int), strict=True):
        cv2.circle(canvas, (int(x), int(y)), int(radius), value, -1, cv2.LINE_8, SHIFT)
