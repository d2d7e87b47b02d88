"""From a tile's pixel logits to its positive probability: of every pixel, in cells of the map, and as a sum.

Enters: logits at the network's stem, on a CPU. Leaves: probabilities at full resolution, their sum inside the plane,
and the tile's part of the map. Next: `wsipipe.lesion.network` gathers them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def positive(logits: NDArray[np.float32], target: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Positive probability of every pixel: bilinear between the logits, then the softmax over four categories.

    Parameters
    ----------
    logits : (N, 4, h, w) float32
        At the stem's resolution.
    target : int
        0 for any lesion (1 less the first category's probability); 1 to 4 for one category's own.
    shape : (height, width)
        Of the tiles, in pixels.

    Returns
    -------
    (N, height, width) float32, 0 to 1
        What torch's ``interpolate(mode="bilinear", align_corners=False)`` and ``softmax`` give, to about 1e-6. The
        softmax of one category is 1 / (1 + sum of exp(difference of logits)), so three planes are enlarged, not four.
    """
    import cv2

    own = max(target - 1, 0)
    others = [category for category in range(logits.shape[1]) if category != own]
    made = np.ones((len(logits), *shape), np.float32)
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0
        for tile, out in zip(logits, made, strict=True):
            for category in others:
                larger = cv2.resize(tile[category] - tile[own], shape[::-1], interpolation=cv2.INTER_LINEAR)
                np.add(out, np.exp(larger, out=larger), out=out)
            np.reciprocal(out, out=out)
            if not target:
                np.subtract(1, out, out=out)
    return made


def measure(pixels: NDArray[np.float32], inside: NDArray[np.integer[Any]], side: int) -> tuple[float, int, Any]:
    """Sum of one tile's probabilities inside the plane, its pixels there, and its part of the map.

    Parameters
    ----------
    pixels : (height, width) float32
        Probabilities; those outside the plane are set to 0.
    inside : 2 integers
        Height and width of the part inside the plane.
    side : int
        Pixels along the side of a cell of the map.

    Returns
    -------
    total : float
    count : int
    picture : (height / side, width / side) uint8
        Mean of each cell over its pixels inside the plane; 255 is 1.
    """
    import cv2

    height, width = (int(length) for length in inside)
    pixels[height:], pixels[:, width:] = 0, 0
    rows, columns = (
        np.clip(length - np.arange(0, full, side), 0, side)
        for length, full in zip((height, width), pixels.shape, strict=True)
    )
    cells = cv2.resize(pixels, (len(columns), len(rows)), interpolation=cv2.INTER_AREA) * np.float32(side**2)
    mean = cells / np.maximum(rows[:, None] * columns, 1)
    return float(cells.sum(dtype=np.float64)), height * width, np.floor(255 * mean + 0.5).astype(np.uint8)
