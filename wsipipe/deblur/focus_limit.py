"""A limit of the focus measure that comes from data: pairs of sharp and blurred pictures.

Enters: measures of sharp pictures and of blurred ones (`wsipipe.deblur.sharpness`, tissue only). Leaves: the limit
that tells them apart best, and how well. Next: `wsipipe.train.deblur_limits` writes it into the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsipipe.errors import ConfigError


@dataclass(frozen=True, slots=True)
class FocusLimit:
    """Below `limit` a tile is blurred; the shares of blurred tiles found and of sharp ones passed, and how many."""

    limit: float
    found: float
    passed: float
    sharp: int
    blurred: int


def fit_limit(sharp: Sequence[float], blurred: Sequence[float]) -> FocusLimit:
    """The limit with the highest sum of both shares (Youden's index), half way between its neighbours.

    Parameters
    ----------
    sharp, blurred : sequences of float
        Measures; NaN (no tissue) is left out.

    Raises
    ------
    ConfigError
        Where either has no measure.
    """
    good, bad = (np.sort(np.asarray(one, np.float64)[np.isfinite(one)]) for one in (sharp, blurred))
    if not len(good) or not len(bad):
        raise ConfigError(
            f"fitting the focus limit: sharp and blurred pictures with tissue are needed, got {len(good)} and "
            f"{len(bad)}: give pictures that show tissue",
            subject="focus",
        )
    every = np.unique(np.concatenate([good, bad]))
    edges = np.concatenate([every[:1] - 1e-6, (every[1:] + every[:-1]) / 2, every[-1:] + 1e-6])
    found = np.searchsorted(bad, edges) / len(bad)
    passed = 1 - np.searchsorted(good, edges) / len(good)
    best = int(np.argmax(found + passed))
    return FocusLimit(float(edges[best]), float(found[best]), float(passed[best]), len(good), len(bad))
