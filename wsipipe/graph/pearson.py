"""The graph of a slide: two of its top-k tiles are connected where their feature vectors correlate.

Enters: feature vectors of the top-k tiles. Leaves: their correlations and the adjacency matrix.
Next: `wsipipe.graph.gcn` classifies the graph.
Source: CN 112990339 A prints "Pearson distance", calls it a similarity and connects where it is at least
the second threshold; we read it as the correlation r (1 - r would connect what is unlike).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.stage import Batch, Ref, Spec, Stage

INPUTS = (Spec("topk_features", (None, None), scope="slide", about="feature vectors of the top-k tiles"),)
OUTPUTS = (
    Spec("correlation", (None, None), scope="slide", about="Pearson's r, -1 to 1; NaN: a constant vector has none"),
    Spec("adjacency", (None, None), "uint8", scope="slide", about="1: connected; symmetric, diagonal 0"),
    Spec("topk_constant", (None,), "uint8", scope="slide", about="1: the tile's vector has no correlation"),
)


def correlation(features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Pearson's correlation of every two rows.

    Parameters
    ----------
    features : (N, D) floats
        N may be 0. Magnitudes below about 1e150.

    Returns
    -------
    (N, N) float64
        Exactly symmetric, -1 to 1, and exactly 1 for two equal rows. NaN in row and column of a vector
        that is constant (up to rounding of the variance to 0) or holds NaN or infinity.

    Notes
    -----
    O(N² D) without BLAS, whose sums may depend on where a row stands: a threshold must not.
    """
    rows = np.asarray(features, np.float64)
    usable = varies(rows)
    centred = np.where(usable[:, None], rows, 0.0)
    centred = centred - centred.mean(axis=1, keepdims=True) if rows.shape[1] else centred
    products = np.stack([(centred * row).sum(axis=1) for row in centred]) if len(rows) else np.zeros((0, 0))
    square = np.diagonal(products)
    scale = np.sqrt(square[:, None] * square)
    found = (scale > 0) & usable[:, None] & usable
    r = np.divide(products, scale, out=np.full_like(products, np.nan), where=found)
    return np.asarray(np.clip(r, -1.0, 1.0), np.float64)


def varies(features: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which rows are finite and not constant, so that they may have a correlation: (N,) bool."""
    if features.shape[1] == 0:
        return np.zeros(len(features), bool)
    finite = np.isfinite(features).all(axis=1)
    return np.asarray(finite & (features != features[:, :1]).any(axis=1), bool)


def adjacency(r: NDArray[np.floating[Any]], threshold: float) -> NDArray[np.uint8]:
    """Which nodes are connected.

    Parameters
    ----------
    r : (N, N) floats
        As `correlation` gives them.
    threshold : float
        Two different nodes are connected where ``r >= threshold``; NaN connects to nothing.

    Returns
    -------
    (N, N) uint8
        0 on the diagonal.
    """
    connected = np.asarray(r >= threshold, np.uint8)
    np.fill_diagonal(connected, 0)
    return connected


def connect(*, threshold: float = 0.7) -> Stage:
    """Stage that connects the top-k tiles.

    Parameters
    ----------
    threshold : float
        The second threshold, -1 to 1; equality connects.

    Returns
    -------
    Stage
        Input ``topk_features`` (n, D). Outputs ``correlation`` (n, n) float32, ``adjacency`` (n, n)
        uint8 (decided on float64, before rounding), ``topk_constant`` (n,) uint8.

    Raises
    ------
    ConfigError
        For a threshold outside -1 to 1.
    """
    if not -1 <= threshold <= 1:
        raise ConfigError(
            f"a correlation threshold from -1 to 1 is needed, got {threshold:g}: correct it", subject="threshold"
        )
    ref = Ref("wsipipe.graph.pearson:connect", {"threshold": threshold})
    return Stage(ref, "connect", 1, INPUTS, OUTPUTS, partial(_connected, threshold))


def _connected(threshold: float, *, topk_features: NDArray[np.float32]) -> Batch:
    r = correlation(topk_features)
    alone = np.isnan(np.diagonal(r)).astype(np.uint8)
    return {"correlation": r.astype(np.float32), "adjacency": adjacency(r, threshold), "topk_constant": alone}
