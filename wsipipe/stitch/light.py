"""How fields are lit: a smooth map of brightness (vignetting), found from the fields themselves.

Enters: small pictures of all fields and where they lie. Leaves: a `Light`. Next room: `wsipipe.stitch.compose` divides
by it.

The same ground seen at two places of the field tells how these two places are lit, whatever lies there: tissue or
glass. So the map is fitted to the logarithms of what fields show where they overlap, as a polynomial of the place in
the field, with a brightness of each field beside it. At 10 % overlap the middle of the field is seen once only; there
the median over all fields has a small say. Where the overlaps do not get more alike by it, it is left out: fields
that were lit evenly stay as they are to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
ORDER = 4
"""Of the polynomial: cos^4 over a field is one of order 4 to a thousandth."""
LEAST_GAIN = 0.03
"""Share of the overlaps' variance that a map must explain."""
LEAST_RANGE = 0.01
"""And the least brightness between its ends, natural logarithm."""
LEAST_FIELDS = 4
MEDIAN_WEIGHT = 0.02
EXPOSURE_KEEP = 0.02
"""How firmly exposures are held at 0, against the overlaps."""
CELL_PX = 8
"""Side of the cells that are compared, reduced pixels."""
DARK = 4.0
"""Grey levels that are added before the logarithm."""


@dataclass(frozen=True)
class Light:
    """The brightness of every place of a field and of every field.

    Parameters
    ----------
    terms : (K, C) float
        Of the polynomial's terms for each channel; all zero where fields are lit evenly.
    exposure : (N, C) float
        Logarithm of each field's brightness.
    said : str
        In a line, what was found.
    """

    terms: F64
    exposure: F64
    said: str

    @property
    def even(self) -> bool:
        """Whether nothing is to be corrected."""
        return not self.terms.any() and not self.exposure.any()

    def factors(self, field: int, y: F64, x: F64, shape: tuple[int, int]) -> NDArray[np.float32]:
        """What pixels are multiplied by.

        Parameters
        ----------
        y, x : (H,), (W,) float
            Rows and columns of the field, pixels.

        Returns
        -------
        (H, W, C) float32
        """
        v, u = (2 * y / (shape[0] - 1) - 1, 2 * x / (shape[1] - 1) - 1)
        rows, columns = np.polynomial.legendre.legvander(v, ORDER), np.polynomial.legendre.legvander(u, ORDER)
        log = np.zeros((len(y), len(x), self.terms.shape[1]))
        for (i, j), term in zip(_powers(), self.terms, strict=True):
            log += (rows[:, i, None] * columns[None, :, j])[..., None] * term
        return np.asarray(np.exp(-(log + self.exposure[field])), np.float32)


def even(count: int, channels: int, said: str = "not asked for") -> Light:
    """No correction."""
    return Light(np.zeros((len(_powers()), channels)), np.zeros((count, channels)), said)


def estimate(
    small: Sequence[NDArray[np.integer]],
    overlaps: Iterable[tuple[int, int, tuple[int, int]]],
    *,
    exposures: bool = True,
) -> Light:
    """Find how fields are lit.

    Parameters
    ----------
    small : sequence of (h, w, C) integers
        All fields, reduced by area means; asked for one by one, so they need not be in memory together.
    overlaps : iterable of (a, b, (dy, dx))
        Pairs that were placed, and the shift of the second's corner in pixels of the reduced fields.
    exposures : bool
        Whether fields may differ in brightness as a whole.

    Returns
    -------
    Light
        Even where there are fewer than four fields, no overlaps, or nothing to be gained.
    """
    count, channels = len(small), small[0].shape[2]
    if count < LEAST_FIELDS:
        return even(count, channels, f"{count} fields tell too little: left as it is")
    parts = [part for one in overlaps if (part := _part(small, one, exposures=exposures)) is not None]
    if not parts:
        return even(count, channels, "no overlaps: left as it is")
    limit = 3 * float(np.median([np.median(part.off) for part in parts])) + 1e-3
    system = _System(count, channels)
    for part in parts:
        system.add(part, 1 / (1 + (part.off / limit) ** 2))
    system.flat(_median(small))
    terms, exposure = system.solved()
    before, after = system.variance(parts, terms, exposure, limit)
    return _judged(terms, exposure, before, after)


def _judged(terms: F64, exposure: F64, before: float, after: float) -> Light:
    """The map, or none where overlaps do not get more alike by it."""
    basis = _basis(np.linspace(-1, 1, 33), np.linspace(-1, 1, 33)).reshape(-1, len(terms))
    spread = float(np.ptp(basis @ terms, axis=0).max())
    between = float(np.ptp(exposure, axis=0).max())
    gain = 1 - after / before if before > 1e-12 else 0.0
    said = (
        f"brightness differs by {np.expm1(spread):.1%} over a field and by {np.expm1(between):.1%} between fields; "
        f"that explains {gain:.0%} of the overlaps' variance"
    )
    if gain < LEAST_GAIN or max(spread, between) < LEAST_RANGE:
        return even(len(exposure), terms.shape[1], f"{said}: left as it is")
    return Light(terms, exposure, said)


@dataclass(frozen=True)
class _Part:
    """What one overlap says: where its cells lie in either field, and how they differ."""

    a: int
    b: int
    terms: F64
    values: F64
    own: float

    @property
    def off(self) -> F64:
        return np.asarray(np.abs(self.values - np.median(self.values, axis=0)).mean(axis=1), float)


def _part(
    small: Sequence[NDArray[np.integer]], overlap: tuple[int, int, tuple[int, int]], *, exposures: bool
) -> _Part | None:
    """Logarithms of cell means where two fields lie over each other; None where that is less than a cell."""
    a, b, (dy, dx) = overlap
    first, second = small[a], small[b]
    height, width = first.shape[:2]
    high, wide = (height - abs(dy)) // CELL_PX, (width - abs(dx)) // CELL_PX
    if min(high, wide) < 1:
        return None
    corners = ((max(0, dy), max(0, dx)), (max(0, -dy), max(0, -dx)))
    logs, bases = [], []
    for field, (y, x) in zip((first, second), corners, strict=True):
        cut = field[y : y + high * CELL_PX, x : x + wide * CELL_PX].astype(np.float64)
        means = cut.reshape(high, CELL_PX, wide, CELL_PX, -1).mean(axis=(1, 3))
        logs.append(np.log(means + DARK).reshape(high * wide, -1))
        rows, columns = (np.arange(n) * CELL_PX + CELL_PX / 2 + at for n, at in ((high, y), (wide, x)))
        bases.append(_basis(2 * rows / height - 1, 2 * columns / width - 1).reshape(high * wide, -1))
    return _Part(a, b, bases[0] - bases[1], logs[0] - logs[1], float(exposures))


class _System:
    """Normal equations of terms and exposures, summed up overlap by overlap."""

    def __init__(self, count: int, channels: int) -> None:
        self.terms, self.count = len(_powers()), count
        size = self.terms + count
        self.normal, self.right, self.cells = np.zeros((size, size)), np.zeros((size, channels)), 0.0

    def add(self, part: _Part, weight: F64) -> None:
        own = np.tile([part.own, -part.own], (len(part.terms), 1))
        rows = np.concatenate([part.terms, own], axis=1)
        where = [*range(self.terms), self.terms + part.a, self.terms + part.b]
        self.normal[np.ix_(where, where)] += (rows * weight[:, None]).T @ rows
        self.right[where] += (rows * weight[:, None]).T @ part.values
        self.cells += float(weight.sum())

    def flat(self, median: F64) -> None:
        """The median field, which alone says something of the middle at small overlaps."""
        side = [np.arange(0.5, n) * 2 / n - 1 for n in median.shape[:2]]
        rows = _basis(*side).reshape(-1, self.terms)
        rows = rows - rows.mean(axis=0)
        values = median.reshape(len(rows), -1)
        weight = MEDIAN_WEIGHT * self.cells / len(rows) * min(1.0, self.count / 25)
        self.normal[: self.terms, : self.terms] += weight * rows.T @ rows
        self.right[: self.terms] += weight * rows.T @ (values - values.mean(axis=0))

    def solved(self) -> tuple[F64, F64]:
        """Terms and exposures; these sum to 0 and are held near it, so that a tilt of the light is not theirs."""
        keep = np.full(len(self.normal), 1e-6 * self.cells + 1e-9)
        keep[self.terms :] = EXPOSURE_KEEP * self.cells / self.count + 1e-9
        found = np.linalg.solve(self.normal + np.diag(keep), self.right)
        terms, exposure = np.split(np.asarray(found, np.float64), [self.terms])
        return terms, exposure - exposure.mean(axis=0)

    def variance(self, parts: Sequence[_Part], terms: F64, exposure: F64, limit: float) -> tuple[float, float]:
        """Mean square of the overlaps' differences before and after."""
        before = after = total = 0.0
        for part in parts:
            weight = (1 / (1 + (part.off / limit) ** 2))[:, None]
            left = part.values - part.terms @ terms - part.own * (exposure[part.a] - exposure[part.b])
            before, after = before + float((weight * part.values**2).sum()), after + float((weight * left**2).sum())
            total += float(weight.sum()) * part.values.shape[1]
        return before / total, after / total


def _median(small: Sequence[NDArray[np.integer]]) -> F64:
    """The median over all fields of their logarithms, each less its own median, in cells."""
    height, width = small[0].shape[:2]
    high, wide = max(1, height // CELL_PX), max(1, width // CELL_PX)
    logs: NDArray[np.float32] | None = None
    for index in range(len(small)):
        cut = small[index][: high * CELL_PX, : wide * CELL_PX].astype(np.float64)
        means = cut.reshape(high, cut.shape[0] // high, wide, cut.shape[1] // wide, -1).mean(axis=(1, 3))
        log = np.log(means + DARK)
        if logs is None:
            logs = np.empty((len(small), *log.shape), np.float32)
        logs[index] = log - np.median(log, axis=(0, 1))
    assert logs is not None
    return np.stack([np.median(logs[:, row], axis=0) for row in range(logs.shape[1])]).astype(np.float64)


def _powers() -> list[tuple[int, int]]:
    """Orders of the terms in y and x; the constant is the fields' own."""
    return [(i, j) for i in range(ORDER + 1) for j in range(ORDER + 1 - i) if i + j]


def _basis(v: F64, u: F64) -> F64:
    """``(len(v), len(u), K)``: Legendre polynomials at places from -1 to 1."""
    rows, columns = np.polynomial.legendre.legvander(v, ORDER), np.polynomial.legendre.legvander(u, ORDER)
    return np.stack([rows[:, i, None] * columns[None, :, j] for i, j in _powers()], axis=-1)
