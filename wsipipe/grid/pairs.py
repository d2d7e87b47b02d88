"""Neighbouring boxes, by spatial hash: stitching overlaps, graph candidates, consecutive frames.

Enters: boxes. Leaves: index pairs. Next rooms: `wsipipe.graph`, `wsipipe.stitch`.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import numpy as np
from numpy.typing import NDArray


def neighbours(boxes: NDArray[np.integer], *, reach: int = 0) -> NDArray[np.int64]:
    """Pairs of boxes that overlap once each is grown by `reach` pixels.

    Parameters
    ----------
    boxes : (N, 4) integers
        ``y, x, height, width`` in pixels of one frame; empty boxes have no neighbours.
    reach : int
        Pixels by which each of the two is grown on all sides; 0 asks for a shared pixel.

    Returns
    -------
    (M, 2) int64
        Index pairs with ``first < second``, sorted. Each pair stands once.

    Notes
    -----
    Boxes are put in square cells of the largest side, so each looks at nine cells or fewer:
    linear in N for boxes of like size, where comparing all pairs is quadratic.
    """
    grown = np.asarray(boxes, np.int64).reshape(-1, 4) + np.array([-reach, -reach, 2 * reach, 2 * reach])
    alive = np.flatnonzero((np.asarray(boxes).reshape(-1, 4)[:, 2:] > 0).all(axis=1))
    if len(alive) == 0:
        return np.zeros((0, 2), np.int64)
    side = int(grown[alive, 2:].max())
    found = {pair for bin_ in _bins(grown, alive, side).values() for pair in _overlaps(grown, bin_)}
    return np.array(sorted(found), np.int64).reshape(-1, 2)


def _bins(boxes: NDArray[np.int64], alive: NDArray[np.int64], side: int) -> dict[tuple[int, int], list[int]]:
    bins: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index in alive.tolist():
        y, x, height, width = boxes[index].tolist()
        rows = range(y // side, (y + height - 1) // side + 1)
        columns = range(x // side, (x + width - 1) // side + 1)
        for cell in product(rows, columns):
            bins[cell].append(index)
    return bins


def _overlaps(boxes: NDArray[np.int64], members: list[int]) -> list[tuple[int, int]]:
    index = np.array(members, np.int64)
    start, stop = boxes[index, :2], boxes[index, :2] + boxes[index, 2:]
    meet = (np.maximum(start[:, None], start[None]) < np.minimum(stop[:, None], stop[None])).all(axis=-1)
    first, second = np.nonzero(np.triu(meet, k=1))
    return [(int(a), int(b)) for a, b in zip(index[first], index[second], strict=True)]
