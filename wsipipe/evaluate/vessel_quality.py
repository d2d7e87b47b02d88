"""What the quality grade's numbers are on pictures of several kinds: where its limits come from.

Enters: folders of pictures, and made ones. Leaves: a table. Pictures of other things have no field of view and are
refused for that; to see the other numbers on them too, each is also laid into a round field on black.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.evaluate.table import Table
from wsipipe.evaluate.vessel_seams import at_working_scale
from wsipipe.vessel import field_of_view, quality
from wsipipe.vessel.quality import CHECKS, GOOD, LIMITS, REFUSED, USABLE

Pixels = NDArray[np.uint8]
ROUND = (584, 565, 268)
"""Height, width and radius of the round field that pictures of other things are laid into."""


def quality_table(sets: Iterable[tuple[str, Sequence[Pixels]]]) -> Table:
    """Grades and the range of every number, for sets of pictures (height, width, 3) uint8 by name."""
    table = Table(
        "Quality grade: pictures by grade, and least / median / largest of each number",
        ("pictures", GOOD, USABLE, REFUSED, *CHECKS),
    )
    for name, pictures in sets:
        grades = [_graded(rgb) for rgb in pictures]
        counted = Counter(one.grade for one in grades)
        values = np.array([[one.values[check] for check in CHECKS] for one in grades])
        table.add(name, *(counted[grade] for grade in (GOOD, USABLE, REFUSED)), *map(_range, values.T))
    sides = ("below", "above")
    table.notes += [
        "refused " + ", ".join(f"{name} {sides[limit.above]} {limit.refused:g}" for name, limit in LIMITS.items()),
        "not good " + ", ".join(f"{name} {sides[limit.above]} {limit.usable:g}" for name, limit in LIMITS.items()),
    ]
    return table


def worse(rgb: Pixels) -> list[tuple[str, Pixels]]:
    """A picture made worse in ways that the grade should see."""
    blurred = [(f"blur of {sigma:g} px", cv2.GaussianBlur(rgb, (0, 0), sigma)) for sigma in (1.5, 2.5, 4.0, 6.0)]
    lit = rgb.max(axis=2, keepdims=True) > 40
    return [
        *((name, np.asarray(made, np.uint8)) for name, made in blurred),
        ("a third of the light", (rgb * 0.33).astype(np.uint8)),
        ("a tenth of the light", (rgb * 0.10).astype(np.uint8)),
        ("haze", np.where(lit, rgb * 0.35 + 130, rgb).astype(np.uint8)),
        ("grey", np.repeat(rgb[..., 1:2], 3, axis=2)),
        ("red and blue exchanged", np.ascontiguousarray(rgb[..., ::-1])),
    ]


def in_a_round_field(rgb: Pixels) -> Pixels:
    """A picture of something else, resized and seen through the round field of a fundus camera."""
    height, width, radius = ROUND
    made = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = np.ogrid[:height, :width]
    made[np.hypot(rows - height / 2, columns - width / 2) > radius] = 5
    return np.asarray(made, np.uint8)


def _graded(rgb: Pixels) -> quality.Grade:
    small = at_working_scale(rgb)
    return quality.graded(small, field_of_view.find(small))


def _range(values: NDArray[np.float64]) -> str:
    some = values[np.isfinite(values)]
    return " / ".join(f"{value:.3g}" for value in np.quantile(some, [0, 0.5, 1])) if len(some) else "-"
