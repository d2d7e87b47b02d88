"""What the graph replaces: counting tiles per class and comparing each share with a threshold.

Enters: the tiles' class probabilities. Leaves: a slide's category. Next room: `wsipipe.report` compares.
Source: CN 112990339 A, background: the share of tiles of each class against hand-set thresholds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.models.card import CATEGORIES

LESIONS = len(CATEGORIES) - 1


def shares(class_prob: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Share of a slide's tiles in each class.

    Parameters
    ----------
    class_prob : (N, 4) floats
        Class probabilities of all kept tiles; a tile's class is its largest, ties to the less severe.

    Returns
    -------
    (4,) float64
        Sums to 1; all NaN for no tiles.
    """
    if len(class_prob) == 0:
        return np.full(len(CATEGORIES), np.nan)
    return np.bincount(class_prob.argmax(axis=1), minlength=len(CATEGORIES)) / len(class_prob)


def by_share(share: NDArray[np.floating[Any]], thresholds: NDArray[np.floating[Any]]) -> int | None:
    """The category by thresholds: the most severe lesion class whose share reaches its threshold.

    Parameters
    ----------
    share : (4,) floats
        As `shares` gives them.
    thresholds : (3,) floats
        Of ``low_grade``, ``high_grade`` and ``invasive``, 0 to 1; equality reaches.

    Returns
    -------
    int or None
        Index in ``CATEGORIES``; 0 where no threshold is reached, None for a slide without tiles.
    """
    if np.isnan(share).any():
        return None
    reached = np.flatnonzero(share[1:] >= thresholds)
    return int(reached[-1]) + 1 if len(reached) else 0


def fit_thresholds(
    share: NDArray[np.floating[Any]], category: NDArray[np.integer[Any]], *, sweeps: int = 3
) -> NDArray[np.float64]:
    """Thresholds that classify the given slides well.

    Parameters
    ----------
    share : (N, 4) floats
        Shares of N slides with tiles.
    category : (N,) integers
        Their true categories.
    sweeps : int
        Passes over the three thresholds.

    Returns
    -------
    (3,) float64
        From 1 downwards, the most severe first: each in turn takes the value with the most slides right
        while the others stay. Candidates lie midway between shares that occur, of equals the highest is
        taken, so a class that never occurs is never called on less than a whole slide.
    """
    limits = np.ones(LESIONS)
    for index in [*range(LESIONS - 1, -1, -1)] * sweeps:
        seen = np.unique(np.append(share[:, index + 1].astype(np.float64), 0.0))
        candidates = np.append((seen[1:] + seen[:-1]) / 2, 1.0)
        right = [_right(share, category, np.where(np.arange(LESIONS) == index, c, limits)) for c in candidates]
        limits[index] = candidates[len(right) - 1 - int(np.argmax(right[::-1]))]
    return limits


def _right(
    share: NDArray[np.floating[Any]], category: NDArray[np.integer[Any]], limits: NDArray[np.floating[Any]]
) -> int:
    called = np.where(share[:, 1:] >= limits, np.arange(1, LESIONS + 1), 0).max(axis=1)
    return int((called == category).sum())
