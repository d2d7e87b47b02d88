"""Motion blur: a kernel from the path that the picture took while it was exposed.

Enters: speed, acceleration, level, direction, curvature. Leaves: kernels. Next: `wsipipe.deblur.degrade`.

After CN 111462010 A: a formula with speed and acceleration gives the path, the level gives the distance that each pixel
moves along it, and what passes is accumulated. Ours: a path may bend; moments are spread over the four nearest
pixels; the path's centre of mass is the kernel's middle, so a picture is blurred but not moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError

Float = NDArray[np.float64]
POINTS = 128
"""Moments of the exposure, midpoints of equal spans of time; as many as `wsipipe.models.blur_kernel` has."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A path.

    Parameters
    ----------
    level_px : float
        Its length: how far each pixel moves, 0 to 200.
    direction_deg : float
        Heading half way: 0 along x (to the right), 90 along y (down).
    speed, acceleration : float
        Of ``s(t) = speed t + acceleration t^2 / 2`` over the exposure (t from 0 to 1); only their ratio counts, because
        the level gives the distance. Neither may make the picture turn back.
    turn_deg : float
        Change of heading from one end to the other; 0 is straight.
    """

    level_px: float
    direction_deg: float = 0.0
    speed: float = 1.0
    acceleration: float = 0.0
    turn_deg: float = 0.0

    def __post_init__(self) -> None:
        ends = (self.speed, self.speed + self.acceleration)
        if not 0 <= self.level_px <= 200 or not min(ends) >= 0 or not max(ends) > 0:
            raise ConfigError(
                f"making a motion: the level is 0 to 200 px and the speed 0 or more throughout, above 0 somewhere, got "
                f"{self.level_px:g} px and speeds of {ends[0]:g} and {ends[1]:g}: correct them",
                subject="motion",
            )

    def path(self) -> Float:
        """Where the picture is at each moment, about the path's centre of mass: (POINTS, 2) ``yx`` in pixels."""
        edges = np.arange(POINTS + 1) / POINTS
        way = self.speed * edges + self.acceleration * edges**2 / 2
        way = way / way[-1]
        step, middle = np.diff(way), (way[1:] + way[:-1]) / 2
        heading = math.radians(self.direction_deg) + math.radians(self.turn_deg) * (middle - 0.5)
        moved = np.stack([np.sin(heading), np.cos(heading)], axis=1) * (step * self.level_px)[:, None]
        at = np.cumsum(moved, axis=0) - moved / 2
        return np.asarray(at - at.mean(axis=0), np.float64)


def kernel(motion: Motion, *, side: int | None = None) -> Float:
    """What a point becomes under a motion.

    Parameters
    ----------
    motion : Motion
    side : int, optional
        Odd; without it, the least that holds the path.

    Returns
    -------
    (side, side) float64
        0 or more, sum 1, its centre of mass in the middle. A motion of level 0 is exactly one pixel of value 1.

    Raises
    ------
    ConfigError
        Where `side` is even or too small.
    """
    path = motion.path()
    least = 2 * (math.ceil(float(np.abs(path).max()) - 1e-9) + 1) + 1
    least = 1 if motion.level_px == 0 else least
    side = least if side is None else side
    if side < least or side % 2 == 0:
        raise ConfigError(f"the kernel's side is odd and at least {least} here, got {side}: correct it", subject="side")
    made = np.zeros((side + 1, side + 1))
    corner = np.floor(path)
    part = path - corner
    rows, columns = (corner + side // 2).astype(int).T
    for dy, wy in ((0, 1 - part[:, 0]), (1, part[:, 0])):
        for dx, wx in ((0, 1 - part[:, 1]), (1, part[:, 1])):
            np.add.at(made, (rows + dy, columns + dx), wy * wx)
    made = made[:side, :side]
    return np.asarray(made / made.sum(), np.float64)


def kernels(
    levels_px: Sequence[float] = (5.0, 9.0, 15.0),
    directions_deg: Sequence[float] = (0.0, 45.0, 90.0, 135.0),
    *,
    speed: float = 1.0,
    acceleration: float = 0.0,
    turn_deg: float = 0.0,
) -> tuple[tuple[Motion, ...], Float]:
    """The m = levels x directions motions of a set, and their kernels in one array.

    Returns
    -------
    motions : tuple of Motion
        All directions of the first level, then of the next.
    kernels : (m, side, side) float64
        On planes of one size, the least that holds them all.
    """
    motions = tuple(Motion(level, way, speed, acceleration, turn_deg) for level in levels_px for way in directions_deg)
    side = max((len(kernel(motion)) for motion in motions), default=1)
    return motions, np.stack([kernel(motion, side=side) for motion in motions]) if motions else np.zeros((0, 1, 1))
