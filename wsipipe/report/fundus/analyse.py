"""From windows of probabilities to everything that is known of one fundus picture.

Enters: a finished picture's layers. Leaves: an `Analysis`. Next: `wsipipe.report.fundus.draw` and ``.publish``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.run.work import Context
from wsipipe.store import read
from wsipipe.vessel import blend, disc, field_of_view, quality, topology
from wsipipe.vessel import label as labels
from wsipipe.vessel.disc import Disc
from wsipipe.vessel.field_of_view import Field
from wsipipe.vessel.measure import Found, Measure, Vessel, measures
from wsipipe.vessel.quality import Grade
from wsipipe.vessel.skeleton import graph
from wsipipe.vessel.stage import GRADES, WINDOW

FACTS = ("mpp", "laterality", "disc_y", "disc_x", "disc_radius")
"""Columns of the slide list that this pipeline knows: micrometres on the retina per pixel, left or right, the disc in
pixels of the picture."""


NOT_WORKED_ON = "the picture was refused"


@dataclass(frozen=True)
class Analysis:
    """What is known of a picture; arrays are at the working scale.

    Attributes
    ----------
    rgb : array (height, width, 3) of uint8
    grade : Grade
    found : Found
    unrepaired : array (height, width) of uint8
        The label before topology repair.
    changed : float
        Share of centre-line pixels that the repair changed.
    rows : list of Measure
    vessels : list of Vessel
    laterality : tuple of str
        ``left``, ``right`` or empty, and where that is from.
    """

    rgb: NDArray[np.uint8]
    grade: Grade
    found: Found
    unrepaired: NDArray[np.uint8]
    changed: float
    rows: list[Measure]
    vessels: list[Vessel]
    laterality: tuple[str, str]


def analyse(context: Context, *, threshold: float, repair: bool, method: str) -> Analysis:
    """Splice, label, repair and measure one picture.

    Parameters
    ----------
    context : Context
        Of the retinal pipeline.
    threshold : float
        Probability from which a pixel is a vessel.
    repair : bool
        Whether every vessel between two branch points is made one class.
    method : {"auto", "whole"}
        As `wsipipe.vessel.stage.fitted` had it.

    Raises
    ------
    UsageError
        Where the slide list tells no number or no side of this picture.
    """
    told = given(dict(context.work.source.facts), context.work.source.path)
    frame = context.work.frame
    rgb = np.asarray(context.slide.read(frame.box, frame=frame), np.uint8)
    rgb = rgb if rgb.shape[2] == 3 else np.repeat(rgb, 3, axis=2)
    field = field_of_view.whole(rgb) if method == "whole" else field_of_view.find(rgb)
    probability = spliced(context)
    before = labels.from_probability(probability, threshold=threshold, inside=field.inner())
    lines = graph(before > 0)
    fixed = topology.repair(probability, before, lines)
    kinds = fixed.kinds if repair else majority(before, lines)
    found = Found(
        probability, fixed.label if repair else before, lines, kinds, field,
        _disc(told, rgb, field, before > 0, frame.downsample), frame.downsample, told.get("mpp"),
    )  # fmt: skip
    found = replace(found, calibres=found.measured())
    rows, vessels = measures(found)
    if not len(context.ids):
        rows = [replace(row, value=float("nan"), reason=NOT_WORKED_ON) for row in rows]
    changed = fixed.changed if repair else 0.0
    return Analysis(rgb, graded(context, field), found, before, changed, rows, vessels, _side(told, found))


def spliced(context: Context) -> NDArray[np.float32]:
    """The probabilities (3, height, width) float32 of the whole picture, from the windows of its tiles."""
    layer = context.layer(WINDOW)
    assert layer.grid is not None
    return blend.block(
        context.work.frame.box, layer.grid, context.ids, lambda ids: read.rows(layer, WINDOW, ids)
    )  # fmt: skip


def graded(context: Context, field: Field) -> Grade:
    """The grade that the field step left."""
    values = dict(zip(quality.CHECKS, context.value("grade_value").tolist(), strict=True))
    if int(context.value("grade")[0]) == GRADES.index(quality.REFUSED) and not np.isfinite(list(values.values())).all():
        return Grade(quality.REFUSED, (field.reason or "no field of view",), values)
    return quality.judged(values)


def majority(label: NDArray[np.uint8], lines: Any) -> NDArray[np.int64]:
    """The class that most pixels of each centre line have: what is measured without repair."""
    arteries = [
        np.count_nonzero(label[p[:, 0], p[:, 1]] == labels.ARTERY) for p in (line.pixels for line in lines.lines)
    ]
    veins = [np.count_nonzero(label[p[:, 0], p[:, 1]] == labels.VEIN) for p in (line.pixels for line in lines.lines)]
    return np.where(np.array(arteries) >= np.array(veins), labels.ARTERY, labels.VEIN).astype(np.int64)


def given(facts: Mapping[str, str], path: str) -> dict[str, Any]:
    """What the slide list says of a picture, as numbers.

    Raises
    ------
    UsageError
        For an mpp outside 0.5 to 100, a laterality that is neither left nor right, half a disc, no numbers.
    """
    told: dict[str, Any] = {}
    for name in ("mpp", "disc_y", "disc_x", "disc_radius"):
        if name in facts:
            try:
                told[name] = float(facts[name])
            except ValueError:
                raise _wrong(f"{name} is a number, got {facts[name]!r}", path) from None
    if not 0.5 <= told.get("mpp", 1.0) <= 100:
        raise _wrong(f"mpp is 0.5 to 100 micrometres on the retina per pixel, got {told['mpp']:g}", path)
    if 0 < sum(name in told for name in FACTS[2:]) < 3:
        raise _wrong("a disc is disc_y, disc_x and disc_radius together, in pixels of the picture", path)
    side = facts.get("laterality", "").strip().lower()
    side = {"od": "right", "r": "right", "os": "left", "l": "left"}.get(side, side)
    if side not in ("", "left", "right"):
        raise _wrong(f"laterality is left or right (or OS, OD), got {facts['laterality']!r}", path)
    return told | {"laterality": side}


def _wrong(text: str, path: str) -> UsageError:
    return UsageError(f"reading the slide list: {text}: correct the list", subject=path)


def _disc(
    told: Mapping[str, Any], rgb: NDArray[np.uint8], field: Field, vessels: NDArray[np.bool_], down: float
) -> Disc:
    if "disc_y" in told:
        y, x = ((told[name] + 0.5) / down - 0.5 for name in ("disc_y", "disc_x"))
        return Disc((y, x), told["disc_radius"] / down)
    if not field.found:
        nan = float("nan")
        return Disc((nan, nan), nan, nan, field.reason)
    return disc.find(rgb, field, vessels)


def _side(told: Mapping[str, Any], found: Found) -> tuple[str, str]:
    """Which eye: as the list says, else by the side on which the disc lies, if it lies clearly on one."""
    if told["laterality"]:
        return told["laterality"], "given"
    if not (found.disc.found and found.field.found):
        return "", "not known"
    off = (found.disc.yx[1] - found.field.centre[1]) / found.field.radius
    return ("right" if off > 0 else "left", "by the disc") if abs(off) > 0.25 else ("", "not known")
