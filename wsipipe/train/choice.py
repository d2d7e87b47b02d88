"""Which tiles of a slide are learnt from.

Enters: the class of every kept tile. Leaves: rows. Next: `wsipipe.train.cut`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def choose(classes: Sequence[int | None], most: int, *, seed: int) -> NDArray[np.int64]:
    """At most `most` rows, classes as even as the slide allows, ascending.

    Parameters
    ----------
    classes : sequence of int or None
        Class of each kept tile; None is never chosen.
    most : int
        Rows wanted. Severe classes choose first; what one cannot fill goes to the milder ones.
    seed : int
        Of the draw within a class.
    """
    label = np.array([-1 if value is None else value for value in classes], np.int64)
    rng = np.random.default_rng(seed)
    kinds = sorted(set(label[label >= 0].tolist()), reverse=True)
    taken: list[int] = []
    for number, kind in enumerate(kinds):
        rows = np.flatnonzero(label == kind)
        share = -(-(most - len(taken)) // (len(kinds) - number))
        taken += rng.permutation(rows)[:share].tolist()
    return np.sort(np.array(taken, np.int64))


def balanced(label: NDArray[np.integer[Any]], balance: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """An epoch's order: as many rows as there are, rare classes more often.

    Parameters
    ----------
    label : (N,) integers
        Class of each row.
    balance : float
        0: every row once. 1: every class as often. Between: a class counts with its number to the power 1 - balance.
    rng : numpy.random.Generator

    Returns
    -------
    (N,) int64
        A row of a rare class comes again only when all rows of the class have come.
    """
    kinds, counts = np.unique(label, return_counts=True)
    share = counts ** (1.0 - balance)
    edges = np.rint(np.cumsum(share / share.sum()) * len(label)).astype(np.int64)
    found = []
    for kind, wanted in zip(kinds, np.diff(edges, prepend=0).tolist(), strict=True):
        rows = np.flatnonzero(label == kind)
        rounds = [rng.permutation(rows) for _ in range(-(-wanted // len(rows)))]
        found.append(np.concatenate([*rounds, rows[:0]])[:wanted])
    return rng.permutation(np.concatenate([*found, np.zeros(0, np.int64)]))
