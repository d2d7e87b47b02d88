"""The top-k tiles of a slide: those with the highest target probability.

Enters: tile ids, target probabilities and feature vectors of all kept tiles. Leaves: the same of k of
them, in node order. Next: `wsipipe.graph.pearson` connects them.
Source: CN 112990339 A: the first k (5, 10, 15 or other) by descending target probability; as node order
also ascending and random. Ties, and slides with fewer tiles than k, are ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.stage import Batch, Ref, Spec, Stage

ORDERS = ("descending", "ascending", "random")

INPUTS = (
    Spec("tile_id", (), "int64", scope="tiles", about="id of each kept tile, ascending"),
    Spec("positive_sum", (), unit="px", scope="tiles", about="target probability of each kept tile"),
    Spec("features", (None,), scope="tiles", about="feature vector of each kept tile"),
)
OUTPUTS = (
    Spec("topk_id", (None,), "int64", scope="slide", fill=-1, about="ids of the top-k tiles in node order"),
    Spec("topk_sum", (None,), unit="px", scope="slide", about="their target probabilities"),
    Spec("topk_features", (None, None), scope="slide", about="their feature vectors"),
)


def topk(
    tile_id: NDArray[np.integer[Any]],
    positive_sum: NDArray[np.floating[Any]],
    k: int,
    *,
    order: str = "descending",
    seed: int = 0,
) -> NDArray[np.int64]:
    """Rows of the k tiles with the highest target probability.

    Parameters
    ----------
    tile_id : (N,) integers
        Each once; N may be 0.
    positive_sum : (N,) floats
        NaN counts as lowest.
    k : int
        At least 1.
    order : {"descending", "ascending", "random"}
        Order of the rows that are returned; which tiles they are does not depend on it.
    seed : int
        Of the random order, which depends on it and on the ids alone.

    Returns
    -------
    (min(k, N),) int64
        Row numbers. Ties go to the smaller id, in both orders.

    Raises
    ------
    ConfigError
        For a k below 1 or another order.
    """
    if k < 1 or order not in ORDERS:
        raise ConfigError(
            f"k of 1 or more and an order of {', '.join(ORDERS)} are needed, got {k} and {order!r}: correct them",
            subject="topk",
        )
    worth = np.nan_to_num(np.asarray(positive_sum, np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    best = np.lexsort((tile_id, -worth))[:k]
    if order == "ascending":
        return np.asarray(best[np.lexsort((tile_id[best], worth[best]))], np.int64)
    if order == "random":
        best = best[np.argsort(tile_id[best])]
        return np.asarray(np.random.default_rng(seed).permutation(best), np.int64)
    return np.asarray(best, np.int64)


def select(*, k: int = 10, order: str = "descending", seed: int = 0) -> Stage:
    """Stage that keeps the top k of all kept tiles.

    Parameters
    ----------
    k, order, seed
        As `topk` takes them.

    Returns
    -------
    Stage
        Inputs, of all kept tiles: ``tile_id`` (N,) int64, ``positive_sum`` (N,) and ``features`` (N, D)
        float32. Outputs, of the slide: ``topk_id``, ``topk_sum``, ``topk_features``, with min(k, N) rows.
    """
    topk(np.zeros(0, np.int64), np.zeros(0, np.float32), k, order=order)

    def fn(tile_id: NDArray[np.int64], positive_sum: NDArray[np.float32], features: NDArray[np.float32]) -> Batch:
        rows = topk(tile_id, positive_sum, k, order=order, seed=seed)
        return {"topk_id": tile_id[rows], "topk_sum": positive_sum[rows], "topk_features": features[rows]}

    ref = Ref("wsipipe.graph.topk:select", {"k": k, "order": order, "seed": seed})
    return Stage(ref, "select", 1, INPUTS, OUTPUTS, fn)
