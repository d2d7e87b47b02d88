"""Blocks of output pictures and the shapes of their pyramids.

Enters: the shape of a picture. Leaves: boxes that partition it, each written once by whoever pulls
what touches it. Next room: `wsipipe.store` writes a block as one shard.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid.box import Box


def level_shapes(shape: tuple[int, int], *, smallest: int = 256) -> tuple[tuple[int, int], ...]:
    """Shapes of a pyramid that halves (rounding up) until neither side is over `smallest`.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the finest level.
    smallest : int
        A level whose longer side is this or less is the last.
    """
    shapes = [shape]
    while max(shapes[-1]) > smallest:
        height, width = shapes[-1]
        shapes.append((-(-height // 2), -(-width // 2)))
    return tuple(shapes)


def blocks(shape: tuple[int, int], side: int) -> Iterator[Box]:
    """Square boxes of `side` that partition a picture, in row-major order, clipped at its edge."""
    plane = Box(0, 0, *shape)
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            yield Box(y, x, side, side).intersect(plane)


def touching(block: Box, boxes: NDArray[np.integer]) -> NDArray[np.int64]:
    """Indices of the ``(N, 4)`` boxes ``y, x, height, width`` that share a pixel with `block`."""
    table = np.asarray(boxes, np.int64).reshape(-1, 4)
    start = np.maximum(table[:, :2], [block.y, block.x])
    stop = np.minimum(table[:, :2] + table[:, 2:], [block.y1, block.x1])
    return np.flatnonzero((start < stop).all(axis=1))


def shard_side(shape: tuple[int, int], chunk: int, *, most: int = 192, least: int = 4096) -> int:
    """Side of a square shard: a multiple of `chunk` of `least` pixels or more, doubled until `most` files are enough.

    A shard is held in memory while it is written, so its side is what bounds memory; with the defaults it stays
    at 4,096 px up to pictures of about 56,000 px a side.
    """
    side = chunk * -(-least // chunk)
    while -(-shape[0] // side) * -(-shape[1] // side) > most:
        side *= 2
    return side
