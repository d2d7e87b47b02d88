"""A whole made field: ground, lesions, surface, pits, glands, and what lives in the stroma between them.

Enters: category, seed, regime, side. Leaves: a `Scene`. Next room: `wsipipe.phantom.gastric_canvas`.

Random streams are kept apart (layout, lesion, tissue, stroma), so two fields of one seed and different category
have the same fragments, stain and artefacts: what surrounds a lesion cannot tell its category.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_gland import cover_surface, place_glands, place_pits
from wsipipe.phantom.gastric_lesion import Focus, draw_focus, grow
from wsipipe.phantom.gastric_mucosa import Mucosa, draw_traits, fragments
from wsipipe.phantom.gastric_regime import Regime
from wsipipe.phantom.gastric_scene import Scene
from wsipipe.phantom.gastric_stroma import fill_stroma, lay_ground
from wsipipe.phantom.gastric_style import of_slide

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a field will hold: fragments, foci of each fragment, and the focus that artefacts must spare."""

    sheets: tuple[Mucosa, ...]
    foci: tuple[tuple[Focus, ...], ...]
    spared: Floats


def stream(regime: Regime, seed: int, *purpose: int) -> np.random.Generator:
    """The random generator of one purpose of one slide."""
    return np.random.default_rng([regime.salt, seed, *purpose])


def plan_field(category: int, seed: int, regime: Regime, side_um: float) -> Plan:
    """Draw fragments and foci.

    The share of the main fragment that is lesion is log-uniform from a single focus of a quarter millimetre
    to nearly all of it. The place and the share are drawn for negative slides too, and then left unused.
    """
    sheets = fragments(side_um, stream(regime, seed, 0))
    rng = stream(regime, seed, 1)
    share = float(np.exp(rng.uniform(np.log(0.04), np.log(0.75))))
    span = 0.9 * side_um
    for _ in range(20):
        main = int(rng.integers(len(sheets)))
        first = draw_focus(sheets[main], max(category, 1), share, rng, span_um=span)
        spared, middle = _ground_of(sheets[main], first)
        if ((middle > 0.12 * side_um) & (middle < 0.88 * side_um)).all():
            break
    foci: list[list[Focus]] = [[] for _ in sheets]
    for index, sheet in enumerate(sheets):
        lesser, also = int(rng.integers(1, 3)), rng.random() < 0.35
        more = draw_focus(sheet, lesser, float(rng.uniform(0.03, 0.25)), rng, span_um=span)
        if also and lesser < category:
            foci[index].append(more)
        if index == main and category:
            foci[index].insert(0, first)
    return Plan(tuple(sheets), tuple(tuple(sorted(each, key=lambda f: -f.category)) for each in foci), spared)


def make_scene(plan: Plan, seed: int, regime: Regime, side_um: float) -> Scene:
    """Fill a plan with tissue."""
    scene = Scene.of(side_um)
    styles = of_slide(stream(regime, seed, 2))
    for index, (sheet, foci) in enumerate(zip(plan.sheets, plan.foci, strict=True)):
        traits = draw_traits(sheet, stream(regime, seed, 3, index, 0))
        lay_ground(scene, sheet, foci, stream(regime, seed, 3, index, 1))
        for order, focus in enumerate(foci):
            style = styles[("", "low_grade", "high_grade", "tumour")[focus.category]]
            grow(scene, sheet, focus, style, stream(regime, seed, 3, index, 2, order))
        cover_surface(scene, sheet, foci, styles, stream(regime, seed, 3, index, 3))
        place_pits(scene, sheet, foci, traits, styles["pit"], stream(regime, seed, 3, index, 4))
        place_glands(scene, sheet, foci, traits, styles, stream(regime, seed, 3, index, 5))
        fill_stroma(scene, sheet, foci, traits, stream(regime, seed, 3, index, 6))
    scene.thin_nuclei()
    return scene


def _ground_of(sheet: Mucosa, focus: Focus) -> tuple[Floats, Floats]:
    """The ground of a focus through the whole mucosa, which depends on no category, and its middle (yx)."""
    turn, half = np.linspace(0, 2 * np.pi, 24, endpoint=False), sheet.mucosa / 2
    ring = sheet.to_yx(focus.middle[0] + focus.half[0] * np.cos(turn), half + half * np.sin(turn))
    return ring, sheet.to_yx(np.array([focus.middle[0]]), np.array([half]))[0]
