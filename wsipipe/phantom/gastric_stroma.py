"""Stroma: lamina propria and its cells, muscularis mucosae, submucosa, reactive stroma, vessels, follicles.

Enters: a `Scene` with glands. Leaves: the same with grounds, fibres and stromal nuclei.
Next room: `wsipipe.phantom.gastric_canvas`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_lesion import Focus
from wsipipe.phantom.gastric_mucosa import Mucosa, Traits
from wsipipe.phantom.gastric_scene import Layer, Scene
from wsipipe.phantom.gastric_shape import blob
from wsipipe.phantom.gastric_sprite import Kind
from wsipipe.phantom.gastric_style import Colour

Floats = NDArray[np.float64]
LAMINA: Colour = (33, 8, 110)
MUSCLE: Colour = (48, 9, 70)
SUBMUCOSA: Colour = (36, 4, 240)
REACTIVE: Colour = (36, 9, 165)
BLOOD: Colour = (66, 3, 0)


def lay_ground(scene: Scene, sheet: Mucosa, foci: tuple[Focus, ...], rng: np.random.Generator) -> None:
    """The fragment's outline, its layers and their fibres."""
    outline = sheet.outline(rng)
    scene.outlines.append(outline)
    tone, loose = float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.25, 1.15))
    lamina = _toned(LAMINA, tone)
    scene.fill(Layer.TISSUE, outline, (lamina[0], lamina[1], int(lamina[2] * loose)))
    u = np.arange(-sheet.length * 0.6, sheet.length * 0.6, 20.0)
    sway = 14 * np.sin(u / rng.uniform(60, 140)) + rng.normal(0, 3, len(u))
    upper, lower = sheet.to_yx(u, sheet.mucosa + sway), sheet.to_yx(u, sheet.mucosa + sheet.muscle + sway * 0.8)
    deep = sheet.to_yx(u, np.full(len(u), sheet.depth + 80))
    scene.fill(Layer.GROUND, np.concatenate([lower, deep[::-1]]), _toned(SUBMUCOSA, tone))
    scene.fill(Layer.GROUND, np.concatenate([upper, lower[::-1]]), _toned(MUSCLE, tone))
    _muscle(scene, sheet, rng)
    for focus in foci:
        if focus.category == 3:
            scene.fill(Layer.GROUND, focus.outline(sheet, margin=1.12), _toned(REACTIVE, tone))


def fill_stroma(scene: Scene, sheet: Mucosa, foci: tuple[Focus, ...], traits: Traits, rng: np.random.Generator) -> None:
    """Vessels first, then cells on what the glands left free."""
    _vessels(scene, sheet, rng)
    grid = _jittered(sheet, 7.0, rng)
    u, v = grid[:, 0], grid[:, 1]
    yx = sheet.to_yx(u, v)
    free = (v > sheet.top(u) + 2) & ~scene.floor.at(yx)
    u, v, yx = u[free], v[free], yx[free]
    round_share, spindle_share = _densities(sheet, (u, v), foci, traits)
    draw = rng.random(len(u))
    _round_cells(scene, yx[draw < round_share], rng)
    spindle = (draw >= round_share) & (draw < round_share + spindle_share)
    _spindles(scene, sheet, (u[spindle], v[spindle], yx[spindle]), foci, rng)


def _densities(
    sheet: Mucosa, at: tuple[Floats, Floats], foci: tuple[Focus, ...], traits: Traits
) -> tuple[Floats, Floats]:
    """Chance of a round cell and of a spindle cell at grid points 7 micrometres apart."""
    u, v = at
    deep = v > sheet.mucosa
    muscle = deep & (v < sheet.mucosa + sheet.muscle)
    round_cells = np.where(deep, 0.02, traits.cells)
    spindles = np.where(muscle, 0.0, np.where(deep, 0.07, 0.10))
    for patch in traits.patches:
        near = patch.near(u, v)
        if patch.name in ("inflamed", "regenerative"):
            round_cells = np.maximum(round_cells, 0.65 * near)
        elif patch.name == "follicle":
            round_cells = np.maximum(round_cells, np.where(near > 0.55, 0.95, 0.4 * near))
        elif patch.name == "scar":
            round_cells = np.where(near > 0.4, round_cells * 0.5, round_cells)
            spindles = np.maximum(spindles, 0.30 * (near > 0.4))
    for focus in foci:
        if focus.category == 3:
            held = focus.holds(u, v)
            round_cells = np.where(held, np.maximum(round_cells * 0.6, 0.05), round_cells)
            spindles = np.where(held, 0.26, spindles)
    return round_cells, spindles


def _round_cells(scene: Scene, yx: Floats, rng: np.random.Generator) -> None:
    """Lymphocytes, plasma cells, eosinophils and neutrophils."""
    mix = np.array([Kind.LYMPHOCYTE, Kind.PLASMA, Kind.LOBED, Kind.ROUND])
    kinds = mix[rng.choice(4, len(yx), p=[0.5, 0.28, 0.1, 0.12])]
    size = np.clip(rng.normal(1.0, 0.1, len(yx)), 0.75, 1.3)
    scene.put_nuclei(yx, kinds.astype(np.int64), size, rng.uniform(0, np.pi, len(yx)), rng.uniform(0, 1, len(yx)))
    plasma = (kinds == Kind.PLASMA) | (kinds == Kind.LOBED)
    spots = yx[plasma] + rng.normal(0, 1.3, (int(plasma.sum()), 2))
    red = np.where(kinds[plasma] == Kind.LOBED, 66.0, 30.0)
    blue = np.where(kinds[plasma] == Kind.LOBED, 6.0, 24.0)
    scene.bodies.append(np.column_stack([spots, np.full(len(spots), 4.2), red, blue]))


def _spindles(
    scene: Scene, sheet: Mucosa, at: tuple[Floats, Floats, Floats], foci: tuple[Focus, ...], rng: np.random.Generator
) -> None:
    """Fibroblasts: slim ones along the mucosa's depth, plump ones that stream through reactive stroma."""
    u, v, yx = at
    plump = np.zeros(len(u), dtype=bool)
    for focus in foci:
        if focus.category == 3:
            plump |= focus.holds(u, v)
    plump = (plump & (rng.random(len(u)) < 0.55)) | (rng.random(len(u)) < 0.10)
    flow = 1.3 * np.sin(u / 90 + 2 * np.sin(v / 130)) + 1.2 * np.cos(v / 75)
    across = np.array([sheet.inward(float(x)) for x in u]) if len(u) else np.zeros(0)
    lamina = v < sheet.mucosa
    angle = np.pi / 2 - across + np.where(lamina, 0.5 * flow, np.pi / 2 + flow) + rng.normal(0, 0.2, len(u))
    kind = np.where(plump, int(Kind.PLUMP), int(Kind.SPINDLE)).astype(np.int64)
    scene.put_nuclei(yx, kind, np.clip(rng.normal(0.95, 0.14, len(u)), 0.7, 1.4), angle, rng.uniform(0, 1, len(u)))


def _muscle(scene: Scene, sheet: Mucosa, rng: np.random.Generator) -> None:
    """Strands of smooth muscle with cigar-shaped nuclei along them, and thin strands up into the mucosa."""
    count = int(sheet.length * sheet.muscle / 160)
    u0 = rng.uniform(-0.5, 0.5, count) * sheet.length
    v0 = sheet.mucosa + rng.uniform(-0.05, 1.0, count) * sheet.muscle
    run = np.linspace(0, 1, 6)[None] * rng.uniform(40, 110, (count, 1))
    v = v0[:, None] + 4 * np.sin(run / 22 + rng.uniform(0, 6, (count, 1)))
    lines = sheet.to_yx((u0[:, None] + run).ravel(), v.ravel()).reshape(count, 6, 2)
    for tone in range(3):
        scene.line(Layer.FIBRE, list(lines[tone::3]), (62 - 16 * tone, 12 - 2 * tone, 60), width_um=1.6)
    nuclei = int(sheet.length * sheet.muscle / 330)
    u, v1 = rng.uniform(-0.5, 0.5, nuclei) * sheet.length, sheet.mucosa + rng.uniform(0, 1, nuclei) * sheet.muscle
    angle = np.pi / 2 - np.array([sheet.inward(float(x)) for x in u]) + np.pi / 2
    kind = np.full(nuclei, int(Kind.MUSCLE), dtype=np.int64)
    angle = angle + rng.normal(0, 0.12, nuclei)
    scene.put_nuclei(sheet.to_yx(u, v1), kind, rng.uniform(0.8, 1.2, nuclei), angle, rng.uniform(0, 1, nuclei))


def _vessels(scene: Scene, sheet: Mucosa, rng: np.random.Generator) -> None:
    """Capillaries in the mucosa and larger vessels below it, some full of red cells."""
    count = int(sheet.length * sheet.depth / 32000)
    u, v = rng.uniform(-0.5, 0.5, count) * sheet.length, rng.uniform(20, sheet.depth - 20, count)
    deep = v > sheet.mucosa + sheet.muscle
    size = np.where(deep, rng.uniform(6, 26, count), rng.uniform(3.0, 7, count))
    for spot, radius, full in zip(sheet.to_yx(u, v), size, rng.random(count) < 0.4, strict=True):
        rim = blob(spot, float(radius), height=2.0, rough=0.24, rng=rng, points=20)
        if not scene.floor.claim(rim.ring(-1.0), slack=0.02):
            continue
        scene.fill(Layer.BASE, rim.ring(-0.8), (46, 12, 60))
        scene.fill(Layer.LUMEN, rim.ring(0), BLOOD if full and radius < 14 else (3, 1, 0))
        if full:
            _red_cells(scene, spot, float(radius), rng)
        along = rim.steps(11.0)
        yx, radial = rim.spots(along, np.full(len(along), -0.4))
        same = np.ones(len(yx))
        kind = np.full(len(yx), int(Kind.SPINDLE), dtype=np.int64)
        scene.put_nuclei(yx, kind, 0.75 * same, radial + np.pi / 2, 0.5 * same)


def _red_cells(scene: Scene, spot: Floats, radius: float, rng: np.random.Generator) -> None:
    count = int(radius**2 / 9)
    away, turn = radius * 0.85 * np.sqrt(rng.random(count)), rng.uniform(0, 2 * np.pi, count)
    yx = spot + np.column_stack([away * np.sin(turn), away * np.cos(turn)])
    scene.bodies.append(np.column_stack([yx, np.full(count, 3.0), rng.uniform(58, 84, count), np.full(count, 3.0)]))


def _jittered(sheet: Mucosa, pitch: float, rng: np.random.Generator) -> Floats:
    u, v = np.meshgrid(np.arange(-sheet.length / 2, sheet.length / 2, pitch), np.arange(0, sheet.depth + 20, pitch))
    return np.column_stack([u.ravel(), v.ravel()]) + rng.uniform(-0.4, 0.4, (u.size, 2)) * pitch


def _toned(colour: Colour, tone: float) -> Colour:
    return int(colour[0] * tone), int(colour[1] * tone), colour[2]
