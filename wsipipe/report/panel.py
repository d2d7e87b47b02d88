"""The column beside a slide's picture: category, probabilities, facts, and what lines and colours mean.

Enters: what was found and what is said of it. Leaves: marks on a canvas. Next room: `wsipipe.report.overview`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.report import heat
from wsipipe.report.canvas import INK, MUTED, RULE, Canvas, wrap
from wsipipe.report.heat import Picture
from wsipipe.store.records import CATEGORIES

SIDE = 350.0
"""Width of the column in points."""
NAMES = {
    "negative": "Negative",
    "low_grade": "Low-grade neoplasia",
    "high_grade": "High-grade neoplasia",
    "invasive": "Invasive carcinoma",
}
REASONS = {"untrained": "untrained: the networks' weights are random, only the mechanics are shown"}
COLORS = {"negative": "#2f8f5b", "low_grade": "#a67700", "high_grade": "#d9600a", "invasive": "#b42318"}
LEGEND_GAP = 16.0


@dataclass(frozen=True)
class Findings:
    """What is drawn over the slide; anything may be missing.

    Parameters
    ----------
    tissue : Picture or None
        Mask ``(h, w)``, non-zero is tissue.
    heat : Picture or None
        Probability ``(h, w)``: uint8 where 255 is 1, or floats 0..1.
    boxes : (k, 4)
        ``y, x, height, width`` of the top-k tiles in level-0 pixels, in rank order.
    regions : sequence of shapely polygons
        Suspected regions in level-0 pixels (x, y).
    """

    tissue: Picture | None = None
    heat: Picture | None = None
    boxes: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 4)))
    regions: Sequence[Any] = ()


@dataclass(frozen=True)
class Verdict:
    """What is said of the slide.

    Parameters
    ----------
    category : str or None
        One of `CATEGORIES`, or None where none is given.
    probabilities : (4,) or None
        In the order of `CATEGORIES`. Without a category they are shown in grey.
    reason : str
        Why there is no category.
    notice : str
        A warning that belongs on every picture, such as ``not for clinical use``.
    """

    category: str | None = None
    probabilities: Sequence[float] | None = None
    reason: str = ""
    notice: str = ""


def draw_panel(canvas: Canvas, left: float, top: float, verdict: Verdict, lines: Sequence[str]) -> float:
    """Category, reason, bars and facts, `SIDE` wide; returns where the next block may begin, all in points."""
    return _facts(canvas, left, _said(canvas, left, top, verdict), lines)


def panel_height(verdict: Verdict, findings: Findings, lines: Sequence[str]) -> float:
    """Points from the top of the column to the end of its legend, found by drawing it on scratch paper."""
    return draw_panel(Canvas(SIDE, SIDE), 0, 0, verdict, lines) + LEGEND_GAP + legend_height(findings)


def _said(canvas: Canvas, left: float, top: float, verdict: Verdict) -> float:
    """Category, reason and bars; returns where the next block may begin."""
    canvas.text(left, top + 2, "CATEGORY", size=11, color=MUTED, bold=True)
    name = NAMES.get(verdict.category or "", "No category given")
    color = COLORS.get(verdict.category or "", INK)
    canvas.text(left, top + 24, name, size=22, color=color, bold=True)
    top += 62
    for line in wrap(REASONS.get(verdict.reason, verdict.reason), SIDE, 13.5)[:5]:
        canvas.text(left, top, line, size=13.5)
        top += 21
    top += 10
    if verdict.probabilities is not None:
        top = _bars(canvas, left, top, verdict)
    return top


def _bars(canvas: Canvas, left: float, top: float, verdict: Verdict) -> float:
    """One bar per category; in grey where no category is given."""
    for category, p in zip(CATEGORIES, verdict.probabilities or (), strict=True):
        chosen = category == verdict.category
        color = COLORS[category] if verdict.category else "#98a2b3"
        canvas.text(left, top, NAMES[category], size=13, bold=chosen)
        shown = f"{100 * p:.1f} %" if np.isfinite(p) else "–"
        canvas.text(left + SIDE, top, shown, size=13, ha="right", bold=chosen)
        canvas.box(left, top + 17, SIDE, 9, "#eef0f3")
        canvas.box(left, top + 17, SIDE * float(np.clip(np.nan_to_num(p), 0, 1)), 9, color)
        top += 44
    return top


def _facts(canvas: Canvas, left: float, top: float, lines: Sequence[str]) -> float:
    if lines:
        canvas.line((left, left + SIDE), (top + 4, top + 4), color=RULE)
        top += 18
    for line in (part for fact in lines for part in wrap(fact, SIDE, 12.5)):
        canvas.text(left, top, line, size=12.5, color="#344054")
        top += 20
    return top


def legend_height(findings: Findings) -> float:
    """Points that `draw_legend` needs."""
    return 24.0 * len(_entries(findings)) + (60.0 if findings.heat is not None else 0.0)


def draw_legend(canvas: Canvas, left: float, top: float, findings: Findings) -> None:
    """What the lines and colours mean."""
    for color, width, label in _entries(findings):
        canvas.line((left, left + 30), (top + 8, top + 8), color=color, width=width)
        canvas.text(left + 42, top + 8, label, size=12.5, va="center")
        top += 24
    if findings.heat is not None:
        canvas.text(left, top + 9, "probability of being positive, per pixel", size=12.5)
        heat.draw_color_bar(canvas, left, top + 27, SIDE)


def _entries(findings: Findings) -> list[tuple[str, float, str]]:
    """Colour, width and meaning of the lines that are drawn."""
    tiles = len(findings.boxes)
    entries = [
        (heat.TISSUE_COLOR, 2.0, "tissue", findings.tissue is not None),
        (heat.REGION_COLOR, 3.0, "suspected region", len(findings.regions) > 0),
        (heat.BOX_COLOR, 3.0, "top tile" if tiles == 1 else f"top {tiles} tiles, numbered by rank", tiles > 0),
    ]
    return [(color, width, label) for color, width, label, drawn in entries if drawn]
