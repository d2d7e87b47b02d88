"""Tables of counted retinal pictures: means over pictures with 95 % intervals, and paired gains.

Enters: records. Leaves: `wsipipe.evaluate.table.Table`. Next: `wsipipe.cli.evaluate_retina` shows and writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from wsipipe.evaluate.interval import Interval, mean
from wsipipe.evaluate.retina import CLEAN, Record
from wsipipe.evaluate.table import Table
from wsipipe.vessel.count import NOTE, Counts
from wsipipe.vessel.degrade import HARDER, KINDS

MEASURES = tuple(field.name for field in fields(Counts))
COLUMNS = ("S Acc", "S Sen", "S Spec", "G Acc", "G Sen", "G Spec", "Dice", "recall", "clDice", "wrong paths")
SEVEN, HARD = "mean of seven", "mean of the harder regime"
GROUPS: dict[str, tuple[str, ...]] = {CLEAN: (CLEAN,), SEVEN: KINDS, HARD: HARDER}
"""Conditions that are meant together."""


class PerCent(Interval):
    """An interval of per cent, told with two decimals."""

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def by_picture(records: Sequence[Record], conditions: Sequence[str], way: str) -> dict[str, NDArray[np.float64]]:
    """Measures (11,) per picture, in per cent, the mean over conditions and seeds; the last is seconds.

    A picture that lacks a condition is left out.
    """
    found: dict[str, dict[str, list[list[float]]]] = {}
    for one in records:
        if one.way == way and one.condition in conditions:
            row = [100 * getattr(one.counts, name) for name in MEASURES] + [one.seconds]
            found.setdefault(one.picture, {}).setdefault(one.condition, []).append(row)
    return {
        picture: np.mean([np.mean(rows, axis=0) for rows in parts.values()], axis=0)
        for picture, parts in sorted(found.items())
        if len(parts) == len(conditions)
    }


def condition_table(records: Sequence[Record], *, title: str, notes: Sequence[str] = ()) -> Table:
    """One row per condition, group of conditions and way of answering."""
    table = Table(title, ("condition", "answer", "pictures", *COLUMNS, "seconds"))
    there = {one.condition for one in records}
    ways = list(dict.fromkeys(one.way for one in records))
    asked = {name: parts for name, parts in GROUPS.items() if set(parts) <= there}
    asked |= {name: (name,) for name in (*KINDS, *HARDER) if name in there}
    for name, parts in asked.items():
        for way in ways:
            rows = by_picture(records, parts, way)
            if rows:
                table.add(name, way, len(rows), *_means(list(rows.values())))
    table.notes += [NOTE, "Per cent, means over pictures, 95 % bootstrap intervals over pictures.", *notes]
    return table


def picture_table(records: Sequence[Record], *, title: str) -> Table:
    """One row per picture, condition, seed and way of answering; per cent."""
    table = Table(title, ("picture", "condition", "seed", "answer", *COLUMNS, "seconds"))
    for one in records:
        numbers = [100 * getattr(one.counts, name) for name in MEASURES]
        table.add(one.picture, one.condition, one.seed, one.way, *numbers, one.seconds)
    return table


def gain(ours: Mapping[str, NDArray[np.float64]], theirs: Mapping[str, NDArray[np.float64]], measure: str) -> Interval:
    """Mean paired difference of a measure over the pictures that both have, in per cent points."""
    index, both = MEASURES.index(measure), sorted(ours.keys() & theirs.keys())
    return per_cent(mean(np.array([ours[name][index] - theirs[name][index] for name in both], np.float64)))


def repair_table(records: Sequence[Record], plain: str, repaired: str) -> Table:
    """What topology repair gives, paired over pictures."""
    names = ("s_acc", "g_acc", "topology")
    table = Table(
        "Gain of topology repair, per cent points", ("condition", "pictures", "S Acc", "G Acc", "wrong paths")
    )
    there = {one.condition for one in records}
    for name, parts in GROUPS.items():
        if set(parts) <= there:
            ours, theirs = by_picture(records, parts, repaired), by_picture(records, parts, plain)
            if ours and theirs:
                table.add(name, len(ours), *(gain(ours, theirs, measure) for measure in names))
    return table


def _means(rows: Sequence[NDArray[np.float64]]) -> list[Interval]:
    return [per_cent(mean(column)) for column in np.array(rows, np.float64).T]


def per_cent(found: Interval) -> PerCent:
    """The same interval, told with two decimals."""
    return PerCent(found.value, found.low, found.high)
