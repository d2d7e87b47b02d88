"""Topology repair: a vessel between two branch points is one artery or one vein.

Enters: probabilities of arteries and veins, and the graph of the vessel mask. Leaves: a class for every centre line
and a label in which each vessel has the class of its centre line. Next: `wsipipe.vessel.measure`.

Every centre line first has the evidence of its pixels: the mean log odds of artery against vein times its length.
Along the graph it then hears its neighbours (mean field of an Ising model, the usual relaxation): two ends that go on
straight through a node are most likely one vessel, the third of a branch is likely the same, and two lines that cross
say nothing of each other. What is said is bounded, so that a long vessel of clear evidence is not outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.vessel.label import ARTERY, CROSSING, VEIN, Label
from wsipipe.vessel.skeleton import Graph

Map = NDArray[np.float32]
Values = NDArray[np.float64]

STRAIGHT, BRANCH = 2.2, 1.1
"""What two ends that go on straight, and other ends of a branch, say to each other (log odds)."""
STRAIGHT_DEG = 40.0
"""Ends whose directions differ from a straight line by less go on."""
PER_PX = 0.12
"""Weight of a pixel of a centre line: neighbouring pixels are not independent."""
MOST = 6.0
"""Bound of a line's own evidence."""
ROUNDS = 30
KEPT = 255
TANGENT_PX = 8
"""Points from the node over which a line's direction there is taken."""


@dataclass(frozen=True)
class Repaired:
    """A repaired label.

    Attributes
    ----------
    label : array (height, width) of uint8
        0 background, 1 artery, 2 vein, 3 crossing.
    kinds : array (lines,) of int64
        1 or 2 for every centre line of the graph.
    changed : float
        Share of the centre lines' pixels whose class the repair changed.
    """

    label: Label
    kinds: NDArray[np.int64]
    changed: float


def repair(probability: Map, label: Label, graph: Graph) -> Repaired:
    """Give every centre line one class, and every vessel pixel that of its nearest line.

    Parameters
    ----------
    probability : array (3, height, width) of float32
        Arteries, veins, all vessels.
    label : array (height, width) of uint8
        As `wsipipe.vessel.label.from_probability` gives it: what is 0 stays 0, what is 3 stays 3.
    graph : Graph
        Of ``label > 0``.
    """
    own, straight_to = evidence(probability, graph), couplings(graph)
    belief = relaxed(own, straight_to)
    kinds = np.where(belief >= 0, ARTERY, VEIN).astype(np.int64)
    before = np.concatenate([label[line.pixels[:, 0], line.pixels[:, 1]] for line in graph.lines] or [label[:0, 0]])
    after = np.repeat(kinds, [len(line.pixels) for line in graph.lines]) if len(kinds) else kinds
    counted = before != CROSSING
    changed = float((before[counted] != after[counted]).mean()) if counted.any() else 0.0
    return Repaired(painted(label, graph, kinds), kinds, changed)


def evidence(probability: Map, graph: Graph) -> Values:
    """Log odds of artery against vein for every line, in units that are comparable with `STRAIGHT`."""
    artery, vein = np.clip(probability[:2], 0.02, 0.98)
    odds = np.log(artery / (1 - artery)) - np.log(vein / (1 - vein))
    sums = [odds[line.pixels[:, 0], line.pixels[:, 1]].sum() for line in graph.lines]
    return np.asarray(np.clip(np.array(sums, np.float64) * PER_PX, -MOST, MOST), np.float64)


def couplings(graph: Graph) -> list[tuple[int, int, float]]:
    """Pairs of lines that meet, and how strongly they are one class."""
    found = []
    for ends in graph.at().values():
        pairs = [(a, b, _straightness(graph, a, b)) for a, b in combinations(ends, 2) if a[0] != b[0]]
        pairs.sort(key=lambda pair: pair[2])
        if len(ends) >= 4:
            taken: set[tuple[int, int]] = set()
            for a, b, angle in pairs:
                if angle < STRAIGHT_DEG and not {a, b} & taken:
                    found.append((a[0], b[0], STRAIGHT))
                    taken |= {a, b}
        else:
            found += [(a[0], b[0], STRAIGHT if angle < STRAIGHT_DEG else BRANCH) for a, b, angle in pairs]
    return found


def relaxed(own: Values, pairs: list[tuple[int, int, float]]) -> Values:
    """Mean-field beliefs (positive is artery)."""
    belief = own.copy()
    if not pairs:
        return belief
    first, second = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    weight = np.array([pair[2] for pair in pairs])
    for _ in range(ROUNDS):
        mean, said = np.tanh(belief / 2), np.zeros_like(own)
        np.add.at(said, first, weight * mean[second])
        np.add.at(said, second, weight * mean[first])
        belief = 0.5 * belief + 0.5 * (own + said)
    return belief


def painted(label: Label, graph: Graph, kinds: NDArray[np.int64]) -> Label:
    """The label with every vessel pixel repainted whose nearest centre-line pixel got another class.

    Other pixels keep theirs: where an artery and a vein lie side by side in one mask there is one centre line for both.
    Crossings stay.
    """
    seeds = np.zeros(label.shape, np.uint8)
    for line, kind in zip(graph.lines, kinds.tolist(), strict=True):
        own = label[line.pixels[:, 0], line.pixels[:, 1]]
        other = (own != kind) & (own != CROSSING)
        seeds[line.pixels[:, 0], line.pixels[:, 1]] = np.where(other, kind, KEPT)
    if not seeds.any():
        return label.copy()
    _, nearest = cv2.distanceTransformWithLabels(
        (seeds == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(nearest.max()) + 1, np.uint8)
    table[nearest[seeds > 0]] = seeds[seeds > 0]
    said = table[nearest]
    repaint = (label > 0) & (label != CROSSING) & (said != KEPT)
    return np.where(repaint, said, label).astype(np.uint8)


def _straightness(graph: Graph, a: tuple[int, int], b: tuple[int, int]) -> float:
    """Degrees by which two ends at one node miss a straight line: 0 goes on straight, 180 turns back."""
    turn = float(np.dot(_tangent(graph, a), -_tangent(graph, b)))
    return float(np.degrees(np.arccos(np.clip(turn, -1, 1))))


def _tangent(graph: Graph, end: tuple[int, int]) -> Values:
    """Unit direction in which a line leaves a node."""
    points = graph.lines[end[0]].points
    points = points if end[1] == 0 else points[::-1]
    away = points[min(TANGENT_PX, len(points) - 1)] - (
        points[0] if len(points) > 2 else graph.nodes[graph.lines[end[0]].nodes[end[1]]]
    )
    return np.asarray(away / max(float(np.hypot(*away)), 1e-9), np.float64)
