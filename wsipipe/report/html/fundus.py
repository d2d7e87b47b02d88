"""A fundus picture's page: grade, eye, scale, the picture with its vessels, and every measure.

Enters: what was published of it. Leaves: values for the template ``_fundus.html.j2``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ZONES = ("whole", "B", "C")
NAMES = {
    "crae": "CRAE", "crve": "CRVE", "avr": "AVR", "calibre": "Mean calibre", "tortuosity": "Tortuosity",
    "density": "Vessel density", "fractal_dimension": "Fractal dimension",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A measure in one zone and unit: the numbers of artery, vein and all; None where not had, and why."""

    name: str
    zone: str
    unit: str
    values: tuple[float | None, float | None, float | None]
    reason: str


def lines(measures: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The table of measures: one line per measure, zone and unit, in the order of `NAMES`."""
    keys = dict.fromkeys((row["name"], row["zone"], row["unit"]) for row in measures)
    order = sorted(keys, key=lambda key: (list(NAMES).index(key[0]), ZONES.index(key[1])))
    return [_line(measures, *key) for key in order]


def _line(measures: Sequence[Mapping[str, Any]], name: str, zone: str, unit: str) -> Line:
    rows = {row["kind"]: row for row in measures if (row["name"], row["zone"], row["unit"]) == (name, zone, unit)}
    artery, vein, both = ((rows[kind]["value"] if kind in rows else None) for kind in ("artery", "vein", "all"))
    reasons = dict.fromkeys(row["reason"] for row in rows.values() if row["reason"])
    shown = {"1": "", "um": "µm"}.get(unit, unit)
    return Line(NAMES[name], zone, shown, (artery, vein, both), "; ".join(reasons))
