"""Exact outlines of labelled pixels, put together from corners so that blocks may be cut anywhere.

Enters: label images of blocks. Leaves: closed rings on the pixel lattice. Next: `wsipipe.lesion.regions`
makes polygons of them.

A boundary of pixels consists of horizontal and vertical edges, so the corners in one lattice row, sorted
by x, are in pairs the ends of its horizontal edges; those in one column, sorted by y, of its vertical
edges. Corners therefore are all that blocks need to hand on. Where two pixels touch only at their
corners, each has a corner of its own there (4-connectivity).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Ring = NDArray[np.int64]
"""(M, 2) lattice points ``yx``; the first is not repeated at the end."""

QUADRANTS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Where a pixel lies of a lattice point: (row below?, column right?)."""

_TWICE = (0b0110, 0b1001)


def points(labels: NDArray[np.integer]) -> tuple[Int, Int]:
    """Lattice points of a block that may be corners, and the labels of the four pixels around each.

    Parameters
    ----------
    labels : (H, W) integers
        0 outside the regions. Pixels beyond the block count as 0.

    Returns
    -------
    at : (N, 2) int64
        ``yx`` from 0 to H and W: every corner inside the block, and every point of its rim that touches
        a labelled pixel (what it is, only the blocks beyond can tell).
    around : (N, 4) int64
        Label of the pixel in each of ``QUADRANTS``.
    """
    padded = np.pad(labels, 1)
    height, width = labels.shape
    code = np.zeros((height + 1, width + 1), np.uint8)
    for bit, (y, x) in enumerate(QUADRANTS):
        code |= (padded[y : y + height + 1, x : x + width + 1] > 0).astype(np.uint8) << bit
    keep = _IS_CORNER[code]
    for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        keep[rim] |= code[rim] > 0
    at = np.argwhere(keep).astype(np.int64)
    around = [padded[at[:, 0] + y, at[:, 1] + x] for y, x in QUADRANTS]
    return at, np.stack(around, axis=-1).astype(np.int64)


def merged(at: Int, around: Int) -> tuple[Int, Int]:
    """Points that several blocks share, each once, with what all blocks know of its four pixels."""
    order = np.lexsort((at[:, 1], at[:, 0]))
    at, around = at[order], around[order]
    fresh = np.ones(len(at), bool)
    fresh[1:] = (at[1:] != at[:-1]).any(axis=1)
    first = np.flatnonzero(fresh)
    return at[first], np.add.reduceat(around, first, axis=0) if len(first) else around


def touching(around: Int) -> Int:
    """(M, 2) pairs of different labels whose pixels share an edge at some point."""
    sides = [around[:, list(pair)] for pair in ((0, 1), (2, 3), (0, 2), (1, 3))]
    pairs = np.concatenate(sides)
    differ = (pairs > 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])
    return np.unique(np.sort(pairs[differ], axis=1), axis=0)


def corners(at: Int, around: Int) -> tuple[Int, Int, Int]:
    """The corners of merged points.

    Returns
    -------
    at : (M, 2) int64
        Lattice point of each corner; where pixels touch only diagonally it stands twice.
    quadrant : (M,) int64
        Of the pixel that this corner belongs to.
    label : (M,) int64
        Of that pixel.
    """
    code = ((around > 0) << np.arange(4)).sum(axis=1)
    once = np.flatnonzero(_IS_CORNER[code])
    again = np.flatnonzero(np.isin(code, _TWICE))
    index = np.concatenate([once, again])
    quadrant = np.concatenate([_LOWEST[code[once]], _HIGHEST[code[again]]])
    return at[index], quadrant, around[index, quadrant]


def rings(at: Int, quadrant: Int) -> Iterator[tuple[int, Ring]]:
    """Closed simple rings through all corners of whole regions.

    Parameters
    ----------
    at : (M, 2) int64
    quadrant : (M,) int64
        As `corners` gives them; all corners of a region, or none.

    Yields
    ------
    corner : int
        Index of a corner of the region that the ring bounds.
    ring : (L, 2) int64
        Each point once: a ring that meets itself at a point is cut there into two. The first ring of a
        region starts at its first corner in reading order; regions come in that order too.
    """
    across, along = _partners(at, quadrant)
    seen = np.zeros(len(at), bool)
    for start in np.lexsort((at[:, 1], at[:, 0])).tolist():
        if seen[start]:
            continue
        walk = _walk(start, across, along)
        seen[walk] = True
        for loop in _simple([(y, x) for y, x in at[walk].tolist()]):
            yield start, np.array(loop, np.int64)


def ring_area(ring: Ring) -> int:
    """Pixels within a ring, exact."""
    y, x = ring[:, 0], ring[:, 1]
    return abs(int(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) // 2


def _partners(at: Int, quadrant: Int) -> tuple[list[int], list[int]]:
    """Each corner's other end of its horizontal and of its vertical edge."""
    # Only at a double point do two corners share a place. There an edge runs along its own pixel, so the
    # corner of the left pixel ends the edge from the left: it comes first.
    right, below = quadrant & 1, quadrant >> 1
    return _paired(np.lexsort((right, at[:, 1], at[:, 0]))), _paired(np.lexsort((below, at[:, 0], at[:, 1])))


def _paired(order: Int) -> list[int]:
    partner = np.empty(len(order), np.int64)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return [int(index) for index in partner]


def _walk(start: int, across: list[int], along: list[int]) -> list[int]:
    walk = [start]
    while True:
        walk.append(across[walk[-1]])
        following = along[walk[-1]]
        if following == start:
            return walk
        walk.append(following)


def _simple(walk: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Cut a closed walk into loops that pass every point once."""
    path: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for point in walk:
        if point in place:
            since = place[point]
            loop, path = path[since:], path[: since + 1]
            for passed in loop[1:]:
                del place[passed]
            yield loop
            continue
        place[point] = len(path)
        path.append(point)
    yield path


_CODES = range(16)
_IS_CORNER = np.array([code.bit_count() % 2 == 1 or code in _TWICE for code in _CODES])
_LOWEST = np.array([max((code & -code).bit_length() - 1, 0) for code in _CODES], np.int64)
_HIGHEST = np.array([max(code.bit_length() - 1, 0) for code in _CODES], np.int64)
