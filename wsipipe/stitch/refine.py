"""A shift measured at full scale, in several windows of the overlap: where, how far, how well.

Enters: two fields' pixels on demand, a shift that is right within some pixels. Leaves: `Windows`. Next room:
`wsipipe.stitch.solve`, which finds positions and rotations that explain them.

In each window the shift is found to the pixel by phase correlation, the second window is read again there, and what
is left is a least-squares fit of the grey values (Lucas & Kanade, 1981) on band-passed pictures. Two equal windows
give exactly 0, so a picture that was only cut is put together exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box
from wsipipe.stitch.register import F32, Shift, band, correlate, overlap, surface

SIDE_PX = 256
"""Longest side of a window."""
LEAST_SIDE_PX, LEAST_SPREAD_PX = 24, 96
"""Shortest side of a window; and where an overlap has no room for three long ones: four short ones see turns better."""
MOST_WINDOWS = 6
LEAST_NCC = 0.35
"""A window that fits less well than this says nothing."""
STEPS = 3
Read = Callable[[Box], F32]
"""Grey pixels of a box inside a field."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Measurements of one edge.

    Parameters
    ----------
    at : (K, 2) float
        Middle of each window, ``y, x`` in the first field from its corner.
    shift : (K, 2) float
        Of the second field's corner from the first's, as this window sees it.
    ncc : (K,) float
        Correlation of the two windows once they lie over each other.
    """

    at: NDArray[np.float64]
    shift: NDArray[np.float64]
    ncc: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ncc)


def measure(first: Read, second: Read, shape: tuple[int, int], shift: Shift, *, slack: int) -> Windows:
    """Measure a shift in the windows of an overlap.

    Parameters
    ----------
    first, second : callable
        Give the pixels of a box inside the field.
    shape : (int, int)
        Of the fields.
    shift : (int, int)
        Of the second field's corner, right within `slack` pixels.

    Returns
    -------
    Windows
        Those that fit; none where nothing does.
    """
    found = []
    for box in windows(shape, shift):
        measured = _window(first, second, shape, (box, shift), slack)
        if measured is not None:
            found.append(((box.y + (box.height - 1) / 2, box.x + (box.width - 1) / 2), *measured))
    at, shifts, nccs = ([one[index] for one in found] for index in range(3))
    return Windows(np.array(at, float).reshape(-1, 2), np.array(shifts, float).reshape(-1, 2), np.array(nccs, float))


def windows(shape: tuple[int, int], shift: Shift) -> list[Box]:
    """Boxes of the first field, spread over its overlap with the second."""
    (rows, columns), _ = overlap(shape, *shift)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if min(height, width) < LEAST_SIDE_PX:
        return []
    along = [_spread(length) for length in (height, width)]
    if len(along[0][1]) * len(along[1][1]) > MOST_WINDOWS:  # wide both ways: the corners, the middle, and a half
        along = [(side, starts if len(starts) < 3 else [starts[0], starts[-1]]) for side, starts in along]
    boxes = [Box(rows.start + y, columns.start + x, along[0][0], along[1][0]) for y in along[0][1] for x in along[1][1]]
    middle = Box(
        rows.start + (height - along[0][0]) // 2, columns.start + (width - along[1][0]) // 2, along[0][0], along[1][0]
    )
    return list(dict.fromkeys([*boxes, middle]))


def _spread(length: int) -> tuple[int, list[int]]:
    """The side of a window along an axis, and where windows start: from one end to the other."""
    room = length >= 3 * SIDE_PX
    side = min(length, SIDE_PX if room else max(LEAST_SPREAD_PX, min(SIDE_PX, length // 4)))
    count = min(5, max(1, length // (side * 5 // 4) + 1)) if length > side else 1
    return side, sorted({round(at) for at in np.linspace(0, length - side, count)})


def _window(
    first: Read, second: Read, shape: tuple[int, int], where: tuple[Box, Shift], slack: int
) -> tuple[tuple[float, float], float] | None:
    """The shift that one window sees and how well it fits, or None."""
    box, shift = where
    a = first(box)
    for _ in range(2):  # the second time at the place found the first time, where more of it lies over the first
        there = box.shift(-shift[0], -shift[1])
        if not Box(0, 0, *shape).contains(there):
            there = _pushed(there, shape)
        b = second(there)
        step = _coarse(a, b, slack + abs(box.y - shift[0] - there.y) + abs(box.x - shift[1] - there.x))
        moved = (box.y - there.y + step[0], box.x - there.x + step[1])
        if moved == shift:
            break
        shift = moved
    return _fine(first, second, shape, box, shift)


def _pushed(box: Box, shape: tuple[int, int]) -> Box:
    """The box moved inside the field."""
    y, x = (min(max(0, at), side - length) for at, side, length in zip((box.y, box.x), shape, box.shape, strict=True))
    return Box(y, x, *box.shape)


def _coarse(a: F32, b: F32, slack: int) -> Shift:
    """The whole-pixel shift within `slack`, by phase correlation of windowed pictures."""
    taper = np.outer(np.hanning(a.shape[0] + 2)[1:-1], np.hanning(a.shape[1] + 2)[1:-1]).astype(np.float32)
    found = surface((a - a.mean()) * taper, (b - b.mean()) * taper)
    found = cv2.GaussianBlur(np.roll(found, (slack, slack), (0, 1)), (0, 0), 0.7)
    y, x = divmod(int(found[: 2 * slack + 1, : 2 * slack + 1].argmax()), min(found.shape[1], 2 * slack + 1))
    return y - slack, x - slack


def _fine(
    first: Read, second: Read, shape: tuple[int, int], box: Box, shift: Shift
) -> tuple[tuple[float, float], float] | None:
    """The part of a pixel that is left, on what both fields hold of the window."""
    whole = Box(0, 0, *shape)
    inside = box.intersect(whole.shift(*shift))
    if min(inside.shape) < LEAST_SIDE_PX:
        return None
    a = band(first(inside), fine_px=1.0)
    b = band(second(inside.shift(-shift[0], -shift[1])), fine_px=1.0)
    dy, dx, ncc = lucas_kanade(a, b)
    if not ncc >= LEAST_NCC or max(abs(dy), abs(dx)) > 2:
        return None
    return (shift[0] + dy, shift[1] + dx), ncc


def lucas_kanade(a: F32, b: F32) -> tuple[float, float, float]:
    """Shift of `b` against `a` of a pixel or so, and the correlation after it.

    Returns
    -------
    (dy, dx, ncc)
        ``b`` moved by ``(dy, dx)`` lies over ``a``; NaN for ncc where there is nothing to fit.
    """
    edge = 6  # the band pass sees the window's edge
    keep = (slice(edge, -edge), slice(edge, -edge)) if min(a.shape) > 4 * edge else (slice(None), slice(None))
    dy = dx = 0.0
    moved = b
    for _ in range(STEPS):
        gy, gx = np.gradient(moved, axis=0), np.gradient(moved, axis=1)
        columns = np.stack([gy[keep].ravel(), gx[keep].ravel()])
        normal = columns @ columns.T
        if np.linalg.det(normal) <= 0 or normal.trace() < 1e-3 * columns.shape[1]:
            return 0.0, 0.0, float("nan")
        step = np.linalg.solve(normal, columns @ (moved - a)[keep].ravel())
        dy, dx = dy + float(step[0]), dx + float(step[1])
        if np.abs(step).max() < 1e-3 or max(abs(dy), abs(dx)) > 3:
            break
        place = np.array([[1, 0, -dx], [0, 1, -dy]], np.float64)
        moved = cv2.warpAffine(
            b, place, b.shape[::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
    return dy, dx, correlate(a[keep], moved[keep])
