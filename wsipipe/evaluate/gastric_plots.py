"""How the category degrades: with the size of the lesion, with blur, with the stain's distance.

Enters: observed slides. Leaves: ``degradation.png``. Next: people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsipipe.evaluate.gastric_gate import passed
from wsipipe.evaluate.gastric_slides import Observed
from wsipipe.evaluate.interval import Interval, mean
from wsipipe.lesion.gate import CHECKS

INK, SOFT = "#1f4e79", "#b0602a"
BINS = 5


def right(seen: Sequence[Observed]) -> NDArray[np.float64]:
    """1 where the category of the largest probability is the true one; a slide without tiles is wrong."""
    said = [-1 if np.isnan(one.category_prob).any() else int(one.category_prob.argmax()) for one in seen]
    return np.array([float(a == one.slide.category) for a, one in zip(said, seen, strict=True)])


def by_lesion(seen: Sequence[Observed]) -> list[tuple[float, Interval]]:
    """Median share of tissue that is lesion, and share right, in `BINS` groups of like number; negatives left out."""
    some = sorted((one for one in seen if one.slide.category > 0), key=lambda one: one.lesion_share)
    groups = [group for group in np.array_split(np.arange(len(some)), BINS) if len(group)]
    chosen = [[some[int(index)] for index in group] for group in groups]
    return [(float(np.median([one.lesion_share for one in group])), mean(right(group))) for group in chosen]


def draw(
    path: Path,
    tested: Sequence[Observed],
    blurred: Mapping[float, Sequence[Observed]],
    stained: Mapping[float, Sequence[Observed]],
) -> None:
    """Three panels.

    Parameters
    ----------
    path : Path
    tested : sequence of Observed
        Slides as they are.
    blurred, stained : mapping
        Sigma in micrometres, and turn of the hue in degrees (0: as they are), to the same slides so changed.
    """
    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    lesion, blur, stain = figure.subplots(1, 3, sharey=True)
    places, values = zip(*by_lesion(tested), strict=True)
    _line(lesion, list(places), list(values), INK, "category right")
    lesion.set_xlim(left=0)
    _titled(lesion, "Size of the lesion", "share of the tissue that is lesion (slides with a lesion)")
    order = sorted(blurred)
    _pair(blur, order, [blurred[key] for key in order])
    _titled(blur, "Out of focus", "sigma of the added blur, um")
    order = sorted(stained)
    _pair(stain, order, [stained[key] for key in order])
    measured = [np.nanmedian([one.gate_value[CHECKS.index("stain")] for one in stained[key]]) for key in order]
    stain.set_xticks(order, [f"{key:+g}\n{value:.0f} deg" for key, value in zip(order, measured, strict=True)])
    _titled(stain, "Off colour", "turn of the hue, degrees; below: distance to H&E")
    lesion.set_ylim(0, 1.05)
    lesion.set_ylabel("share of slides")
    blur.legend(frameon=False, loc="lower left")
    figure.savefig(path, dpi=110)


def _pair(axes: Axes, places: list[float], groups: list[Sequence[Observed]]) -> None:
    _line(axes, places, [mean(right(group)) for group in groups], INK, "category right, gate left out")
    _line(axes, places, [mean(passed(group)) for group in groups], SOFT, "gate passed")


def _line(axes: Axes, places: list[float], values: list[Interval], colour: str, label: str) -> None:
    centre = np.array([value.value for value in values])
    ends = np.array([[value.low, value.high] for value in values]).T
    errors = np.maximum(np.abs(ends - centre), 0)
    axes.errorbar(places, centre, yerr=errors, color=colour, marker="o", capsize=3, label=label)


def _titled(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
