"""Where the numbers of tiles stand on a crowded picture.

Enters: boxes in rank order. Leaves: one centre per box. Next room: `wsipipe.report.overview`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

INSIDE = 2.6
RINGS, ANGLES = 24, 24
"""Places tried around a small box: so many distances of one radius each, so many directions."""


def place_badges(boxes: Float, *, radius: float, plane: tuple[float, float]) -> Float:
    """Centres for round badges, one per box, that hide neither each other nor any small box.

    Parameters
    ----------
    boxes : (k, 4) float64
        ``left, top, width, height`` in any unit, in the order in which they choose.
    radius : float
        Of a badge, same unit.
    plane : (width, height)
        Badges stay inside it.

    Returns
    -------
    (k, 2) float64
        ``x, y``. A box of `INSIDE` radii or more carries its badge inside its upper left corner. A smaller one has it
        outside of all boxes, as near as there is room, rather away from the middle of all boxes; on its own centre
        where there is no room at all.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    placed = np.zeros((0, 2))
    middle = (boxes[:, :2] + boxes[:, 2:] / 2).mean(axis=0) if len(boxes) else np.zeros(2)
    for box in boxes:
        tries = _candidates(box, radius, middle)
        inside = ((tries >= 1.2 * radius) & (tries <= np.asarray(plane) - 1.2 * radius)).all(axis=1)
        free = tries[inside & _clear(tries, placed, boxes, radius)]
        if min(box[2:]) >= INSIDE * radius:
            chosen = np.clip(box[:2] + 1.25 * radius, 1.2 * radius, np.asarray(plane) - 1.2 * radius)
        else:
            chosen = free[0] if len(free) else box[:2] + box[2:] / 2
        placed = np.concatenate([placed, chosen[None]])
    return placed


def _candidates(box: Float, radius: float, middle: Float) -> Float:
    """Places around a box, the nearest first, and among those the ones away from `middle`."""
    centre = box[:2] + box[2:] / 2
    outward = np.arctan2(*(centre - middle)[::-1])
    angle = outward + np.arange(ANGLES) * 2 * np.pi / ANGLES
    distance = max(box[2:]) / 2 + radius * np.arange(1.2, 1.2 + RINGS)
    turned = 1 - np.cos(angle - outward)
    cost = distance[:, None] + radius * turned[None]
    places = centre + distance[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    order = np.argsort(cost.ravel(), kind="stable")
    return np.asarray(places.reshape(-1, 2)[order])


def _clear(tries: Float, placed: Float, boxes: Float, radius: float) -> NDArray[np.bool_]:
    """Which places touch neither a placed badge nor a box."""
    apart = np.linalg.norm(tries[:, None] - placed[None], axis=-1) >= 2.15 * radius
    nearest = np.clip(tries[:, None], boxes[None, :, :2], boxes[None, :, :2] + boxes[None, :, 2:])
    off = np.linalg.norm(tries[:, None] - nearest, axis=-1) >= 1.1 * radius
    return np.asarray(apart.all(axis=1) & off.all(axis=1))
