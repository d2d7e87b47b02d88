"""Positions and rotations of all fields at once, from what their edges measured; bad edges found on the way.

Enters: edges with their windows, and where fields are said to be. Leaves: a `Solution`. Next rooms:
`wsipipe.stitch.light`, `wsipipe.stitch.compose`.

A point seen by two fields is one point of the slide: with a field's middle ``c``, a small turn ``t``, a point ``p``
from its middle and a lens that bends all fields alike by ``k``, ``c_a + p_a + t_a J p_a + k |p_a|^2 p_a`` is the same
for ``b``. That is linear, and is solved by weighted least squares. Windows that contradict the others are found by
their weight under Geman and McClure's loss, whose scale is lowered step by step (graduated non-convexity; Yang et al.,
IEEE RA-L 5(2), 2020), so that a start which is far off does not matter. What no edge says is said, with a thousandth
of the weight, by the stage model: the affine map of the said displacements to the measured ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import networkx
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from wsipipe.stitch.refine import Windows

F64 = NDArray[np.float64]
STAGE_WEIGHT = 1e-3
TURN_SIGMA = np.deg2rad(0.2)
"""Turns of fields are taken to be about this large."""
WINDOW_PX, POLISH = 1.0, 3
"""Residual at which a window of a good edge counts a quarter, and how often that is weighed at the end."""
SURE_NCC = 0.6
"""Of the only window of an edge that nothing else checks."""
FAIR_NCC, BEST_NCC = 0.97, 1.02
"""Correlation of a window that weighs 1; and the one that would weigh without end, so that perfect ones do not."""
LEAST_WEIGHT = 1e-4
SCALES_PX = (256.0, 64.0, 16.0, 6.0, 3.0)
"""Residuals that are believed, step by step."""
BEND_PX, BEND_GAIN, LEAST_EDGES = 0.7, 0.7, 4
"""A lens is taken to bend where corners move by so much, residuals fall to this share, and so many edges say so."""
MAD = 1.4826


@dataclass(frozen=True)
class Edge:
    """Two fields that may overlap, and what was measured of them.

    Parameters
    ----------
    a, b : int
        Fields.
    windows : Windows
        Empty where nothing was found.
    ncc, score : float
        Of the search, see `wsipipe.stitch.register.Match`.
    found : bool
        Whether the search passed the permutation test.
    """

    a: int
    b: int
    windows: Windows
    ncc: float = float("nan")
    score: float = 0.0
    found: bool = True

    @property
    def usable(self) -> bool:
        """Whether it says anything."""
        return self.found and len(self.windows) > 0


@dataclass(frozen=True)
class Solution:
    """Where fields are.

    Parameters
    ----------
    middle : (N, 2) float
        Of each field, ``y, x`` in pixels; the mean of all corners' frame is free and starts near the said one.
    turn : (N,) float
        Radians; positive turns the y axis towards x.
    bend : float
        Of the lens, per square pixel; 0 where none was shown.
    residual : (E,) float
        Median over an edge's windows, pixels; NaN where the edge said nothing.
    kept : (E,) bool
        Edges that the positions rest on.
    checked : (E,) bool
        Edges in a loop, which the others could contradict.
    anchored : (N,) bool
        Fields that an edge holds; the others are where the stage model has them.
    """

    middle: F64
    turn: F64
    bend: float
    residual: F64
    kept: NDArray[np.bool_]
    checked: NDArray[np.bool_]
    anchored: NDArray[np.bool_]
    stage: F64 = field(default_factory=lambda: np.eye(2))


def solve(
    said: F64, shape: tuple[int, int], edges: Sequence[Edge], *, turns: bool = True, lens: bool = True,
    most_px: float = 3.0,
) -> Solution:  # fmt: skip
    """Solve for all fields.

    Parameters
    ----------
    said : (N, 2) float
        Corners, ``y, x`` pixels.
    shape : (int, int)
        Of the fields.
    edges : sequence of Edge
        All pairs that may overlap, those that found nothing too: along them the stage model holds fields together.
    turns : bool
        Whether fields may be turned against each other.
    lens : bool
        Whether all fields may be bent alike.
    most_px : float
        Residual over which an edge in a loop is bad (or over five times the others' spread, if that is more).
    """
    use = np.array([edge.usable for edge in edges], bool)
    stage = stage_model(said, edges, use)
    use &= _plausible(said, edges, stage, shape, use)
    system = _System((said - said.mean(axis=0)) @ stage.T, shape, edges, turns=turns)
    bent = lens and _is_bent(system, use)
    guess, weight = Guess(system.prior, np.zeros(len(said)), 0.0), system.even(use)
    for scale in SCALES_PX:
        guess = system.solved(weight, turns=turns and scale < 32, bent=bent)
        weight = system.believed(guess, use, scale)
    residual, checked = system.residuals(guess), _in_loops(edges, use)
    spread = MAD * float(np.median(residual[use])) if use.any() else 0.0
    kept = use & ~(checked & (residual > max(most_px, 5 * spread)))
    kept &= ~(checked & ~_in_loops(edges, kept) & (residual > most_px))
    for _ in range(POLISH):
        guess = system.solved(system.believed(guess, kept, max(WINDOW_PX, 3 * spread)), turns=turns, bent=bent)
    residual = np.where(use, system.residuals(guess), np.nan)
    anchored = _anchored(len(said), edges, kept)
    return Solution(guess.middle, guess.turn, guess.bend, residual, kept, checked, anchored, stage)


def stage_model(said: F64, edges: Sequence[Edge], use: NDArray[np.bool_]) -> F64:
    """The 2 x 2 map from said to measured displacements, by iterated weights (least absolute deviations).

    Pulled weakly towards the identity, so that a direction in which nothing was measured stays as said.
    """
    told = np.array([said[edge.b] - said[edge.a] for edge, ok in zip(edges, use, strict=True) if ok]).reshape(-1, 2)
    seen = np.array([shift_of(edge) for edge, ok in zip(edges, use, strict=True) if ok]).reshape(-1, 2)
    ridge = 1e-3 * max(1.0, float((told**2).sum()) / max(1, len(told)))
    weight = np.ones(len(told))
    found = np.eye(2)
    for _ in range(20):
        normal = (told * weight[:, None]).T @ told + ridge * np.eye(2)
        found = np.linalg.solve(normal, (told * weight[:, None]).T @ seen + ridge * np.eye(2)).T
        weight = 1 / np.maximum(1.0, np.abs(seen - told @ found.T).sum(axis=1))
    return np.asarray(found, float)


def shift_of(edge: Edge) -> F64:
    """The second field's corner from the first's: the median over the windows."""
    return np.asarray(np.median(edge.windows.shift, axis=0), float)


def loops(
    cells: Sequence[tuple[int, int] | None], edges: Sequence[Edge], solution: Solution, shape: tuple[int, int]
) -> list[tuple[tuple[int, int], float]]:
    """How far each square of four neighbours fails to close.

    The shifts of the four edges are those that were measured, each on its own; of the solution only the turns and the
    lens's bend are used, which say where a window's shift lies between the middles.

    Parameters
    ----------
    cells : sequence of (int, int)
        Row and column of each field.

    Returns
    -------
    list of ((row, column), float)
        Upper left cell, and the length of the sum of the four shifts, pixels; only squares whose edges all say
        something.
    """
    at = {cell: index for index, cell in enumerate(cells) if cell is not None}
    half = (np.array(shape) - 1) / 2
    shifts: dict[tuple[int, int], F64] = {}
    for edge in (edge for edge in edges if edge.usable):
        p = turned(bowed(edge.windows.at - half, solution.bend), solution.turn[edge.a])
        q = turned(bowed(edge.windows.at - edge.windows.shift - half, solution.bend), solution.turn[edge.b])
        shifts[edge.a, edge.b] = np.average(p - q, axis=0, weights=edge.windows.ncc)
        shifts[edge.b, edge.a] = -shifts[edge.a, edge.b]
    found = []
    for row, column in sorted(at):
        corners = [at.get((row + dy, column + dx), -1) for dy, dx in ((0, 0), (0, 1), (1, 1), (1, 0))]
        round_ = list(zip(corners, [*corners[1:], corners[0]], strict=True))
        if all(pair in shifts for pair in round_):
            gap = np.sum([shifts[pair] for pair in round_], axis=0)
            found.append(((row, column), float(np.hypot(gap[0], gap[1]))))
    return found


def _plausible(
    said: F64, edges: Sequence[Edge], stage: F64, shape: tuple[int, int], use: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Edges that no loop checks must fit well, and not lie far from what the stage does elsewhere; few edges say
    nothing of that.
    """
    checked = _in_loops(edges, use)
    sure = np.array([len(e.windows) > 1 or (len(e.windows) == 1 and e.windows.ncc[0] >= SURE_NCC) for e in edges], bool)
    off = np.full(len(edges), np.nan)
    for index in np.flatnonzero(use).tolist():
        edge = edges[index]
        off[index] = np.abs(shift_of(edge) - stage @ (said[edge.b] - said[edge.a])).max()
    if use.sum() < 5:
        return np.asarray(checked | sure, bool)
    limit = 0.05 * max(shape) + 6 * MAD * float(np.nanmedian(off))
    return np.asarray(checked | (sure & ~(off > limit)), bool)


@dataclass(frozen=True)
class Guess:
    """Middles, turns and the lens's bend."""

    middle: F64
    turn: F64
    bend: float


class _System:
    """All equations; unknowns are ``y0, x0, y1, x1, ...``, then turns, then the bend."""

    def __init__(self, prior: F64, shape: tuple[int, int], edges: Sequence[Edge], *, turns: bool) -> None:
        self.prior, self.edges, self.turns, self.count = prior, edges, turns, len(prior)
        self.half = (np.array(shape) - 1) / 2
        self.corner = float(np.hypot(*self.half))

    def solved(self, weight: Sequence[F64], *, turns: bool, bent: bool) -> Guess:
        """Least squares for given weights of all edges' windows."""
        rows = _Rows()
        for edge, own in zip(self.edges, weight, strict=True):
            self._stage(rows, edge)
            self._windows(rows, edge, own, turns=turns, bent=bent)
        self._anchor(rows)
        matrix, right = rows.system(3 * self.count + 1)
        found = scipy.sparse.linalg.spsolve((matrix.T @ matrix).tocsc(), matrix.T @ right)
        n = self.count
        return Guess(found[: 2 * n].reshape(n, 2), found[2 * n : 3 * n], float(found[-1]) / self.corner**3)

    def _windows(self, rows: _Rows, edge: Edge, weight: F64, *, turns: bool, bent: bool) -> None:
        """Two equations a window."""
        seen, n = edge.windows, self.count
        for at, shift, w in zip(seen.at, seen.shift, np.sqrt(weight), strict=True):
            if w < LEAST_WEIGHT:
                continue
            p, q = at - self.half, at - shift - self.half
            bow = (p * (p @ p) - q * (q @ q)) / self.corner**3
            for axis, sign in ((0, 1.0), (1, -1.0)):
                columns, values = [2 * edge.a + axis, 2 * edge.b + axis], [1.0, -1.0]
                if turns:
                    columns += [2 * n + edge.a, 2 * n + edge.b]
                    values += [sign * p[1 - axis], -sign * q[1 - axis]]
                if bent:
                    columns, values = [*columns, 3 * n], [*values, bow[axis]]
                rows.add(columns, values, float(q[axis] - p[axis]), float(w))

    def _stage(self, rows: _Rows, edge: Edge) -> None:
        for axis in (0, 1):
            step = float(self.prior[edge.b, axis] - self.prior[edge.a, axis])
            rows.add([2 * edge.b + axis, 2 * edge.a + axis], [1.0, -1.0], step, STAGE_WEIGHT)

    def _anchor(self, rows: _Rows) -> None:
        """Without it the whole could lie anywhere and be turned anyhow."""
        for index in range(self.count):
            for axis in (0, 1):
                rows.add([2 * index + axis], [1.0], float(self.prior[index, axis]), 1e-6)
            rows.add([2 * self.count + index], [1.0], 0.0, 0.3 / TURN_SIGMA)
        rows.add([3 * self.count], [1.0], 0.0, 1e-3)

    def even(self, use: NDArray[np.bool_]) -> list[F64]:
        """Weights before anything is known: an edge counts as much whatever the number of its windows.

        A window that fits better counts more, as what does not fit (1 - ncc) is noise, which moves what it measures.
        """
        shares = [_say(edge.windows.ncc) for edge in self.edges]
        return [share * bool(ok) for share, ok in zip(shares, use, strict=True)]

    def believed(self, guess: Guess, use: NDArray[np.bool_], scale: float) -> list[F64]:
        """Weights of windows that lie so far from where a guess has them, by Geman and McClure."""
        return [
            share / (1 + (gap / scale) ** 2) ** 2 for share, gap in zip(self.even(use), self.gaps(guess), strict=True)
        ]

    def gaps(self, guess: Guess) -> list[F64]:
        """How far apart the two sights of each window are, pixels."""
        found = []
        for edge in self.edges:
            p = edge.windows.at - self.half
            q = edge.windows.at - edge.windows.shift - self.half
            first = guess.middle[edge.a] + turned(bowed(p, guess.bend), guess.turn[edge.a])
            second = guess.middle[edge.b] + turned(bowed(q, guess.bend), guess.turn[edge.b])
            found.append(np.sqrt(((first - second) ** 2).sum(axis=1)))
        return found

    def residuals(self, guess: Guess) -> F64:
        """Median over an edge's windows; NaN where there are none."""
        return np.array([np.median(gap) if len(gap) else np.nan for gap in self.gaps(guess)])


def _say(ncc: F64) -> F64:
    """Weights of an edge's windows."""
    return np.asarray(ncc**2 / ncc.sum().clip(1) * (BEST_NCC - FAIR_NCC) / (BEST_NCC - ncc), np.float64)


class _Rows:
    """Equations as they are written down."""

    def __init__(self) -> None:
        self.row: list[int] = []
        self.column: list[int] = []
        self.value: list[float] = []
        self.right: list[float] = []

    def add(self, columns: Sequence[int], values: Sequence[float], right: float, weight: float) -> None:
        self.row += [len(self.right)] * len(columns)
        self.column += columns
        self.value += [weight * value for value in values]
        self.right.append(weight * right)

    def system(self, size: int) -> tuple[scipy.sparse.csr_matrix, F64]:
        shape = (len(self.right), size)
        return scipy.sparse.csr_matrix((self.value, (self.row, self.column)), shape=shape), np.array(self.right)


def _is_bent(system: _System, use: NDArray[np.bool_]) -> bool:
    """Whether the lens bends: corners move by more than `BEND_PX`, and the edges agree far better with it."""
    if use.sum() < LEAST_EDGES:
        return False
    weight = system.even(use)
    flat = system.solved(weight, turns=system.turns, bent=False)
    bent = system.solved(weight, turns=system.turns, bent=True)
    before, after = (float(np.median(system.residuals(one)[use])) for one in (flat, bent))
    return abs(bent.bend) * system.corner**3 > BEND_PX and after < BEND_GAIN * before


def bowed(points: F64, bend: float) -> F64:
    """Points ``(K, 2)`` from the middle of a field, as they would be without the lens's bend: ``p + k |p|^2 p``."""
    return np.asarray(points * (1 + bend * (points**2).sum(axis=1, keepdims=True)), float)


def turned(points: F64, turn: float) -> F64:
    """Points ``(K, 2)`` as ``y, x`` turned by a small angle, to first order: ``y + t x, x - t y``."""
    return points + turn * np.stack([points[:, 1], -points[:, 0]], axis=1)


def _in_loops(edges: Sequence[Edge], use: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Edges without which their ends are still joined: those that are no bridges."""
    graph = networkx.Graph([(edge.a, edge.b) for edge, ok in zip(edges, use, strict=True) if ok])
    bridges = {frozenset(pair) for pair in networkx.bridges(graph)}
    pairs = (frozenset((edge.a, edge.b)) for edge in edges)
    return np.array([bool(ok) and pair not in bridges for pair, ok in zip(pairs, use, strict=True)], bool)


def _anchored(count: int, edges: Sequence[Edge], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found = np.zeros(count, bool)
    for edge, ok in zip(edges, kept, strict=True):
        if ok:
            found[[edge.a, edge.b]] = True
    return found
