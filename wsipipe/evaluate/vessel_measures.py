"""How exact the vessel measures are, on made fundus pictures whose trees are known.

Enters: seeds. Leaves: tables. Truth is the tree: centre lines and calibres as they were grown, not the label.

What is measured is the exact coverage of the pixels by vessels, standing for a perfect probability map, and the label,
a mask; so the errors are those of the measuring, not of a network. Calibre: every measured point of a centre line
against the nearest point of the tree. Tortuosity: every measured centre line whose ends lie on one segment of the tree
against that piece of it. Fractal dimension: of the skeleton against that of the exact centre lines, boxes alike; and of
drawn trees that repeat themselves (Vicsek's cross) against log 5 / log 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from wsipipe.evaluate.interval import mean
from wsipipe.evaluate.table import Table
from wsipipe.phantom.fundus import Fundus, make_fundus
from wsipipe.phantom.fundus_paint import coverage
from wsipipe.phantom.fundus_render import noise
from wsipipe.vessel import disc, field_of_view, fractal, topology
from wsipipe.vessel import label as labels
from wsipipe.vessel.calibre import calibre
from wsipipe.vessel.equivalent import FACTORS, equivalent
from wsipipe.vessel.measure import RINGS, Found, measures, tortuosity
from wsipipe.vessel.skeleton import Graph, graph

Map = NDArray[np.float32]
Points = NDArray[np.float64]

SWAPPED = (0.05, 0.10, 0.20)
"""Shares of the vessels whose arteries and veins are swapped, in patches of about 14 px, for the topology repair."""
PATCH_PX = 14.0
VICSEK_DEPTH, VICSEK_PX = 4, 1600
NEAR_PX = 1.5
"""A measured point farther from every centre line of the tree has no truth (two vessels in one mask)."""


@dataclass(frozen=True)
class Errors:
    """Of one picture: errors of calibre in px (one per point), of tortuosity in shares (one per line), and shares."""

    calibre: Points
    covered: float
    tortuosity: Points
    fractal: float
    field: float
    disc: float
    crae: float
    crve: float


def exact_map(made: Fundus) -> Map:
    """Arteries, veins and all vessels as shares of each pixel that they cover, (3, height, width) float32."""
    size = made.label.shape[0], made.label.shape[1]
    each = [coverage([part for part in made.tree if part.kind == kind], size) * made.field for kind in (1, 2)]
    return np.stack([*each, np.maximum(*each)]).astype(np.float32)


def label_map(made: Fundus) -> Map:
    """The same from the label: 0 or 1."""
    artery, vein = np.isin(made.label, (1, 3)), np.isin(made.label, (2, 3))
    return np.stack([artery, vein, artery | vein]).astype(np.float32)


def errors(made: Fundus, probability: Map, *, binary: bool) -> Errors:
    """Measure a made picture and compare with its tree."""
    view = field_of_view.find(made.picture)
    label = labels.from_probability(probability, inside=made.field)
    lines = graph(label > 0)
    kinds = topology.repair(probability, label, lines).kinds
    place = disc.find(made.picture, view, label > 0)
    found = Found(probability, label, lines, kinds, view, place, binary=binary)
    width, covered = _calibre(made, found)
    rows = {(row.name, row.unit): row.value for row in measures(found)[0] if row.zone == "B"}
    true = {name: true_equivalent(made, code) for name, code in (("crae", labels.ARTERY), ("crve", labels.VEIN))}
    away = np.hypot(place.yx[0] - made.disc[0], place.yx[1] - made.disc[1]) / made.disc[2]
    overlap = float((view.mask & made.field).sum() / (view.mask | made.field).sum())
    dimension = fractal.dimension(np.argwhere(lines.skeleton()).astype(np.float64), box_sides=_sides(made))
    return Errors(
        width, covered, _tortuosity(made, lines),
        dimension / fractal.dimension(true_points(made), box_sides=_sides(made)) - 1, overlap, float(away),
        rows[("crae", "px")] / true["crae"] - 1, rows[("crve", "px")] / true["crve"] - 1,
    )  # fmt: skip


def true_points(made: Fundus) -> Points:
    """Dense points of all exact centre lines that lie in the field of view."""
    dense = np.concatenate([_dense(part.points, 8) for part in made.tree])
    at = np.rint(dense).astype(int)
    inside = (at >= 0).all(1) & (at < made.field.shape).all(1)
    inside[inside] = made.field[at[inside, 0], at[inside, 1]]
    return np.asarray(dense[inside], np.float64)


def true_equivalent(made: Fundus, code: int) -> float:
    """CRAE or CRVE of the tree, px: calibres on five circles of zone B, as `wsipipe.vessel.measure` has it."""
    low, high = RINGS["B"]
    found = []
    for radius in made.disc[2] * np.linspace(low, high, 7)[1:-1]:
        crossing: list[float] = []
        for part in made.tree:
            away = np.hypot(*(part.points - np.array(made.disc[:2])).T) - radius
            at = np.nonzero(np.diff(np.sign(away)) != 0)[0]
            inside = [i for i in at if _in_field(made, part.points[i])]
            crossing += part.calibre[inside].tolist() if part.kind == code else []
        found.append(equivalent(crossing, FACTORS[code]))
    return float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")


def vicsek(depth: int, side: int, turned_deg: float) -> tuple[NDArray[np.bool_], float, float]:
    """A drawn tree that repeats itself five times at a third of its size, its dimension log 5 / log 3, its least arm.

    The arm, in px, is the scale below which it does not repeat itself but is made of straight lines.
    """
    centres, arm = np.zeros((1, 2)), 1.0
    for _ in range(depth):
        arm /= 3
        steps = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * arm
        centres = (centres[:, None] + steps).reshape(-1, 2)
    angle = np.radians(turned_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    canvas = np.zeros((side, side), np.uint8)
    for direction in ([1, 0], [0, 1]):
        ends = [(centres + sign * np.array(direction) * arm / 2) @ turn * side * 0.68 + side / 2 for sign in (-1, 1)]
        for first, second in zip(*(np.rint(end[:, ::-1] * 16).astype(int).tolist() for end in ends), strict=True):
            cv2.line(canvas, first, second, 1, 2, cv2.LINE_8, 4)
    return canvas > 0, float(np.log(5) / np.log(3)), arm * side * 0.68


def swapped(probability: Map, share: float, seed: int) -> Map:
    """The map with arteries and veins swapped in patches that cover about a share of the plane."""
    field = noise(np.random.default_rng([seed, 77]), probability.shape[1:], PATCH_PX)
    where = field > np.quantile(field, 1 - share)
    made = probability.copy()
    made[0], made[1] = np.where(where, probability[1], probability[0]), np.where(where, probability[0], probability[1])
    return made


def repaired(made: Fundus, share: float) -> tuple[float, float]:
    """Share of vessel pixels (crossings left out) of the right class, before and after the topology repair."""
    wrong = swapped(exact_map(made) * 0.9 + 0.02, share, made.seed)
    label = labels.from_probability(wrong, inside=made.field)
    after = topology.repair(wrong, label, graph(label > 0)).label
    counted = np.isin(made.label, (1, 2)) & np.isin(label, (1, 2))
    before, repaired_ = (float((one[counted] == made.label[counted]).mean()) for one in (label, after))
    return before, repaired_


def tables(seeds: Iterable[int]) -> list[Table]:
    """All tables, for made pictures of these seeds; about 3 s a picture."""
    pictures = [make_fundus(seed) for seed in seeds]
    return [_measures(pictures), _similar(), _topology(pictures)]


def _measures(pictures: list[Fundus]) -> Table:
    table = Table(
        f"Measures against the trees of {len(pictures)} made pictures: error [95 % over pictures]",
        ("measured on", "calibre, mean error px", "bias px", "within 0.5 px", "tortuosity, error of the mean %",
         "mean error of a line %", "fractal dimension, error %", "CRAE, error %", "CRVE, error %"),
    )  # fmt: skip
    kept = []
    for name, maker, binary in (("exact map", exact_map, False), ("label (mask)", label_map, True)):
        found = [errors(made, maker(made), binary=binary) for made in pictures]
        kept = found
        table.add(name, *_columns(found))
    table.notes += [
        f"field of view, overlap with the truth: {mean(np.array([one.field for one in kept]))}; "
        f"disc, distance from the truth over its radius: {mean(np.array([one.disc for one in kept]))}",
        f"points with a tree's centre line within {NEAR_PX} px: {mean(np.array([one.covered for one in kept]))}; "
        "bars: calibre within 0.5 px, tortuosity and fractal dimension within 2 %",
    ]
    return table


def _columns(found: list[Errors]) -> list[object]:
    each = [
        [float(np.abs(one.calibre).mean()) for one in found],
        [float(one.calibre.mean()) for one in found],
        [float((np.abs(one.calibre) <= 0.5).mean()) for one in found],
        [100 * float(np.mean(one.tortuosity)) for one in found],
        [100 * float(np.abs(one.tortuosity).mean()) for one in found],
        *([100 * getattr(one, name) for one in found] for name in ("fractal", "crae", "crve")),
    ]
    return [mean(np.array(values)) for values in each]


def _similar() -> Table:
    table = Table(
        "Fractal dimension of trees that repeat themselves", ("turned by, degrees", "true", "found", "error %")
    )
    for turned in (0.0, 10.0, 25.0, 40.0):
        mask, true, arm = vicsek(VICSEK_DEPTH, VICSEK_PX, turned)
        points = np.argwhere(graph(mask).skeleton()).astype(np.float64)
        found = fractal.dimension(points, box_sides=fractal.sides(float(np.ptp(points, axis=0).max()), smallest=arm))
        table.add(turned, true, found, 100 * (found / true - 1))
    return table


def _topology(pictures: list[Fundus]) -> Table:
    table = Table(
        "Topology repair: vessel pixels of the right class [95 % over pictures]",
        ("swapped, share of the plane", "without", "with"),
    )
    for share in SWAPPED:
        both = np.array([repaired(made, share) for made in pictures])
        table.add(share, mean(both[:, 0]), mean(both[:, 1]))
    table.notes.append(f"arteries and veins of an exact map swapped in patches of about {PATCH_PX:g} px")
    return table


def _calibre(made: Fundus, found: Found) -> tuple[Points, float]:
    """Errors of every measured point that has a truth, and the share that has."""
    vessels = found.probability[2]
    half = cv2.distanceTransform((found.label > 0).astype(np.uint8), cv2.DIST_L2, 5)
    points = np.concatenate([part.points for part in made.tree])
    true = np.concatenate([part.calibre for part in made.tree])
    tree, off, known = cKDTree(points), [], 0
    for line in found.graph.lines:
        width = calibre(vessels, line, half_widths=half, binary=found.binary)
        away, nearest = tree.query(line.points)
        measured = np.isfinite(width)
        good = measured & (away < NEAR_PX)
        known += int(measured.sum())
        off.append(width[good] - true[nearest[good]])
    joined = np.concatenate(off) if off else np.zeros(0)
    return joined, len(joined) / max(known, 1)


def _tortuosity(made: Fundus, lines: Graph) -> Points:
    """Relative errors of lines whose both ends lie on one segment of the tree."""
    dense = [_dense(part.points, 4) for part in made.tree]
    owner = np.repeat(np.arange(len(dense)), [len(one) for one in dense])
    start = np.concatenate([[0], np.cumsum([len(one) for one in dense])])
    tree, found = cKDTree(np.concatenate(dense)), []
    for line in lines.lines:
        if line.length < 10:
            continue
        away, at = tree.query(line.points[[0, -1]])
        if (away > NEAR_PX).any() or owner[at[0]] != owner[at[1]]:
            continue
        first, last = sorted((at - start[owner[at[0]]]).tolist())
        true = tortuosity(dense[owner[at[0]]][first : last + 1])
        found.append(tortuosity(line.points) / true - 1)
    clean = np.array(found)
    return np.asarray(clean[np.isfinite(clean)], np.float64)


def _dense(points: Points, times: int) -> Points:
    along = np.linspace(0, len(points) - 1, (len(points) - 1) * times + 1)
    return np.stack([np.interp(along, np.arange(len(points)), points[:, axis]) for axis in (0, 1)], 1)


def _sides(made: Fundus) -> Points:
    return fractal.sides(float(max(made.field.shape)))


def _in_field(made: Fundus, yx: Points) -> bool:
    y, x = (round(place) for place in yx.tolist())
    return bool(0 <= y < made.field.shape[0] and 0 <= x < made.field.shape[1] and made.field[y, x])
