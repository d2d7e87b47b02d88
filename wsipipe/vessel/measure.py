"""What is measured of the vessels of one picture: calibre, equivalents, tortuosity, fractal dimension, density.

Enters: the probability map, the label and its graph, the field of view, the disc. Leaves: `Measures`: a row for every
number, with its unit, and NaN with a reason where it cannot be had. Next: `wsipipe.report.fundus` publishes them.

Zones (Knudtson 2003; zone C as in SIVA): with the disc's diameter D, counted from its margin, B is the ring from 0.5 D
to 1 D, C that from 0.5 D to 2 D; "whole" is the field of view. Lengths are counted at the working scale and told in
pixels of the picture, and in micrometres where the size of a pixel is given.

CRAE and CRVE: on five circles in zone B the vessels that cross are gathered, each by the median calibre of its line
near the circle; the six largest give the equivalent; the median over the circles is told. (The usual protocol picks
six vessels by hand, once.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.vessel import fractal
from wsipipe.vessel.calibre import calibre
from wsipipe.vessel.disc import Disc
from wsipipe.vessel.equivalent import FACTORS, LARGEST, equivalent
from wsipipe.vessel.field_of_view import Field
from wsipipe.vessel.label import ARTERY, CROSSING, VEIN, Label
from wsipipe.vessel.skeleton import Graph, graph

Map = NDArray[np.float32]
Values = NDArray[np.float64]

KINDS = {"artery": (ARTERY,), "vein": (VEIN,), "all": (ARTERY, VEIN)}
ZONES = ("whole", "B", "C")
RINGS = {"B": (2.0, 3.0), "C": (2.0, 5.0)}
"""Radii of the zones over the disc's radius."""
CIRCLES = 5
LEAST_LENGTH = 10.0
"""Shorter centre lines have no tortuosity of their own, working px."""
NO_SCALE = "the size of a pixel is not known: give it in the slide list's mpp column"
NO_MASK = "no vessel was found there"


@dataclass(frozen=True)
class Measure:
    """One number: its name, whose it is (artery, vein, all), where (whole, B, C), unit; `reason` where it is NaN."""

    name: str
    kind: str
    zone: str
    value: float
    unit: str
    reason: str = ""


@dataclass(frozen=True)
class Vessel:
    """One centre line, measured, in working px: kind 1 or 2, mean calibre (NaN where not measured), tortuosity."""

    kind: int
    length: float
    calibre: float
    tortuosity: float
    middle: tuple[float, float]


@dataclass(frozen=True)
class Found:
    """What is measured.

    Attributes
    ----------
    probability : array (3, height, width) of float32
    label : array (height, width) of uint8
    graph : Graph
        Of ``label > 0``.
    kinds : array (lines,) of int64
        1 or 2 for every line.
    field : Field
    disc : Disc
    px : float
        Pixels of the picture per working pixel.
    um : float or None
        Micrometres on the retina per pixel of the picture.
    binary : bool
        Whether the probabilities are 0 and 1 only.
    """

    probability: Map
    label: Label
    graph: Graph
    kinds: NDArray[np.int64]
    field: Field
    disc: Disc
    px: float = 1.0
    um: float | None = None
    binary: bool = False
    calibres: tuple[Values, ...] = dataclasses.field(default=(), compare=False)

    def measured(self) -> tuple[Values, ...]:
        """Calibre along every line, working px."""
        if self.calibres:
            return self.calibres
        vessels = (self.label > 0).astype(np.float32) if self.binary else self.probability[2]
        half = cv2.distanceTransform((self.label > 0).astype(np.uint8), cv2.DIST_L2, 5)
        return tuple(calibre(vessels, line, half_widths=half, binary=self.binary) for line in self.graph.lines)


def measures(found: Found) -> tuple[list[Measure], list[Vessel]]:
    """Every number of a picture, and every centre line measured.

    Returns
    -------
    measures : list of Measure
        For each of artery, vein and all in each zone: ``calibre``, ``tortuosity``, ``density``; over the whole field
        ``fractal_dimension``; in zone B ``crae``, ``crve``, ``avr``. Lengths once in px and once in um.
    vessels : list of Vessel
    """
    widths = found.measured()
    rows = [*_along(found, widths), *_density(found), *_fractal(found), *_equivalents(found)]
    return [row for one in rows for row in _units(one, found)], _vessels(found, widths)


def in_zone(found: Found, zone: str, points: Values) -> NDArray[np.bool_]:
    """Which points (n, 2), yx in working px, are in a zone; none where there is no disc."""
    if zone == "whole":
        return np.ones(len(points), np.bool_)
    if not found.disc.found:
        return np.zeros(len(points), np.bool_)
    away = np.hypot(*(points - np.array(found.disc.yx)).T) / found.disc.radius
    return np.asarray((away >= RINGS[zone][0]) & (away < RINGS[zone][1]), np.bool_)


def tortuosity(points: Values) -> float:
    """Length of a line over the distance of its ends (Lotmar 1979); NaN for fewer than two points."""
    if len(points) < 2:
        return float("nan")
    chord = float(np.hypot(*(points[-1] - points[0])))
    return float(np.hypot(*np.diff(points, axis=0).T).sum()) / chord if chord > 1 else float("nan")


def _vessels(found: Found, widths: tuple[Values, ...]) -> list[Vessel]:
    made = []
    for line, width, kind in zip(found.graph.lines, widths, found.kinds.tolist(), strict=True):
        mean = float(np.nanmean(width)) if np.isfinite(width).any() else float("nan")
        y, x = line.points[len(line.points) // 2].tolist()
        made.append(Vessel(kind, line.length, mean, tortuosity(line.points), (y, x)))
    return made


def _along(found: Found, widths: tuple[Values, ...]) -> Iterator[Measure]:
    """Mean calibre and tortuosity, weighed by length, in every zone."""
    for kind, codes in KINDS.items():
        lines = [index for index, code in enumerate(found.kinds.tolist()) if code in codes]
        for zone in ZONES:
            inside = {index: in_zone(found, zone, found.graph.lines[index].points) for index in lines}
            width = np.concatenate([widths[index][inside[index]] for index in lines] or [np.zeros(0)])
            width = width[np.isfinite(width)]
            reason = _why(found, zone, len(width))
            yield Measure("calibre", kind, zone, float("nan") if reason else float(width.mean()), "px", reason)
            yield _tortuosity(found, kind, zone, inside)


def _tortuosity(found: Found, kind: str, zone: str, inside: dict[int, NDArray[np.bool_]]) -> Measure:
    pieces = [found.graph.lines[index].points[mask] for index, mask in inside.items() if mask.sum() > 1]
    lengths = np.array([float(np.hypot(*np.diff(piece, axis=0).T).sum()) for piece in pieces])
    each = np.array([tortuosity(piece) for piece in pieces])
    good = (lengths >= LEAST_LENGTH) & np.isfinite(each) & (each < 3) if len(each) else np.zeros(0, bool)
    reason = _why(found, zone, int(good.sum()))
    value = float("nan") if reason else float(np.average(each[good], weights=lengths[good]))
    return Measure("tortuosity", kind, zone, value, "1", reason)


def _density(found: Found) -> Iterator[Measure]:
    """Vessel pixels over the zone's pixels inside the field of view."""
    rows, columns = np.nonzero(found.field.mask)
    points, codes = np.stack([rows, columns], 1).astype(np.float64), found.label[rows, columns]
    for zone in ZONES:
        inside = codes[in_zone(found, zone, points)]
        for kind, wanted in KINDS.items():
            reason = _why(found, zone, len(inside))
            share = float(np.isin(inside, (*wanted, CROSSING)).mean()) if len(inside) else float("nan")
            yield Measure("density", kind, zone, share, "1", reason)


def _fractal(found: Found) -> Iterator[Measure]:
    for kind, codes in KINDS.items():
        lines = [line for line, code in zip(found.graph.lines, found.kinds.tolist(), strict=True) if code in codes]
        points = np.concatenate([line.pixels.astype(np.float64) for line in lines] or [np.zeros((0, 2))])
        value = fractal.dimension(points)
        yield Measure("fractal_dimension", kind, "whole", value, "1", "" if np.isfinite(value) else NO_MASK)


def _equivalents(found: Found) -> Iterator[Measure]:
    values = {}
    for code, kind, name in ((ARTERY, "artery", "crae"), (VEIN, "vein", "crve")):
        values[name], reason = _equivalent(found, code)
        yield Measure(name, kind, "B", values[name], "px", reason)
    ratio = values["crae"] / values["crve"]
    yield Measure("avr", "all", "B", ratio, "1", "" if np.isfinite(ratio) else "CRAE or CRVE cannot be had")


def _equivalent(found: Found, code: int) -> tuple[float, str]:
    if not found.disc.found:
        return float("nan"), found.disc.reason
    low, high = RINGS["B"]
    circles = found.disc.radius * np.linspace(low, high, CIRCLES + 2)[1:-1]
    lines, widths = class_lines(found, code)
    crossings = [crossing_calibres(found, lines, widths, float(radius)) for radius in circles]
    values = [equivalent(each, FACTORS[code]) for each in crossings if len(each) >= LARGEST]
    if not values:
        most = max((len(each) for each in crossings), default=0)
        return float("nan"), f"fewer than {LARGEST} such vessels cross zone B: {most}"
    return float(np.median(values)), ""


def class_lines(found: Found, code: int) -> tuple[Graph, list[Values]]:
    """Centre lines of one class around the disc, and their calibres.

    Its own mask (with the crossings) is thinned, so that an artery and a vein that lie side by side are two.
    """
    rows, columns = np.ogrid[: found.label.shape[0], : found.label.shape[1]]
    away = np.hypot(rows - found.disc.yx[0], columns - found.disc.yx[1]) / found.disc.radius
    mask = np.isin(found.label, (code, CROSSING)) & (away > RINGS["B"][0] - 1) & (away < RINGS["B"][1] + 1)
    vessels = mask.astype(np.float32) if found.binary else np.where(mask, found.probability[2], 0).astype(np.float32)
    half = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    lines = graph(mask)
    return lines, [calibre(vessels, line, half_widths=half, binary=found.binary) for line in lines.lines]


def crossing_calibres(found: Found, lines: Graph, widths: list[Values], radius: float) -> list[float]:
    """Calibres, working px, of the lines that cross the circle of a radius around the disc."""
    calibres = []
    for line, width in zip(lines.lines, widths, strict=True):
        away = np.hypot(*(line.points - np.array(found.disc.yx)).T) - radius
        for at in np.nonzero(np.diff(np.sign(away)) != 0)[0]:
            near = width[max(0, at - 5) : at + 7]
            if np.isfinite(near).any():
                calibres.append(float(np.nanmedian(near)))
            elif np.isfinite(width).any():
                calibres.append(float(np.nanmedian(width)))
    return calibres


def _why(found: Found, zone: str, count: int) -> str:
    """Why a zone has no number, or nothing."""
    if zone != "whole" and not found.disc.found:
        return found.disc.reason
    return "" if count else NO_MASK


def _units(one: Measure, found: Found) -> Iterator[Measure]:
    """A length in px of the picture and in um; other numbers as they are."""
    if one.unit != "px":
        yield one
        return
    value = one.value * found.px
    yield Measure(one.name, one.kind, one.zone, value, "px", one.reason)
    reason = one.reason or ("" if found.um else NO_SCALE)
    yield Measure(one.name, one.kind, one.zone, value * (found.um or float("nan")), "um", reason)
