"""Regular epithelium of a fragment: surface, pits and glands, around whatever lesion is there already.

Enters: a `Scene` with its foci grown, a `Mucosa` and its `Traits`. Leaves: glands in the scene.
Next room: `wsipipe.phantom.gastric_stroma` fills what is left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_epithelium import lay_gland, put
from wsipipe.phantom.gastric_lesion import Focus, held
from wsipipe.phantom.gastric_mucosa import Mucosa, Traits
from wsipipe.phantom.gastric_scene import Layer, Scene
from wsipipe.phantom.gastric_shape import Rim, bend, blob, tube
from wsipipe.phantom.gastric_style import Style

Floats = NDArray[np.float64]
Foci = tuple[Focus, ...]


def cover_surface(scene: Scene, sheet: Mucosa, foci: Foci, styles: dict[str, Style], rng: np.random.Generator) -> None:
    """The row of cells that covers the surface; over a dysplastic focus it is dysplastic too."""
    u = np.arange(-sheet.length / 2, sheet.length / 2, 5.0)
    kind = np.zeros(len(u), np.intp)
    for focus in foci:
        if focus.category < 3:
            kind = np.where(focus.holds(u, np.full(len(u), 6.0)), np.maximum(kind, focus.category), kind)
    cuts = np.flatnonzero(np.diff(kind)) + 1
    for run in np.split(np.arange(len(u)), cuts):
        if len(run) >= 3:
            style = styles[("pit", "low_grade", "high_grade")[int(kind[run[0]])]]
            _cover(scene, sheet, u[run], style, rng)


def _cover(scene: Scene, sheet: Mucosa, u: Floats, style: Style, rng: np.random.Generator) -> None:
    """Epithelium from the surface down to the basement membrane along a run of u."""
    height = float(rng.uniform(*style.height))
    top, deep = sheet.to_yx(u, sheet.top(u)), sheet.to_yx(u, sheet.top(u) + height)
    way = (deep - top) / height
    rim = Rim(top, way, np.full(len(u), height), height)
    for layer, depth, colour in ((Layer.BASE, 0.0, style.base), (Layer.APEX, 0.6, style.apex)):
        scene.fill(layer, np.concatenate([rim.ring(depth), top[::-1] - way[::-1] * 4]), colour)
    if style.category:
        scene.lesions.append((style.category, np.concatenate([deep, top[::-1]])))
    scene.floor.claim(np.concatenate([deep, top[::-1]]), slack=1.0)
    for depth in style.rows:
        along = np.arange(0.5, len(u) - 1.5, style.pitch / 5.0)
        along = along + rng.uniform(-0.2, 0.2, len(along))
        yx, radial = rim.spots(along, np.clip(depth + rng.normal(0, style.scatter, len(along)), 0.05, 0.95))
        put(scene, yx, radial, style, rng)


def place_pits(scene: Scene, sheet: Mucosa, foci: Foci, traits: Traits, style: Style, rng: np.random.Generator) -> None:
    """Foveolae that open at the surface; in some fragments long ones (hyperplasia)."""
    for u in sheet.pits:
        length = traits.pit_depth * sheet.mucosa * float(rng.uniform(0.7, 1.2))
        if rng.random() < 0.12 or held(foci, np.array([u, u]), np.array([20.0, length])).any():
            continue
        start = sheet.to_yx(np.array([u]), sheet.top(np.array([u])) - 30)[0]
        spine = bend(start, sheet.inward(u) + rng.normal(0, 0.06), length, wander=traits.pit_sway, rng=rng)
        height = float(rng.uniform(*style.height))
        half = height + np.linspace(rng.uniform(5, 10), rng.uniform(1.5, 4), len(spine))
        rim = tube(spine, half, height=height, rough=style.rough, rng=rng)
        if scene.floor.claim(rim.ring(0.12), slack=0.15):
            lay_gland(scene, rim, style, rng)


def place_glands(
    scene: Scene, sheet: Mucosa, foci: Foci, traits: Traits, styles: dict[str, Style], rng: np.random.Generator
) -> None:
    """Regular glands below the pits: round profiles (antral) or straight tubes side by side (oxyntic)."""
    everywhere = Focus(0, (0.0, sheet.mucosa / 2), (sheet.length * 0.6, sheet.mucosa * 0.52), 0.0)
    for shrink, squash in ((1.0, 3.0 if traits.tubes else 0.95), (0.82, 0.9), (0.66, 0.9), (0.55, 0.9)):
        grid = everywhere.points(traits.pitch * shrink, rng, squash=squash)
        taken = held(foci, grid[:, 0], grid[:, 1]) & (rng.random(len(grid)) > 0.1)
        names = traits.names_at(grid[:, 0], grid[:, 1])
        bare = (names == "scar") & (rng.random(len(grid)) < 0.8)
        spots = sheet.to_yx(grid[:, 0], grid[:, 1])
        good = ~taken & ~bare & (grid[:, 1] < sheet.mucosa - 15)
        good &= scene.floor.room(spots) > 11 * shrink
        for (u, _), spot, name in zip(grid[good], spots[good], names[good], strict=True):
            if scene.floor.at(spot[None])[0]:
                continue
            style = styles["antral" if name == "scar" else str(name)]
            rim = _profile(sheet.inward(u), spot, style, (shrink, traits.tubes and shrink == 1.0), rng)
            if scene.floor.claim(rim.ring(-1.6 / rim.height), slack=0.02):
                lay_gland(scene, rim, style, rng, halo=traits.halo)


def _profile(inward: float, spot: Floats, style: Style, form: tuple[float, bool], rng: np.random.Generator) -> Rim:
    """A gland cut across, obliquely, or along its length."""
    shrink, tubes = form
    half = float(rng.uniform(*style.width)) * shrink**0.5
    height = min(float(rng.uniform(*style.height)) * shrink**0.3, half - 1.2)
    if not tubes and rng.random() < (0.6 if shrink == 1 else 0.85):
        rim = blob(spot, half, height=height, rough=0.07, rng=rng)
        return Rim(rim.centre, rim.way, np.maximum(rim.reach, height + 1.0), height)
    length = float(rng.uniform(60, 130)) if tubes else float(rng.uniform(10, 60))
    heading = inward + rng.normal(0, 0.08 if tubes else 0.6)
    spine = bend(spot, heading, length, wander=0.05 if tubes else 0.15, rng=rng)
    return tube(spine - (spine[-1] - spine[0]) / 2, half, height=height, rough=style.rough, rng=rng)
