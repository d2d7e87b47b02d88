"""Topology errors of a vessel mask: the share of paths along true vessels that the mask does not have.

Enters: a true and a predicted mask of one class. Leaves: a share. Next: `wsipipe.vessel.count`.

After Araújo et al., 2019: pairs of points on the true skeleton that are connected there are drawn; a path is wrong
where the predicted skeleton has no point near an end, no path between the two ends, or one whose length differs by more
than a tenth (and the distance that ends may lie off). The draw depends on the truth alone, so that all programs are
asked the same paths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

Mask = NDArray[np.bool_]
STARTS, ENDS, NEAR_PX, LONGER, SHORTEST_PX = 12, 12, 5.0, 0.1, 20.0
"""Starts drawn, ends per start, how far a predicted skeleton may lie off, allowed difference, shortest path asked."""


@dataclass(frozen=True)
class Skeleton:
    """Pixels of a skeleton as a graph.

    Attributes
    ----------
    points : (n, 2) int
        (y, x).
    lengths : (n, n) sparse
        Distances of neighbouring pixels, px.
    """

    points: NDArray[np.int64]
    lengths: csr_array


def topology_errors(truth: Mask, seen: Mask, *, seed: int = 0) -> float:
    """Share of the drawn paths that are wrong; NaN where the truth has no path.

    Parameters
    ----------
    truth, seen : (height, width) bool
        Masks of one class.
    seed : int
        Of the draw.
    """
    ours = skeleton(truth)
    if len(ours.points) < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    starts = rng.choice(len(ours.points), min(STARTS, len(ours.points)), replace=False)
    far = dijkstra(ours.lengths, directed=False, indices=starts)
    asked = [
        (int(start), int(end), float(row[end]))
        for start, row in zip(starts, far, strict=True)
        for end in _ends(row, rng)
    ]
    if not asked:
        return float("nan")
    return _wrong(asked, ours, skeleton(seen))


def skeleton(mask: Mask) -> Skeleton:
    """The skeleton of a mask as a graph of its pixels, eight neighbours each."""
    from skimage.morphology import skeletonize  # deferred: slow to import

    thin = skeletonize(mask)
    points = np.argwhere(thin)
    number = np.full(np.add(mask.shape, 2), -1, np.int64)
    number[1:-1, 1:-1][thin] = np.arange(len(points))
    first, second, length = [], [], []
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = number[points[:, 0] + 1 + dy, points[:, 1] + 1 + dx]
        there = np.flatnonzero(other >= 0)
        first.append(there)
        second.append(other[there])
        length.append(np.full(len(there), float(np.hypot(dy, dx))))
    pairs = (np.concatenate(first), np.concatenate(second))
    return Skeleton(points, csr_array((np.concatenate(length), pairs), shape=(len(points),) * 2))


def _ends(row: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    reached = np.flatnonzero(np.isfinite(row) & (row >= SHORTEST_PX))
    return rng.choice(reached, min(ENDS, len(reached)), replace=False) if len(reached) else reached


def _wrong(asked: list[tuple[int, int, float]], ours: Skeleton, theirs: Skeleton) -> float:
    """Share of the paths that the other skeleton does not have."""
    if not len(theirs.points):
        return 1.0
    away, near = cKDTree(theirs.points).query(ours.points)
    found = {start: near[start] for start, _, _ in asked if away[start] <= NEAR_PX}
    order = {start: row for row, start in enumerate(found)}
    far = dijkstra(theirs.lengths, directed=False, indices=list(found.values())) if found else np.zeros((0, 0))
    wrong = 0
    for start, end, length in asked:
        there = far[order[start], near[end]] if start in order and away[end] <= NEAR_PX else np.inf
        wrong += not abs(there - length) <= LONGER * length + NEAR_PX
    return wrong / len(asked)
