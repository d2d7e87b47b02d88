"""Fragments of mucosa: bent sheets with a surface, pits, a muscular layer and ragged edges.

Enters: the side of the field and a random generator. Leaves: `Mucosa` fragments, which map (u along the
surface, v depth) to positions on the slide. Next room: `wsipipe.phantom.gastric_scene`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_STEP_UM = 8.0


@dataclass(frozen=True, slots=True)
class Mucosa:
    """One fragment. Lengths in micrometres, positions yx.

    Parameters
    ----------
    track, heading : (m, 2), (m,) float64
        Points of the surface every 8 micrometres of u, and the direction of u there (radians).
    length : float
        ``-length/2 <= u <= length/2``.
    mucosa, muscle, depth : float
        Depth where the muscularis mucosae begins, its thickness, and the depth of the whole fragment.
    pits : (p,) float64
        Where pits open, ascending u.
    relief : float
        How far the surface dips at a pit.
    body : float
        Share of glands of the acid-producing kind, 0 or 1 or between.
    """

    track: Floats
    heading: Floats
    length: float
    mucosa: float
    muscle: float
    depth: float
    pits: Floats
    relief: float
    body: float

    def to_yx(self, u: Floats, v: Floats) -> Floats:
        """Positions (n, 2) of sheet coordinates."""
        at = (np.asarray(u) + self.length / 2) / _STEP_UM
        index = np.arange(len(self.track))
        heading = np.interp(at, index, self.heading)
        y = np.interp(at, index, self.track[:, 0]) + np.asarray(v) * np.cos(heading)
        x = np.interp(at, index, self.track[:, 1]) - np.asarray(v) * np.sin(heading)
        over = (at - np.clip(at, 0, index[-1])) * _STEP_UM
        return np.stack([y + over * np.sin(heading), x + over * np.cos(heading)], axis=-1)

    def inward(self, u: float) -> float:
        """Heading of increasing depth at `u`, as `gastric_shape.bend` takes it (radians, 0 along +y)."""
        at = (u + self.length / 2) / _STEP_UM
        return -float(np.interp(at, np.arange(len(self.heading)), self.heading))

    def top(self, u: Floats) -> Floats:
        """Depth of the surface: 0 between pits, more at their mouths."""
        near = np.clip(np.searchsorted(self.pits, u), 1, len(self.pits) - 1)
        gap = np.minimum(np.abs(u - self.pits[near - 1]), np.abs(self.pits[near] - u))
        return np.asarray(self.relief * np.exp(-((gap / 14.0) ** 2)) + 3 * np.sin(u / 37.0), dtype=np.float64)

    def outline(self, rng: np.random.Generator) -> Floats:
        """Closed contour (n, 2): a smooth surface, torn and rounded sides, a torn bottom."""
        u = np.arange(-self.length / 2, self.length / 2, 4.0)
        v = np.arange(6.0, self.depth - 4, 6.0)
        round_off = 70 * (1 - np.minimum(1, np.minimum(v, self.depth - v) / 110) ** 0.5)
        right = self.to_yx(self.length / 2 - round_off + 2 * _torn(len(v), rng), v)
        left = self.to_yx(-self.length / 2 + round_off + 2 * _torn(len(v), rng), v)[::-1]
        inner = u[np.abs(u) < self.length / 2 - 60]
        bottom = self.to_yx(inner, self.depth + 1.5 * _torn(len(inner), rng))[::-1]
        return np.concatenate([self.to_yx(inner, self.top(inner)), right, bottom, left])


@dataclass(frozen=True, slots=True)
class Patch:
    """A round place where stroma or glands differ: its name, middle (u, v) and radius in micrometres."""

    name: str
    middle: tuple[float, float]
    radius: float

    def near(self, u: Floats, v: Floats) -> Floats:
        """1 in the middle, falling to 0 beyond the radius."""
        away = np.hypot(np.asarray(u) - self.middle[0], np.asarray(v) - self.middle[1]) / self.radius
        return np.asarray(np.clip(1.3 - away, 0, 1), dtype=np.float64)


PATCHES = ("inflamed", "inflamed", "scar", "follicle", "regenerative", "regenerative", "metaplastic")
"""What a `Patch` may be; drawn with equal weight."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a fragment is like whatever its category: drawn before any lesion, so it cannot tell of one.

    Parameters
    ----------
    patches : tuple of Patch
        Inflammation, scar, follicles, regenerating or metaplastic glands.
    tubes : bool
        Oxyntic glands (straight, packed tubes) instead of antral ones.
    pitch, halo : float
        Distance of glands and width of the clefts around them, in micrometres.
    pit_depth, pit_sway : float
        Relative depth of the pits, and how much they wind.
    cells : float
        Chance of a round cell at each 7 micrometre cell of free lamina propria.
    """

    patches: tuple[Patch, ...]
    tubes: bool
    pitch: float
    halo: float
    pit_depth: float
    pit_sway: float
    cells: float

    def names_at(self, u: Floats, v: Floats) -> NDArray[np.str_]:
        """Style of the glands at sheet coordinates; ``scar`` where there are few."""
        names = np.full(len(u), "oxyntic" if self.tubes else "antral", dtype="<U12")
        for patch in self.patches:
            if patch.name in ("scar", "regenerative", "metaplastic"):
                names[patch.near(u, v) > 0.4] = patch.name
        return names


def draw_traits(sheet: Mucosa, rng: np.random.Generator) -> Traits:
    """The traits of one fragment."""
    tubes = bool(rng.random() < sheet.body)
    patches = tuple(
        Patch(
            str(rng.choice(PATCHES)),
            (float(rng.uniform(-0.5, 0.5) * sheet.length), float(rng.uniform(0.0, 1.0) * sheet.mucosa)),
            float(rng.uniform(90, 330)),
        )
        for _ in range(int(rng.poisson(3.0 * sheet.length / 1000)))
    )
    return Traits(
        patches=patches,
        tubes=tubes,
        pitch=float(rng.uniform(42, 46) if tubes else rng.uniform(44, 58)),
        halo=float(rng.choice([0.0, 0.0, 1.0, 2.0])),
        pit_depth=float(rng.choice([0.22, 0.32, 0.42, 0.75])),
        pit_sway=float(rng.choice([0.03, 0.05, 0.08])),
        cells=float(np.exp(rng.normal(np.log(0.20), 0.40))),
    )


def fragments(side_um: float, rng: np.random.Generator) -> list[Mucosa]:
    """Strips of resected mucosa or biopsies that lie beside each other in a square field of that side.

    A field under 1,200 micrometres is a cut-out: one fragment that reaches beyond it.
    """
    body = float(rng.choice([0.0, 0.0, 0.35, 1.0]))
    heading = rng.uniform(0, 2 * np.pi)
    middle = np.full(2, side_um / 2)
    inward = np.array([np.cos(heading), -np.sin(heading)])
    biopsy = rng.random() < 0.45
    layers = _layers(biopsy, rng)
    if side_um < 1200:
        shift = inward * rng.uniform(-0.30, 0.30) * side_um
        return [_fragment(middle + shift, heading, rng.uniform(1.5, 1.9) * side_um, layers, (body, rng))]
    pitch = sum(layers) + rng.uniform(70, 160)
    count = max(1, min(4, int(0.98 * side_um / pitch)))
    made = []
    for index in range(count):
        spot = middle + inward * (index - (count - 1) / 2) * pitch + rng.uniform(-30, 30, 2)
        share = rng.uniform(0.6, 0.9) if biopsy else rng.uniform(0.85, 1.15)
        length = max(share * side_um, min(1300.0, 0.94 * side_um))
        flip = float(rng.integers(0, 2)) * np.pi + rng.uniform(-0.05, 0.05)
        made.append(_fragment(spot, heading + flip, length, layers, (body, rng)))
    return made


def _layers(biopsy: bool, rng: np.random.Generator) -> tuple[float, float, float]:
    """Thickness of mucosa, muscularis mucosae and submucosa: a biopsy ends in or just below the muscle."""
    if biopsy:
        return float(rng.uniform(560, 900)), float(rng.uniform(0, 50)), float(rng.uniform(0, 60))
    return float(rng.uniform(560, 900)), float(rng.uniform(30, 75)), float(rng.uniform(60, 320))


def _fragment(
    middle: Floats, heading: float, length: float, layers: tuple[float, float, float],
    drawn: tuple[float, np.random.Generator],
) -> Mucosa:  # fmt: skip
    """A fragment whose middle lies at `middle`."""
    body, rng = drawn
    depth = sum(layers)
    bend = rng.uniform(-1, 1) * min(0.45 / depth, 0.7 / length)
    u = np.arange(-length / 2, length / 2 + _STEP_UM, _STEP_UM)
    wave = rng.uniform(180, 420)
    ripple = rng.uniform(0.1, 0.35) * wave / depth * np.sin(u / wave + rng.uniform(0, 6))
    turned = heading + bend * u + ripple
    steps = np.stack([np.sin(turned), np.cos(turned)], axis=1) * _STEP_UM
    track = np.concatenate([np.zeros((1, 2)), np.cumsum(steps[:-1], axis=0)])
    centre = track[len(track) // 2] + np.array([np.cos(heading), -np.sin(heading)]) * depth / 2
    spacing = rng.uniform(56, 84)
    pits = np.arange(-length / 2 - 2 * spacing, length / 2 + 2 * spacing, spacing)
    pits = np.sort(pits + rng.normal(0, 0.10 * spacing, len(pits)))
    return Mucosa(track + middle - centre, turned, length, layers[0], layers[1], depth, pits, rng.uniform(8, 26), body)


def _torn(count: int, rng: np.random.Generator) -> Floats:
    """A ragged edge: slow waves of some 15 micrometres and small tears."""
    slow = np.convolve(rng.normal(0, 1, count + 40), np.hanning(41) / 4.5, mode="valid")[:count]
    quick = np.convolve(rng.normal(0, 1, count + 4), [0.2, 0.5, 0.6, 0.5, 0.2], mode="valid")[:count]
    return np.asarray(12 * slow + 1.5 * quick, dtype=np.float64)
