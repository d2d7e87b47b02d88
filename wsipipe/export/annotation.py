"""Outlines that people drew in another program, and what became of those that cannot be used.

Enters: rings of points with the name of their class. Leaves: valid polygons of our categories. Next rooms:
`wsipipe.export.annotation_file`, which reads files; `wsipipe.train.mask`, which reads what is written.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from wsipipe.errors import UsageError
from wsipipe.store.records import CATEGORIES

OTHERS = "*"
"""In a map: every class that no other line names."""
Ring = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Outline:
    """One drawn area: its class as the program names it, and polygons of rings, each the outer one first."""

    name: str
    polygons: Sequence[Sequence[Ring]]


@dataclass
class Drawing:
    """What one file holds: outlines, and how many objects of which kind were left out."""

    outlines: list[Outline] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass
class Regions:
    """Valid polygons by category, in the order in which they were drawn.

    ``repaired`` counts outlines that crossed themselves, ``skipped`` objects that are no area of a wanted class.
    """

    polygons: list[tuple[str, str, Any]] = field(default_factory=list)
    repaired: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


def parse_map(lines: Iterable[str]) -> dict[str, str]:
    """``{"tumor": "invasive"}`` of ``["Tumor=invasive"]``; an empty category leaves the class out.

    Raises
    ------
    UsageError
        For a line without ``=``, or a category that there is not.
    """
    found = {}
    for line in lines:
        name, equals, category = line.rpartition("=")
        if not equals:
            raise UsageError(f'--map is "class=category", such as "Tumor=invasive", got {line!r}')
        known = folded(category)
        if known and known not in CATEGORIES:
            near = difflib.get_close_matches(known, CATEGORIES, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"--map: a category is one of {', '.join(CATEGORIES)}, got {category!r}{hint}")
        found[folded(name)] = known
    return found


def folded(name: str) -> str:
    """A class name as it is compared: case, spaces and hyphens do not matter."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def as_regions(drawing: Drawing, mapping: Mapping[str, str], subject: str) -> Regions:
    """Outlines as valid polygons of our categories.

    Raises
    ------
    UsageError
        Where a class is neither mapped nor one of our categories: all such classes are named.
    """
    named = [(outline, _category(outline.name, mapping)) for outline in drawing.outlines]
    if unknown := sorted({outline.name for outline, category in named if category is None}):
        shown = ", ".join(repr(name) if name else "(no class)" for name in unknown)
        raise UsageError(
            f"importing annotations: classes {shown} are none of {', '.join(CATEGORIES)}: say what they are with "
            f'--map "{unknown[0]}=invasive", or leave them out with --map "{unknown[0]}="',
            subject=subject,
        )
    found = Regions(skipped=Counter(drawing.skipped))
    for outline, category in named:
        if category:
            _add(found, outline, category)
        else:
            found.skipped[f"class {outline.name!r}"] += 1
    return found


def _category(name: str, mapping: Mapping[str, str]) -> str | None:
    """Empty where the class is to be left out, None where nothing is known of it."""
    key = folded(name)
    known = key if key in CATEGORIES else None
    return mapping.get(key, known if known else mapping.get(OTHERS))


def _add(found: Regions, outline: Outline, category: str) -> None:
    drawn = _drawn(outline)
    valid = drawn is not None and bool(shapely.is_valid(drawn))
    area = drawn if valid else _mended(drawn)
    if area is None:
        found.skipped["outline of no area"] += 1
        return
    found.repaired += not valid
    found.polygons.append((category, outline.name, area))


def _drawn(outline: Outline) -> Any:
    """The outline as it was drawn, valid or not; None where it is none."""
    try:
        parts = [_polygon(rings) for rings in outline.polygons]
    except (shapely.errors.GEOSException, ValueError, TypeError, IndexError):
        return None
    return None if not parts else parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _polygon(rings: Sequence[Ring]) -> Any:
    outer, *holes = [np.array([point[:2] for point in ring], np.float64) for ring in rings]
    if not all(np.isfinite(ring).all() for ring in (outer, *holes)):
        raise ValueError("a corner is no number")
    return shapely.Polygon(outer, holes)


def _mended(drawn: Any) -> Any:
    """The areas of an outline that crosses itself; None where there are none."""
    parts = [] if drawn is None else shapely.get_parts(shapely.make_valid(drawn)).tolist()
    areas = [p for part in parts for p in shapely.get_parts(part).tolist() if p.geom_type == "Polygon" and p.area > 0]
    return None if not areas else shapely.union_all(areas)
