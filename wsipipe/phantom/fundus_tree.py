"""Trees of retinal arteries and veins, grown from the optic disc with exact centre lines and calibres.

Enters: a generator of random numbers and the place of disc and fovea. Leaves: `Segment`s in reference pixels, those
of a picture whose field of view is 536 px across (DRIVE's size). Next: `wsipipe.phantom.fundus_paint` draws them.

Each class has four trunks (temporal and nasal, above and below) and a few small roots. A vessel walks in steps of
2 px; its heading is steered by where it belongs (arcades around the fovea, inner branches towards it, others
outwards) and disturbed by a correlated random curvature, the tortuosity. It branches by Murray's law (r0^3 = r1^3 +
r2^3; Murray 1926) with the angles of least work. It ends at the field's border, near the fovea, or where it would
meet a vessel of its own class: arteries cross veins, never arteries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ARTERY, VEIN = 1, 2
STEP = 2.0
"""Distance between points of a centre line, in reference pixels."""
FIELD = 268.0
"""Radius of the field of view, in reference pixels."""
THIN = 1.45
"""Calibre below which a vessel does not branch any more, in reference pixels."""
ASIDE = 0.06
"""Turn per step, in radians, of a vessel that has run upon one of the other class for more than 4 px."""
CELL = 4.0
ROOM = 90
"""Half the side of the map of what is occupied, in cells."""

Points = NDArray[np.float64]
Taken = dict[int, NDArray[np.int32]]
"""For each class, which segment lies in each cell; -1 for none."""


@dataclass(frozen=True)
class Anatomy:
    """Where things lie and how the vessels are, in reference pixels; x grows to the temporal side, y downwards.

    The disc's centre is the origin.
    """

    fovea: tuple[float, float]
    """(y, x)."""
    centre: tuple[float, float]
    """(y, x) of the middle of the field of view."""
    disc_radius: float
    vein: float
    """Calibre of the largest vein at the disc."""
    ratio: float
    """Calibre of arteries over that of veins at the disc."""
    tortuosity: float
    """Standard deviation of the random curvature, in radians per 100 px, of a vessel of 4 px."""
    reach: float
    """Length over which an arcade turns, in px."""
    density: float
    """Branches per length, 1 for the usual."""


@dataclass(frozen=True)
class Segment:
    """A vessel between two branch points.

    Attributes
    ----------
    kind : int
        1 artery, 2 vein.
    points : array (n, 2) of float64
        Centre line as yx, n >= 2; whole numbers are pixel centres.
    calibre : array (n,) of float64
        Diameter in px.
    parent : int
        Index of the segment that it continues, -1 for a root.
    """

    kind: int
    points: Points
    calibre: Points
    parent: int

    @property
    def length(self) -> float:
        """Length of the centre line in px."""
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    @property
    def tortuosity(self) -> float:
        """Length over the distance between the ends; 1 for a straight vessel."""
        return self.length / max(float(np.hypot(*(self.points[-1] - self.points[0]))), 1e-9)


@dataclass(frozen=True)
class _Bud:
    """A vessel that is still to be grown."""

    kind: int
    yx: tuple[float, float]
    heading: float
    calibre: float
    parent: int
    course: tuple[str, float, float]
    """What steers it: ("arcade", heading at the disc, heading far away) or ("fovea" or "away", 0, 0)."""
    walked: float = 0.0


def anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw an anatomy.

    Returns
    -------
    Anatomy
        About four in five fields are centred on the macula, the others between macula and disc.
    """
    radius = float(rng.uniform(34, 42))
    fovea = (float(rng.uniform(8, 28)), float(rng.uniform(175, 205)))
    shift = rng.uniform(0.85, 1.08) if rng.random() < 0.8 else rng.uniform(0.45, 0.8)
    centre = (fovea[0] * 0.7 + float(rng.normal(0, 10)), fovea[1] * float(shift))
    return Anatomy(
        fovea, centre, radius, float(rng.uniform(6.4, 8.8)), float(np.clip(rng.normal(0.68, 0.06), 0.52, 0.85)),
        float(rng.gamma(4.0, 0.22)), float(rng.uniform(105, 150)), float(rng.uniform(0.62, 1.0)),
    )  # fmt: skip


def grow(rng: np.random.Generator, place: Anatomy) -> list[Segment]:
    """Grow the arteries and veins of one eye.

    Parameters
    ----------
    rng : numpy.random.Generator
        All randomness comes from it.
    place : Anatomy
        Where disc and fovea are and how the vessels are.

    Returns
    -------
    list of Segment
        In reference pixels, parents before children; from 150 to 500 of them.
    """
    buds = _roots(rng, place)
    taken = {kind: np.full((2 * ROOM, 2 * ROOM), -1, np.int32) for kind in (ARTERY, VEIN)}
    grown: list[Segment] = []
    while buds:
        bud = buds.pop(max(range(len(buds)), key=lambda index: buds[index].calibre))
        segment, heading, open_end = _walk(rng, place, bud, taken, len(grown), grown)
        if len(segment.points) < 3:
            continue
        if open_end:
            buds += _branches(rng, place, bud, segment, heading, len(grown))
        grown.append(segment)
    return grown


def _roots(rng: np.random.Generator, place: Anatomy) -> list[_Bud]:
    buds = []
    for up in (-1.0, 1.0):
        for temporal in (True, False):
            first = rng.choice([-1, 1])
            for kind in (ARTERY, VEIN):
                apart = math.radians(rng.uniform(7, 15)) * first * (1 if kind == ARTERY else -1)
                buds.append(_trunk(rng, place, kind, up, temporal, apart))
    for kind in (ARTERY, VEIN):
        inner, outer = rng.uniform(-0.6, 0.6, rng.integers(1, 4)), rng.uniform(-0.9, 0.9, rng.integers(1, 4))
        buds += [_small(rng, place, kind, heading, "fovea") for heading in inner]
        buds += [_small(rng, place, kind, math.pi + heading, "away") for heading in outer]
    return buds


def _trunk(rng: np.random.Generator, place: Anatomy, kind: int, up: float, temporal: bool, apart: float) -> _Bud:
    start = up * (math.radians(rng.uniform(72, 96)) if temporal else math.radians(rng.uniform(100, 125))) + apart
    end = up * math.radians(rng.uniform(-12, 18)) if temporal else up * math.radians(rng.uniform(125, 160))
    calibre = place.vein * rng.uniform(0.88, 1.0) * (1.0 if temporal else rng.uniform(0.62, 0.8))
    calibre *= place.ratio * rng.uniform(0.95, 1.05) if kind == ARTERY else 1.0
    yx = place.disc_radius * rng.uniform(-0.18, 0.18), place.disc_radius * rng.uniform(-0.3, 0.05)
    return _Bud(kind, (float(yx[0]), float(yx[1])), start, float(calibre), -1, ("arcade", start, end))


def _small(rng: np.random.Generator, place: Anatomy, kind: int, heading: float, course: str) -> _Bud:
    radius = place.disc_radius * rng.uniform(0.1, 0.8)
    yx = radius * math.sin(heading), radius * math.cos(heading)
    return _Bud(kind, yx, heading, float(rng.uniform(1.8, 3.2)), -1, (course, 0.0, 0.0))


def _walk(
    rng: np.random.Generator, place: Anatomy, bud: _Bud, taken: Taken, own: int, grown: list[Segment]
) -> tuple[Segment, float, bool]:
    """Walk until the next branch (the end is then open) or until the vessel ends."""
    planned = (rng.uniform(11, 30) + 3.2 * bud.calibre * rng.uniform(0.5, 1.5)) / place.density
    planned += place.disc_radius * 0.8 if bud.parent < 0 else 0.0
    family = {own, bud.parent, *(i for i, s in enumerate(grown) if s.parent == bud.parent and bud.parent >= 0)}
    spread = place.tortuosity / 100 * (4.0 / max(bud.calibre, 1.5)) ** 0.5
    curve = float(rng.normal(0, spread))
    y, x, heading, near, points, open_end = *bud.yx, bud.heading, 0, [bud.yx], True
    side = 1.0 if bud.kind == ARTERY else -1.0
    for step in range(1, int(planned / STEP) + 1):
        curve = 0.86 * curve + float(rng.normal(0, spread)) * 0.9
        heading += (curve + _steer(place, bud, y, x, heading, bud.walked + step * STEP)) * STEP
        y, x = y + STEP * math.sin(heading), x + STEP * math.cos(heading)
        points.append((y, x))
        if _outside(place, y, x):
            open_end = False
            break
        ahead = _occupied(taken, bud.kind, y + 4 * math.sin(heading), x + 4 * math.cos(heading))
        far = math.hypot(y, x) > (2.2 if bud.parent < 0 else 1.2) * place.disc_radius
        near = near + 1 if _occupied(taken, 3 - bud.kind, y, x) >= 0 and far else 0
        heading += ASIDE * side * (near > 2)
        if (far and ahead >= 0 and ahead not in family) or (near > 8 and bud.calibre < 0.5 * place.vein):
            open_end = False
            break
    line = np.array(points)
    _occupy(taken[bud.kind], line, own)
    return Segment(bud.kind, line, _calibre(rng, bud, len(line), open_end), bud.parent), heading, open_end


def _steer(place: Anatomy, bud: _Bud, y: float, x: float, heading: float, walked: float) -> float:
    """Curvature in radians per px that brings a vessel back to its course."""
    course, start, end = bud.course
    if course == "arcade":
        wanted, gain = end + (start - end) * math.exp(-walked / place.reach), 0.05
    elif course == "fovea":
        wanted, gain = math.atan2(place.fovea[0] - y, place.fovea[1] - x), 0.006
    else:
        wanted, gain = math.atan2(y - place.fovea[0] * 0.5, x - place.fovea[1] * 0.6), 0.004
    return gain * math.sin(wanted - heading)


def _outside(place: Anatomy, y: float, x: float) -> bool:
    """Outside the field of view, or in the fovea's avascular zone."""
    border = math.hypot(y - place.centre[0], x - place.centre[1]) > FIELD + 8
    return border or math.hypot(y - place.fovea[0], x - place.fovea[1]) < 22


def _occupied(taken: Taken, kind: int, y: float, x: float) -> int:
    row, column = int(y // CELL) + ROOM, int(x // CELL) + ROOM - 40
    return int(taken[kind][row, column]) if 0 <= row < 2 * ROOM and 0 <= column < 2 * ROOM else -1


def _occupy(taken: NDArray[np.int32], line: Points, own: int) -> None:
    cells = np.clip((line // CELL).astype(int) + np.array([ROOM, ROOM - 40]), 0, 2 * ROOM - 1)
    taken[cells[:, 0], cells[:, 1]] = own


def _calibre(rng: np.random.Generator, bud: _Bud, count: int, open_end: bool) -> Points:
    """Calibre along a segment: a slow wave of 4 %; a vessel that ends becomes thinner towards its end."""
    along = np.linspace(0, 1, count)
    wave = 1 + 0.04 * np.sin(2 * np.pi * (along * count * STEP / 60 + rng.random())) * np.sin(np.pi * along)
    taper = 1 - (0.0 if open_end else 0.25) * along
    return np.maximum(bud.calibre * wave * taper, 1.0)


def _branches(
    rng: np.random.Generator, place: Anatomy, bud: _Bud, segment: Segment, heading: float, own: int
) -> list[_Bud]:
    """The two vessels after a branch point, with Murray's calibres and angles."""
    calibre = float(segment.calibre[-1])
    if calibre < THIN:
        return []
    share = rng.uniform(0.28, 0.58) if rng.random() < 0.68 else rng.uniform(0.62, 0.79)
    small = max(share * calibre, 1.0)
    large = (max(calibre**3 - small**3, 0.3 * calibre**3)) ** (1 / 3)
    side = _side(rng, place, bud, segment.points[-1], heading)
    turn_large, turn_small = _angles(calibre, large, small)
    yx = (float(segment.points[-1, 0]), float(segment.points[-1, 1]))
    walked = bud.walked + segment.length
    inner = bud.course[0] == "fovea" or (bud.course[0] == "arcade" and _inwards(place, yx, heading + side * 0.9))
    course = ("fovea" if inner and rng.random() < 0.8 else "away", 0.0, 0.0)
    turn_small *= rng.uniform(0.7, 1.0)
    return [
        _Bud(bud.kind, yx, heading - side * turn_large, large, own, bud.course, walked),
        _Bud(bud.kind, yx, heading + side * turn_small, small, own, course, walked),
    ]


def _side(rng: np.random.Generator, place: Anatomy, bud: _Bud, end: Points, heading: float) -> float:
    """Which way the smaller vessel turns: arcades give two of three to the inside, others alternate by chance."""
    if bud.course[0] != "arcade":
        return float(rng.choice([-1, 1]))
    inside = 1.0 if _inwards(place, (float(end[0]), float(end[1])), heading + 0.9) else -1.0
    return inside if rng.random() < 0.62 else -inside


def _inwards(place: Anatomy, yx: tuple[float, float], heading: float) -> bool:
    """Whether a heading leads towards the fovea."""
    wanted = math.atan2(place.fovea[0] - yx[0], place.fovea[1] - yx[1])
    return math.cos(wanted - heading) > 0.35


def _angles(whole: float, large: float, small: float) -> tuple[float, float]:
    """Angles of least work between a vessel and its two branches, in radians (Murray 1926)."""

    def turn(first: float, second: float) -> float:
        cosine = (whole**4 + first**4 - second**4) / (2 * whole**2 * first**2)
        return math.acos(min(max(cosine, 0.17), 1.0))

    return turn(large, small), turn(small, large)
