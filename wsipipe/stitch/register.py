"""Where one field lies beside another: phase correlation on small pictures first, checked on the overlap itself.

Enters: two grey fields, reduced, and where the second is said to be. Leaves: a `Match`. Next rooms:
`wsipipe.stitch.refine` measures it at full scale, `wsipipe.stitch.solve` puts all together.

Two ways of finding a shift are tried: on the strip where the fields should overlap, and on the whole fields, whatever
was said (overlaps may be far from what was asked of the stage). The surface of a phase correlation is cyclic, so each
of its peaks stands for four shifts; every one is judged by the correlation of the pixels that it lays over each other,
as in Chalfoun et al., MIST (Scientific Reports 7:4988, 2017). What counts is Fisher's z of that correlation, times the
root of the number of independent pixels, so that a sliver which fits by chance does not win over a strip which fits
less well. Whether it is real is told by the same search on pictures that cannot fit (the second one turned), in the
manner of the permutation test of ASHLAR (Muhlich et al., Bioinformatics 38(19), 2022).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Shift = tuple[int, int]

PEAKS = 6
"""Peaks of a surface that are looked at."""
LEAST_SHARE, LEAST_PX = 0.03, 6
"""Least side of an overlap, as a share of the field's and in reduced pixels."""
GRAIN_PX = 12.0
"""Pixels of a band-passed picture that count as one independent one."""
FLAT = 1e-6


@dataclass(frozen=True, slots=True)
class Match:
    """A shift of the second field against the first, and how well it fits.

    Parameters
    ----------
    dy, dx : int
        Pixels of the pictures that were compared.
    ncc : float
        Correlation of the overlap, -1 to 1; NaN where there is nothing in it.
    score : float
        Fisher's z in its standard deviations; what the permutation test looks at.
    """

    dy: int
    dx: int
    ncc: float
    score: float


NOTHING = Match(0, 0, float("nan"), 0.0)


def band(grey: F32, *, fine_px: float = 0.8, coarse_px: float = 6.0) -> F32:
    """A picture without its light and its noise: the difference of two Gaussians.

    Parameters
    ----------
    grey : (H, W) float32
    fine_px, coarse_px : float
        Standard deviations.

    Notes
    -----
    Within `coarse_px` of the edge the result fades to 0: there the coarse mean sees one side only, and a slope of the
    light would leave a rim that is the same in all fields.
    """
    found = cv2.GaussianBlur(grey, (0, 0), fine_px) - cv2.GaussianBlur(grey, (0, 0), coarse_px)
    for axis, side in enumerate(grey.shape):
        near = np.minimum(np.arange(side), np.arange(side)[::-1])
        found *= np.expand_dims(np.minimum(1, near / coarse_px).astype(np.float32), 1 - axis)
    return np.asarray(found, np.float32)


def surface(first: F32, second: F32) -> F32:
    """Phase correlation: the inverse transform of the whitened cross spectrum, real, cyclic, of the same shape.

    Its largest value stands at the shift that moves `second` over `first`. A hundredth of the mean power keeps empty
    frequencies from being blown up.
    """
    shape = [scipy.fft.next_fast_len(side, real=True) for side in first.shape]
    cross = scipy.fft.rfft2(first, shape) * np.conj(scipy.fft.rfft2(second, shape))
    power = np.abs(cross)
    cross /= power + 0.01 * power.mean() + FLAT
    return np.asarray(scipy.fft.irfft2(cross, shape), np.float32)


def peaks(correlation: F32, count: int = PEAKS) -> list[Shift]:
    """Positions of the largest values that are not beside a larger one, as ``(y, x)`` of the cyclic surface."""
    left = cv2.GaussianBlur(correlation, (3, 3), 0.7, borderType=cv2.BORDER_REFLECT)
    found: list[Shift] = []
    for _ in range(count):
        y, x = divmod(int(left.argmax()), left.shape[1])
        found.append((y, x))
        left[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = -np.inf
    return found


def overlap(shape: tuple[int, int], dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where two fields of one shape lie over each other: slices of the first and of the second, empty where not."""
    height, width = shape
    rows, columns = max(0, height - abs(dy)), max(0, width - abs(dx))
    first = (slice(max(0, dy), max(0, dy) + rows), slice(max(0, dx), max(0, dx) + columns))
    second = (slice(max(0, -dy), max(0, -dy) + rows), slice(max(0, -dx), max(0, -dx) + columns))
    return first, second


def correlate(first: F32, second: F32) -> float:
    """Pearson's correlation of two pictures of one shape; NaN where one of them is flat."""
    a, b = first - first.mean(), second - second.mean()
    spread = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    return float(np.vdot(a, b)) / spread if spread > FLAT * a.size else float("nan")


def judge(first: F32, second: F32, shift: Shift) -> Match:
    """How well a shift fits, on what it lays over each other."""
    here, there = overlap(first.shape, *shift)
    a, b = first[here], second[there]
    least = [max(LEAST_PX, LEAST_SHARE * side) for side in first.shape]
    if a.shape[0] < least[0] or a.shape[1] < least[1]:
        return Match(*shift, float("nan"), 0.0)
    ncc = correlate(a, b)
    if not np.isfinite(ncc):
        return Match(*shift, ncc, 0.0)
    return Match(*shift, ncc, float(np.arctanh(min(ncc, 0.9999)) * np.sqrt(a.size / GRAIN_PX)))


def match_strip(first: F32, second: F32, expected: Shift, reach: int) -> Match:
    """The shift of the second field against the first that fits best near the expected one.

    Parameters
    ----------
    first, second : (H, W) float32
        Band-passed reduced fields, see `band`.
    expected : (int, int)
        Where the second's corner is said to be, seen from the first's.
    reach : int
        Pixels by which that may be wrong.

    Returns
    -------
    Match
        With a score of 0 where nothing could be compared.
    """
    cuts = [_cut(side, at, reach) for side, at in zip(first.shape, expected, strict=True)]
    a = first[cuts[0][0], cuts[1][0]]
    b = second[cuts[0][1], cuts[1][1]]
    if min(a.shape) < 2 * LEAST_PX:
        return NOTHING
    corner = (cuts[0][0].start - cuts[0][1].start, cuts[1][0].start - cuts[1][1].start)
    near = [s for s in _wrapped(surface(a, b), a.shape, corner) if _is_near(s, expected, 2 * reach)]
    return _best(first, second, near)


def match_whole(first: F32, second: F32) -> Match:
    """The shift that fits best of all, whatever was said; see `match_strip`."""
    return _best(first, second, _wrapped(surface(first, second), first.shape, (0, 0)))


def _cut(side: int, at: int, reach: int) -> tuple[slice, slice]:
    """One axis of the strip: what may overlap of the first and of the second, of one length."""
    length = max(0, min(side, side - abs(at) + reach))
    ahead, behind = slice(side - length, side), slice(0, length)
    return (ahead, behind) if at >= 0 else (behind, ahead)


def _is_near(shift: Shift, expected: Shift, reach: int) -> bool:
    return all(abs(a - b) <= reach for a, b in zip(shift, expected, strict=True))


def _wrapped(correlation: F32, shape: tuple[int, ...], corner: Shift) -> list[Shift]:
    """The four shifts that each peak may stand for, those with no overlap left out."""
    found = []
    for y, x in peaks(correlation):
        rows, columns = ((at, at - size) for at, size in zip((y, x), correlation.shape, strict=True))
        for dy, dx in product(rows, columns):
            if abs(dy) < shape[0] and abs(dx) < shape[1]:
                found.append((dy + corner[0], dx + corner[1]))
    return list(dict.fromkeys(found))


def _best(first: F32, second: F32, shifts: Iterable[Shift]) -> Match:
    return max((judge(first, second, shift) for shift in shifts), key=lambda found: found.score, default=NOTHING)


def stranger(second: F32, draw: int) -> F32:
    """A field that fits nowhere and keeps all else that it is: turned by half, or by a quarter where it is square.

    A field is turned and not mirrored: mirrored, a sliver at the edge of a field still fits itself.
    """
    quarters = (2, 1, 3)[draw % 3] if second.shape[0] == second.shape[1] else 2
    return np.ascontiguousarray(np.rot90(second, quarters))


def threshold(null: NDArray[np.floating], *, alpha: float) -> float:
    """The score that pictures which cannot fit pass with probability `alpha`, at least 4 and at least the largest seen
    where fewer than 1 / `alpha` were drawn.
    """
    if len(null) == 0:
        return 4.0
    level = float(null.max()) if len(null) < 1 / alpha else float(np.quantile(null, 1 - alpha))
    return max(4.0, level)
