"""Outlines of made glands and nests, as a rim from which parallel curves can be drawn.

Enters: centre lines and widths in micrometres. Leaves: `Rim`. Next room: `wsipipe.phantom.gastric_epithelium`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rim:
    """A closed contour that can be moved inwards.

    Parameters
    ----------
    centre, way : (n, 2) float64
        Points yx in micrometres, and unit vectors from them to the basement membrane.
    reach : (n,) float64
        Distance from `centre` to the basement membrane.
    height : float
        Height of the epithelium.
    """

    centre: Floats
    way: Floats
    reach: Floats
    height: float

    def ring(self, depth: float) -> Floats:
        """Contour at a relative depth of the epithelium: 0 the basement membrane, 1 the lumen's edge."""
        return self.centre + self.way * np.maximum(self.reach - depth * self.height, 0.3)[:, None]

    def spots(self, along: Floats, depth: Floats) -> tuple[Floats, Floats]:
        """Points at fractional contour positions `along` (in points) and depths, and the radial angle at each."""
        low = np.floor(along).astype(np.intp)
        part = (along - low)[:, None]
        a, b = low % len(self.reach), (low + 1) % len(self.reach)
        centre = self.centre[a] * (1 - part) + self.centre[b] * part
        way = self.way[a] * (1 - part) + self.way[b] * part
        reach = self.reach[a] * (1 - part[:, 0]) + self.reach[b] * part[:, 0]
        points = centre + way * np.maximum(reach - depth * self.height, 0.3)[:, None]
        return points, np.arctan2(way[:, 0], way[:, 1])

    def steps(self, pitch: float, *, depth: float = 0.0) -> Floats:
        """Fractional contour positions that are `pitch` micrometres apart at that depth."""
        ring = self.ring(depth)
        lengths = np.hypot(*(np.roll(ring, -1, axis=0) - ring).T)
        run = np.concatenate([[0.0], np.cumsum(lengths)])
        count = max(3, int(run[-1] / pitch))
        return np.asarray(np.interp(np.arange(count) * (run[-1] / count), run, np.arange(len(run))), dtype=np.float64)


def tube(spine: Floats, width: Floats | float, *, height: float, rough: float, rng: np.random.Generator) -> Rim:
    """Rim of a tube with round ends.

    Parameters
    ----------
    spine : (m, 2) float64
        Centre line, yx in micrometres, m >= 2.
    width : float or (m,) float64
        Half width of the tube including its epithelium.
    height : float
        Of the epithelium.
    rough : float
        Relative size of the waves of its outline.
    """
    half = np.broadcast_to(np.asarray(width, dtype=np.float64), (len(spine),))
    along = np.gradient(spine, axis=0)
    along = along / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    side = np.stack([along[:, 1], -along[:, 0]], axis=1)
    turn = np.linspace(0, np.pi, 9)[1:-1, None]
    end = side[-1] * np.cos(turn) + along[-1] * np.sin(turn)
    start = -side[0] * np.cos(turn) - along[0] * np.sin(turn)
    centre = np.concatenate([spine, np.repeat(spine[-1:], 7, 0), spine[::-1], np.repeat(spine[:1], 7, 0)])
    way = np.concatenate([side, end, -side[::-1], start])
    reach = np.concatenate([half, np.full(7, half[-1]), half[::-1], np.full(7, half[0])])
    return Rim(centre, way, reach * waves(len(reach), rough, rng), height)


def blob(
    centre: Floats, radius: float, *, height: float, rough: float, rng: np.random.Generator, points: int = 36
) -> Rim:
    """Rim of a round or irregular patch: a circle whose radius has waves of relative size `rough`."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    way = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    stretch = np.hypot(*(_squeeze(rng, rough) @ way.T))
    reach = radius * stretch * waves(points, rough, rng)
    return Rim(np.repeat(np.asarray(centre, dtype=np.float64)[None], points, 0), way, reach, height)


def waves(count: int, size: float, rng: np.random.Generator) -> Floats:
    """A closed curve around 1 with harmonics 2 to 6, of relative size `size` (root mean square)."""
    order = np.arange(2, 7)[:, None]
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)[None]
    weight = rng.normal(size=(5, 1)) / order**0.7
    wave = (weight * np.cos(order * turn + rng.uniform(0, 2 * np.pi, (5, 1)))).sum(axis=0)
    return np.asarray(np.clip(1 + size * wave, 0.45, 1.7), dtype=np.float64)


def bend(
    start: Floats, heading: float, length: float, *, wander: float, rng: np.random.Generator, step: float = 12.0
) -> Floats:
    """A centre line of `length` from `start` whose heading (radians, 0 along +y) wanders slowly."""
    count = max(2, int(length / step) + 1)
    turn = np.cumsum(rng.normal(0, wander, count)) if wander else np.zeros(count)
    turn -= turn.mean()
    way = np.stack([np.cos(heading + turn), np.sin(heading + turn)], axis=1) * (length / (count - 1))
    run = np.concatenate([np.zeros((1, 2)), np.cumsum(way[:-1], axis=0)])
    return np.asarray(np.asarray(start)[None] + run, dtype=np.float64)


def _squeeze(rng: np.random.Generator, rough: float) -> Floats:
    """A linear map that stretches along one random direction."""
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    by = np.exp(rng.uniform(-1, 1) * min(0.5, 1.6 * rough))
    return np.asarray(turn @ np.diag([by, 1 / by]) @ turn.T, dtype=np.float64)
