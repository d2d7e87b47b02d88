"""Lesions: where they lie in the mucosa, and the glands, nests and cells that fill them.

Enters: `Mucosa` fragments, a category and a random generator. Leaves: `Focus` domains, and lesional
epithelium in the scene. Next room: `wsipipe.phantom.gastric_tissue` fills what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_epithelium import fill_patch, lay_cell, lay_cribriform, lay_gland, paint_solid, put
from wsipipe.phantom.gastric_mucosa import Mucosa
from wsipipe.phantom.gastric_scene import Scene
from wsipipe.phantom.gastric_shape import Rim, bend, blob, tube
from wsipipe.phantom.gastric_style import Style

Floats = NDArray[np.float64]
SMALLEST_UM = 120.0
"""Half width of the smallest focus."""


@dataclass(frozen=True, slots=True)
class Focus:
    """A superellipse in sheet coordinates that holds lesion of one category. Lengths in micrometres."""

    category: int
    middle: tuple[float, float]
    half: tuple[float, float]
    phase: float

    def holds(self, u: Floats, v: Floats) -> NDArray[np.bool_]:
        """Whether sheet coordinates lie in it."""
        a, b = (np.asarray(u) - self.middle[0]) / self.half[0], (np.asarray(v) - self.middle[1]) / self.half[1]
        edge = 1 + 0.14 * np.sin(3 * np.arctan2(b, a) + self.phase) + 0.08 * np.sin(5 * np.arctan2(b, a))
        return np.asarray(np.abs(a) ** 3 + np.abs(b) ** 3 < edge**3)

    def outline(self, sheet: Mucosa, *, margin: float = 1.0) -> Floats:
        """Contour (n, 2) yx in micrometres, `margin` times as wide."""
        turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        unit = (np.abs(np.cos(turn)) ** 3 + np.abs(np.sin(turn)) ** 3) ** (-1 / 3)
        edge = margin * unit * (1 + 0.14 * np.sin(3 * turn + self.phase) + 0.08 * np.sin(5 * turn))
        u = self.middle[0] + self.half[0] * edge * np.cos(turn)
        return sheet.to_yx(u, self.middle[1] + self.half[1] * edge * np.sin(turn))

    def points(self, pitch: float, rng: np.random.Generator, *, squash: float = 1.0) -> Floats:
        """Jittered grid points (n, 2) of u, v inside, `pitch` apart (`pitch * squash` along v)."""
        (mu, mv), (hu, hv) = self.middle, self.half
        columns = np.arange(mu - 1.2 * hu, mu + 1.2 * hu, pitch)
        u, v = np.meshgrid(columns, np.arange(mv - 1.2 * hv, mv + 1.2 * hv, pitch * squash))
        u = u + (np.arange(len(u)) % 2)[:, None] * pitch / 2
        grid = np.column_stack([u.ravel(), v.ravel()]) + rng.normal(0, 0.13 * pitch, (u.size, 2))
        return grid[self.holds(grid[:, 0], grid[:, 1])]


def held(foci: tuple[Focus, ...], u: Floats, v: Floats) -> NDArray[np.bool_]:
    """Whether sheet coordinates lie in any focus."""
    found = np.zeros(np.shape(u), dtype=bool)
    for focus in foci:
        found |= focus.holds(u, v)
    return found


def draw_focus(sheet: Mucosa, category: int, share: float, rng: np.random.Generator, *, span_um: float) -> Focus:
    """A focus that covers about `share` of the mucosa along `span_um` in a fragment's middle.

    It is never smaller than `SMALLEST_UM` in half width.
    """
    span = min(span_um, sheet.length)
    area = max(share * span * sheet.mucosa, 0.0)
    deep = float(np.clip(np.sqrt(area) * rng.uniform(0.6, 1.1), 2 * SMALLEST_UM, sheet.mucosa))
    half_u = float(np.clip(area / deep / 2, SMALLEST_UM, 0.46 * span))
    reach = max(0.0, 0.46 * span - half_u)
    at_u = float(rng.uniform(-reach, reach))
    phase, thick, low = float(rng.uniform(0, 6)), float(rng.uniform(0.55, 0.8)), float(rng.uniform(0.45, 1.1))
    if category == 3:
        half_v = min(deep * thick, sheet.depth / 2 - 5)
        at_v = float(np.clip(low * sheet.mucosa, half_v, sheet.depth - half_v))
        return Focus(3, (at_u, at_v), (half_u, half_v), phase)
    return Focus(category, (at_u, deep / 2 - 8), (half_u, deep / 2 + 8), phase)


def grow(scene: Scene, sheet: Mucosa, focus: Focus, style: Style, rng: np.random.Generator) -> None:
    """Fill a focus with the lesion of its category."""
    if focus.category == 1:
        _tubules(scene, sheet, focus, style, rng)
    elif focus.category == 2:
        _complex_glands(scene, sheet, focus, style, rng)
    else:
        _infiltrate(scene, sheet, focus, style, rng)


def _tubules(scene: Scene, sheet: Mucosa, focus: Focus, style: Style, rng: np.random.Generator) -> None:
    """Low grade: crowded elongated tubules that run down from the surface, nearly back to back."""
    (mu, mv), (hu, hv) = focus.middle, focus.half
    lean, sway = rng.normal(0, 0.12), float(rng.uniform(0.02, 0.07))
    u, half = mu - 1.1 * hu, float(rng.uniform(*style.width))
    while u < mu + 1.1 * hu:
        v = max(mv - hv, 4.0) + rng.uniform(0, 30)
        while v < mv + hv:
            length = float(rng.uniform(60, 260))
            size = half * float(rng.uniform(0.9, 1.08))
            _tubule(scene, sheet, (u, v), (length, size, lean + rng.normal(0, 0.05), sway), focus, style, rng)
            v += length + 2 * size + rng.uniform(1, 8)
        before, half = half, float(rng.uniform(*style.width))
        u += before + half + rng.uniform(2, 8)
    for u, v in focus.points(46, rng):
        _tubule(scene, sheet, (u, v), (float(rng.uniform(5, 40)), 0.85 * style.width[0], lean, sway), focus, style, rng)


def _tubule(
    scene: Scene, sheet: Mucosa, at: tuple[float, float], form: tuple[float, float, float, float], focus: Focus,
    style: Style, rng: np.random.Generator,
) -> None:  # fmt: skip
    """One tubule of `form` (length, half width, lean, sway) from `at`, or nothing where there is no room."""
    (u, v), (length, half, lean, sway) = at, form
    if not focus.holds(np.array([u]), np.array([v + length / 2]))[0]:
        return
    start = sheet.to_yx(np.array([u]), np.array([v]))[0]
    for trial in (1.0, 0.6):
        spine = bend(start, sheet.inward(u) + lean, length * trial, wander=sway, rng=rng)
        height = min(float(rng.uniform(*style.height)), half - 1.5)
        rim = tube(spine, half * _swell(len(spine), rng), height=height, rough=style.rough, rng=rng)
        if scene.floor.claim(rim.ring(0.08), slack=0.05):
            lay_gland(scene, rim, style, rng)
            return


def _complex_glands(scene: Scene, sheet: Mucosa, focus: Focus, style: Style, rng: np.random.Generator) -> None:
    """High grade: cribriform patches, branching glands and irregular tubes, large ones first."""
    cribriform = float(rng.uniform(0.25, 0.8))
    for radius, pitch in ((80.0, 140.0), (58.0, 96.0), (38.0, 60.0), (28.0, 44.0)):
        for u, v in focus.points(pitch, rng):
            size = radius * float(rng.uniform(0.75, 1.2))
            spot = sheet.to_yx(np.array([u]), np.array([v]))[0]
            if radius > 50 and rng.random() > cribriform:
                _branching(scene, spot, (sheet.inward(u) + rng.normal(0, 0.5), size), style, rng)
                continue
            rim = blob(spot, size, height=size, rough=style.rough * 1.5, rng=rng)
            if not scene.floor.claim(rim.ring(-2.0 / size), slack=0.06):
                continue
            if radius > 36:
                lay_cribriform(scene, rim, style, rng)
            else:
                height = min(float(rng.uniform(*style.height)), 0.85 * size)
                lay_gland(scene, Rim(rim.centre, rim.way, rim.reach, height), style, rng)


def _branching(scene: Scene, spot: Floats, form: tuple[float, float], style: Style, rng: np.random.Generator) -> None:
    """A trunk of `form` (heading, size) with buds to its sides; their lumens join."""
    heading, size = form
    half = float(rng.uniform(*style.width)) * 0.9
    trunk = bend(spot, heading, size * rng.uniform(1.6, 3.0), wander=0.14, rng=rng)
    trunk = trunk - (trunk[-1] - trunk[0]) / 2
    lines = [(trunk, half)]
    for _ in range(int(rng.integers(2, 5))):
        root = trunk[int(rng.integers(len(trunk)))]
        turn = heading + float(rng.choice([-1, 1])) * rng.uniform(0.6, 1.5)
        lines.append((bend(root, turn, half + rng.uniform(15, 60), wander=0.2, rng=rng), half * rng.uniform(0.7, 0.95)))
    arms = [
        tube(line, wide * _swell(len(line), rng), height=min(26.0, wide - 3.0), rough=style.rough, rng=rng)
        for line, wide in lines
    ]
    if not scene.floor.claim(arms[0].ring(-0.05), slack=0.08):
        return
    for arm in arms[1:]:
        scene.floor.claim(arm.ring(-0.05), slack=1.0)
    inner = np.concatenate([line for line, _ in lines])
    for arm in arms:
        lay_gland(scene, arm, style, rng, spare=(inner, 0.5 * half - 8))


def _infiltrate(scene: Scene, sheet: Mucosa, focus: Focus, style: Style, rng: np.random.Generator) -> None:
    """Invasive: nests, angulated glands, cords and single cells, scattered without order in reactive stroma."""
    loose = float(rng.uniform(0.15, 0.85))
    signet = bool(rng.random() < 0.3)
    singles = []
    for u, v in focus.points(float(rng.uniform(34, 44)), rng):
        spot = sheet.to_yx(np.array([u]), np.array([v]))[0]
        form = rng.random()
        if form < loose * 0.7:
            singles.append(spot + rng.normal(0, 9, (int(rng.integers(2, 5)), 2)))
        elif form < 0.35 + loose * 0.5:
            _cord(scene, spot, style, rng)
        elif form < 0.95:
            _nest(scene, spot, style, rng)
    if singles:
        cells = np.concatenate(singles)
        lay_cell(scene, cells[~scene.floor.at(cells)], style, rng, signet=signet)


def _nest(scene: Scene, spot: Floats, style: Style, rng: np.random.Generator) -> None:
    """A solid irregular nest, or a small angulated gland."""
    size = float(rng.uniform(12, 30))
    rim = blob(spot, size, height=size, rough=style.rough, rng=rng, points=28)
    if not scene.floor.claim(rim.ring(-3.0 / size), slack=0.05):
        return
    if size > 17 and rng.random() < 0.45:
        lay_gland(scene, Rim(rim.centre, rim.way, rim.reach, size * 0.7), style, rng, halo=1.5)
        return
    outer = paint_solid(scene, rim, style, rng, halo=1.5)
    scene.lesions.append((style.category, outer))
    fill_patch(scene, rim, style, rng, holes=np.zeros((0, 3)))


def _cord(scene: Scene, spot: Floats, style: Style, rng: np.random.Generator) -> None:
    """A single file of cells."""
    spine = bend(spot, rng.uniform(0, 2 * np.pi), float(rng.uniform(30, 80)), wander=0.25, rng=rng, step=8)
    rim = tube(spine, float(rng.uniform(6, 8)), height=6.0, rough=0.12, rng=rng)
    if not scene.floor.claim(rim.ring(-0.3), slack=0.10):
        return
    outer = paint_solid(scene, rim, style, rng, halo=1.0)
    scene.lesions.append((style.category, outer))
    cells = np.interp(np.arange(0.3, len(spine) - 1, 9.5 / 8), np.arange(len(spine)), spine[:, 0])
    wide = np.interp(np.arange(0.3, len(spine) - 1, 9.5 / 8), np.arange(len(spine)), spine[:, 1])
    yx = np.column_stack([cells, wide]) + rng.normal(0, 1.0, (len(cells), 2))
    put(scene, yx, rng.uniform(0, np.pi, len(cells)), style, rng)


def _swell(count: int, rng: np.random.Generator) -> Floats:
    """Relative half widths along a tube: a little wider here and there."""
    return np.asarray(1 + 0.10 * np.sin(np.linspace(0, rng.uniform(3, 8), count) + rng.uniform(0, 6)), dtype=np.float64)
