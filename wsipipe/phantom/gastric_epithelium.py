"""Glands, pits, nests and single cells: epithelium of a style laid along a rim.

Enters: a `Scene`, a `Rim`, a `Style`. Leaves: contours, cell borders and nuclei in the scene.
Next room: `wsipipe.phantom.gastric_tissue`, which decides where they go.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_scene import Layer, Scene
from wsipipe.phantom.gastric_shape import Rim, blob
from wsipipe.phantom.gastric_sprite import FORMS, Kind
from wsipipe.phantom.gastric_style import Colour, Style

Floats = NDArray[np.float64]


def lay_gland(
    scene: Scene, rim: Rim, style: Style, rng: np.random.Generator, *, halo: float = 0.0,
    spare: tuple[Floats, float] | None = None,
) -> None:  # fmt: skip
    """A gland with a lumen: cytoplasm in three zones, cell borders, mucin drops and nuclei.

    `spare` (points, distance) keeps nuclei away from the middle lines of the gland's other branches.
    """
    outer = paint_wall(scene, rim, style, rng, halo=halo)
    scene.fill(Layer.LUMEN, rim.ring(1.0), style.lumen)
    if style.category:
        scene.lesions.append((style.category, outer))
    place_rows(scene, rim, style, rng, spare=spare)
    if style.goblets:
        _goblets(scene, rim, style, rng)


def paint_wall(scene: Scene, rim: Rim, style: Style, rng: np.random.Generator, *, halo: float = 0.0) -> Floats:
    """Cytoplasm and cell borders, without lumen or nuclei; returns the basement membrane's contour."""
    outer = rim.ring(0.0)
    scene.glands.append(outer)
    _cleft(scene, rim, halo, rng)
    tone = float(rng.uniform(0.88, 1.12))
    base, apex = _toned(style.base, tone), _toned(style.apex, tone)
    scene.fill(Layer.BASE, outer, base)
    scene.fill(Layer.MIDDLE, rim.ring(0.40), _between(base, apex))
    scene.fill(Layer.APEX, rim.ring(0.62), apex)
    along = rim.steps(style.pitch)
    low, _ = rim.spots(along, np.full(len(along), 0.15))
    high, _ = rim.spots(along, np.full(len(along), 0.97))
    scene.line(Layer.BORDER, [np.concatenate([outer, outer[:1]])], (44, 16, 0), width_um=0.5)
    border: Colour = (apex[0] + 7, apex[1] + 4, 0)
    scene.line(Layer.BORDER, list(np.stack([low, high], axis=1)), border, width_um=0.4)
    return outer


def _cleft(scene: Scene, rim: Rim, halo: float, rng: np.random.Generator) -> None:
    """A retraction cleft that follows part of the contour: the same outline, moved and wider."""
    if halo > 0 and rng.random() < 0.6:
        scene.fill(Layer.HALO, rim.ring(-halo * 0.7 / rim.height) + rng.normal(0, 0.8 * halo, 2), (9, 4, 40))


def place_rows(
    scene: Scene, rim: Rim, style: Style, rng: np.random.Generator, *, keep: float = 0.94,
    spare: tuple[Floats, float] | None = None,
) -> None:  # fmt: skip
    """Nuclei in the style's rows along a rim."""
    for depth in style.rows:
        along = rim.steps(style.pitch, depth=depth)
        step = len(rim.reach) / len(along)
        along = along[rng.random(len(along)) < keep]
        along = along + rng.uniform(-0.25, 0.25, len(along)) * step + rng.uniform(0, step)
        depths = np.clip(depth + rng.normal(0, style.scatter, len(along)), _least(style, rim), 0.96)
        yx, radial = rim.spots(along, depths)
        if spare is not None:
            away = np.hypot(yx[:, None, 0] - spare[0][None, :, 0], yx[:, None, 1] - spare[0][None, :, 1])
            far = away.min(axis=1, initial=1e9) > spare[1]
            yx, radial = yx[far], radial[far]
        put(scene, yx, radial, style, rng)


def _least(style: Style, rim: Rim) -> float:
    """Smallest depth at which an upright nucleus stays inside the basement membrane."""
    form = FORMS[style.kinds[0]]
    return float(min(0.45, (form.length if style.upright > 0.5 else form.width) * style.size * 0.5 / rim.height))


def put(scene: Scene, yx: Floats, radial: Floats, style: Style, rng: np.random.Generator) -> None:
    """Nuclei of a style at given places: `upright` of them along `radial`, the others at any angle."""
    count = len(yx)
    kinds = np.array([int(kind) for kind in style.kinds])[rng.integers(0, len(style.kinds), count)]
    kinds[rng.random(count) < style.clumped] = Kind.DEBRIS
    free = rng.random(count) >= style.upright
    angle = np.where(free, rng.uniform(0, np.pi, count), radial + rng.normal(0, 0.14, count))
    size = np.clip(rng.normal(style.size, style.spread, count), 0.6, 1.5)
    tone = rng.normal(style.tone, 0.16, count)
    scene.put_nuclei(yx, kinds, size, angle, tone, category=style.category)


def lay_cribriform(scene: Scene, rim: Rim, style: Style, rng: np.random.Generator, *, halo: float = 0.0) -> None:
    """A patch of epithelium with several punched-out lumens and nuclei everywhere between them.

    `rim` is that of the patch with ``height`` equal to its radius, so that depth 1 is its middle.
    """
    outer = paint_solid(scene, rim, style, rng, halo=halo)
    radius = float(rim.reach.mean())
    holes = _holes(rim, radius, rng)
    for hole in holes:
        lumen = blob(hole[:2], hole[2], height=1.0, rough=0.12, rng=rng, points=18)
        scene.fill(Layer.LUMEN, lumen.ring(0), style.lumen)
    scene.lesions.append((style.category, outer))
    fill_patch(scene, rim, style, rng, holes=holes)


def paint_solid(scene: Scene, rim: Rim, style: Style, rng: np.random.Generator, *, halo: float = 0.0) -> Floats:
    """Cytoplasm without polarity; returns the contour."""
    outer = rim.ring(0.0)
    scene.glands.append(outer)
    _cleft(scene, rim, halo, rng)
    tone = float(rng.uniform(0.88, 1.12))
    scene.fill(Layer.BASE, outer, _toned(style.base, tone))
    scene.fill(Layer.MIDDLE, rim.ring(0.5), _toned(_between(style.base, style.apex), tone))
    return outer


def fill_patch(scene: Scene, rim: Rim, style: Style, rng: np.random.Generator, *, holes: Floats) -> None:
    """Nuclei over a whole patch, `pitch` apart, none in the holes (rows of y, x, radius)."""
    radius = float(rim.reach.mean())
    for away in np.arange(0.45 * style.pitch, radius, style.pitch * 0.92):
        depth = away / rim.height
        along = rim.steps(style.pitch, depth=depth)
        along = along + rng.normal(0, 0.22, len(along)) * len(rim.reach) / len(along)
        depths = np.clip(depth + rng.normal(0, 0.16 * style.pitch / rim.height, len(along)), 0.02, 1)
        yx, radial = rim.spots(along, depths)
        gap = np.hypot(yx[:, None, 0] - holes[None, :, 0], yx[:, None, 1] - holes[None, :, 1]) - holes[None, :, 2]
        keep = (gap.min(axis=1, initial=99.0) > 3.2) & (rng.random(len(yx)) < 0.93)
        put(scene, yx[keep], radial[keep], style, rng)


def lay_cell(scene: Scene, yx: Floats, style: Style, rng: np.random.Generator, *, signet: bool = False) -> None:
    """Single tumour cells (n, 2): a rim of cytoplasm and one nucleus each; signet cells carry a drop of mucin."""
    kept = []
    for spot in yx:
        cell = blob(spot, float(rng.uniform(6.0, 8.5)), height=2.0, rough=0.08, rng=rng, points=14)
        if scene.floor.claim(cell.ring(0), slack=0.25):
            scene.fill(Layer.BASE, cell.ring(0), (12, 10, 0) if signet else style.base)
            scene.lesions.append((style.category, cell.ring(-1.0)))
            kept.append(spot)
    angle = rng.uniform(0, 2 * np.pi, len(kept))
    push = np.column_stack([np.sin(angle), np.cos(angle)]) * (4.6 if signet else 0.8)
    put(scene, np.array(kept).reshape(-1, 2) + push, angle + np.pi / 2, style, rng)


def _holes(rim: Rim, radius: float, rng: np.random.Generator) -> Floats:
    """Lumens of a cribriform patch: rows of y, x, radius, spread over the patch and apart from each other."""
    found: list[Floats] = []
    for _ in range(40):
        along, depth = rng.uniform(0, len(rim.reach), 1), rng.uniform(0.0, 1.0, 1)
        spot, _ = rim.spots(along, depth)
        size = float(rng.uniform(5, 14))
        if depth[0] * rim.height < size + 13:
            continue
        if all(np.hypot(*(spot[0] - other[:2])) > size + other[2] + 13 for other in found):
            found.append(np.array([*spot[0], size]))
        if len(found) > radius / 9:
            break
    return np.array(found).reshape(-1, 3)


def _goblets(scene: Scene, rim: Rim, style: Style, rng: np.random.Generator) -> None:
    along = rim.steps(style.pitch)
    along = along[rng.random(len(along)) < style.goblets]
    yx, _ = rim.spots(along + rng.uniform(0, 0.5, len(along)), rng.uniform(0.55, 0.72, len(along)))
    for spot in yx:
        drop = blob(spot, float(rng.uniform(3.2, 4.8)), height=1.0, rough=0.06, rng=rng, points=12)
        scene.fill(Layer.BORDER, drop.ring(0), (6, 12, 0))


def _between(one: Colour, other: Colour) -> Colour:
    return (one[0] + other[0]) // 2, (one[1] + other[1]) // 2, (one[2] + other[2]) // 2


def _toned(colour: Colour, tone: float) -> Colour:
    return int(colour[0] * tone), int(colour[1] * tone), colour[2]
