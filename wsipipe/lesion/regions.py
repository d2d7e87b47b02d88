"""Suspected lesion regions: where the probability map exceeds the third threshold, as polygons.

Enters: the probability map, block by block. Leaves: polygons in level-0 pixels with their area and
probabilities. Next rooms: `wsipipe.store` (shapes), `wsipipe.report` (pictures), `wsipipe.export`.
Source: CN 112990339 A, suspected lesion region; the source outlines per tile and on the slide, we also
join what tiles cut apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from wsipipe.errors import ConfigError
from wsipipe.grid import Box
from wsipipe.lesion import trace

Int = NDArray[np.int64]


@dataclass(frozen=True)
class Region:
    """One suspected lesion region.

    ``polygon``: valid, normalised, ``(x, y)`` in level-0 pixels, holes kept. ``area_um2``: of its map
    pixels. ``mean``, ``maximum``: positive probability over them, 0 to 1.
    """

    polygon: shapely.Polygon
    area_um2: float
    mean: float
    maximum: float


@dataclass
class _Parts:
    """What the blocks seen so far leave behind: corners, and a row of numbers per part of a region."""

    at: list[Int] = field(default_factory=list)
    around: list[Int] = field(default_factory=list)
    numbers: list[Int] = field(default_factory=lambda: [np.zeros((1, 3), np.int64)])
    count: int = 0


def regions(
    blocks: Iterable[tuple[Box, NDArray[np.uint8]]],
    *,
    mpp: float,
    l0_per_px: float = 1.0,
    threshold: float = 0.5,
    min_area_um2: float = 0.0,
) -> list[Region]:
    """Regions of a probability map that is given in blocks.

    Parameters
    ----------
    blocks : iterable of (Box, (height, width) uint8)
        Boxes in pixels of the map, in any order, none overlapping another; ground that no block covers
        counts as 0. Values are 255 times the probability.
    mpp : float
        Micrometres per pixel of the map.
    l0_per_px : float
        Level-0 pixels per pixel of the map.
    threshold : float
        A pixel belongs to a region where its probability is strictly greater; 0 to 1.
    min_area_um2 : float
        Smaller regions are left out.

    Returns
    -------
    list of Region
        4-connected, in reading order of their first pixel. How the map was cut into blocks changes
        nothing, to the last digit. Empty where nothing exceeds the threshold.

    Raises
    ------
    ConfigError
        For a threshold outside 0 to 1, or an mpp or factor that is not positive.

    Notes
    -----
    Holds one block, the corners of outlines and the pixels along block edges: not the map.
    """
    if not 0 <= threshold <= 1 or min(mpp, l0_per_px) <= 0:
        raise ConfigError(
            f"a threshold from 0 to 1 and a positive mpp and factor are needed, got {threshold:g}, {mpp:g} and "
            f"{l0_per_px:g}: correct them",
            subject="regions",
        )
    parts, least_px = _Parts(), min_area_um2 / mpp**2
    for box, values in blocks:
        _add(parts, box, values, values > 255 * threshold, least_px)
    joined = _joined(parts, least_px)
    if joined is None:
        return []
    owner, numbers, at, around = joined
    return [_region(rings, numbers[index], mpp, l0_per_px) for index, rings in _traced(owner, at, around).items()]


def outline(mask: NDArray[np.bool_], *, width_px: int = 1) -> NDArray[np.bool_]:
    """The mask's own pixels within `width_px` of what is not mask, for drawing on a tile.

    Parameters
    ----------
    mask : (height, width) bool
    width_px : int
        Thickness of the line, inwards, counted over shared edges.

    Returns
    -------
    (height, width) bool
        The picture's border is no boundary: a region that goes on in the next tile is not closed there.
    """
    inner = ndimage.binary_erosion(mask, iterations=width_px, border_value=1)
    return np.asarray(mask & ~inner, bool)


def _add(parts: _Parts, box: Box, values: NDArray[np.uint8], mask: NDArray[np.bool_], least_px: float) -> None:
    labels, found = ndimage.label(mask)
    inside, chosen = labels[mask], values[mask]  # the background's numbers are not asked for, and are most of the work
    numbers = np.zeros((found + 1, 3), np.int64)
    numbers[:, 0] = np.bincount(inside, minlength=found + 1)
    numbers[:, 1] = np.bincount(inside, weights=chosen, minlength=found + 1)
    rising = np.argsort(chosen, kind="stable")  # bytes are sorted by counting; of equal labels the last one counts
    numbers[inside[rising], 2] = chosen[rising]
    done = numbers[:, 0] < least_px
    for rim in (labels[:1], labels[-1:], labels[:, :1], labels[:, -1:]):
        done[rim.ravel()] = False
    labels[done[labels]] = 0
    at, around = trace.points(labels)
    parts.at.append(at + np.array([box.y, box.x]))
    parts.around.append(np.where(around > 0, around + parts.count, 0))
    parts.numbers.append(numbers[1:])
    parts.count += found


def _joined(parts: _Parts, least_px: float) -> tuple[Int, Int, Int, Int] | None:
    """Owner of each part (0 where too small), numbers of each owner, and the points of all that is left."""
    if parts.count == 0:
        return None
    at, around = trace.merged(np.concatenate(parts.at), np.concatenate(parts.around))
    pairs, size = trace.touching(around), parts.count + 1
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _, owner = connected_components(graph, directed=False)
    numbers, single = np.zeros((size, 3), np.int64), np.concatenate(parts.numbers)
    for column, gather in enumerate((np.add, np.add, np.maximum)):
        gather.at(numbers[:, column], owner, single[:, column])
    owner = np.where(numbers[owner, 0] < least_px, 0, owner + 1)
    owner[0] = 0
    return owner.astype(np.int64), np.concatenate([np.zeros((1, 3), np.int64), numbers]), at, around


def _traced(owner: Int, at: Int, around: Int) -> dict[int, list[trace.Ring]]:
    """The rings of each owner, its outer one first; owners in reading order."""
    at, quadrant, label = trace.corners(at, owner[around])
    found: dict[int, list[trace.Ring]] = {}
    for corner, ring in trace.rings(at, quadrant):
        found.setdefault(int(label[corner]), []).append(ring)
    return {index: sorted(rings, key=trace.ring_area, reverse=True) for index, rings in found.items()}


def _region(rings: list[trace.Ring], numbers: Int, mpp: float, l0_per_px: float) -> Region:
    shell, *holes = (ring[:, ::-1] * l0_per_px for ring in rings)
    count, total, largest = (int(number) for number in numbers)
    polygon = shapely.Polygon(shell, holes).normalize()
    return Region(polygon, count * mpp**2, total / (255 * count), largest / 255)
