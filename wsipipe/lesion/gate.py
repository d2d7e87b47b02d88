"""The gate: whether a slide is the kind of picture that a category may be given to.

Enters: what the kept tiles and the stain fit say of the slide, and where the training tiles' features
lie. Leaves: four measured values, and whether each passes. Next room: the pipeline gives no category
where one fails, and writes `reasons` instead; probabilities are kept. Not in the source: it assumes
gastric H&E in focus, a directory of slides does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.models.architecture import VNET
from wsipipe.models.card import FeatureStatistics
from wsipipe.models.weights import find, statistics
from wsipipe.stage import Batch, Ref, Spec, Stage

CHECKS = ("tissue", "stain", "focus", "features")
"""Order of ``gate_value`` and ``gate_passed``."""

TYPICAL = 0.25
"""Quantile of a slide's feature distances that the features check looks at. Every slide in scope has tissue that is not
lesion, which lies near the training tiles; tiles of lesions, and of two kinds of tissue, lie further out. So a slide
with much lesion differs from one out of scope in its lower quartile, not in its median."""
Float = NDArray[np.floating[Any]]

INPUTS = (
    Spec("tissue_share", (), scope="tiles", about="share of each kept tile that is tissue, 0 to 1"),
    Spec("focus", (), scope="tiles", about="focus measure of each kept tile"),
    Spec("features", (None,), scope="tiles", about="feature vector of each kept tile"),
    Spec(
        "stain_distance", (1,), unit="degree", scope="slide", about="angle to reference H&E; NaN: none could be fitted"
    ),
)
OUTPUTS = (
    Spec("gate_value", (4,), scope="slide", about=f"measured {', '.join(CHECKS)}; NaN: could not be measured"),
    Spec("gate_passed", (4,), "uint8", scope="slide", about=f"1 where {', '.join(CHECKS)} pass"),
)


@dataclass(frozen=True)
class Limits:
    """What a slide must keep to. None switches a check off: its value is still measured.

    Parameters
    ----------
    min_tiles : float or None
        Tissue, in areas of one tile: the kept tiles' tissue shares added.
    max_stain_angle : float or None
        Degrees between the slide's stain vectors and reference H&E.
    min_focus : float or None
        Median of the kept tiles' focus measure, in its unit.
    max_feature_distance : float or None
        Lower quartile of the kept tiles' `feature_distance`.
    """

    min_tiles: float | None = 4.0
    max_stain_angle: float | None = 25.0
    min_focus: float | None = None
    max_feature_distance: float | None = 3.0

    def bounds(self) -> tuple[tuple[float, float], ...]:
        """Least and greatest allowed value of each check."""
        low, high = -math.inf, math.inf
        return (
            (low if self.min_tiles is None else self.min_tiles, high),
            (low, high if self.max_stain_angle is None else self.max_stain_angle),
            (low if self.min_focus is None else self.min_focus, high),
            (low, high if self.max_feature_distance is None else self.max_feature_distance),
        )


def gate(
    *,
    weights: str,
    sha256: str = "",
    min_tiles: float | None = Limits.min_tiles,
    max_stain_angle: float | None = Limits.max_stain_angle,
    min_focus: float | None = Limits.min_focus,
    max_feature_distance: float | None = Limits.max_feature_distance,
) -> Stage:
    """Stage that measures a slide against the limits.

    Parameters
    ----------
    weights, sha256 : str
        Of the tile network: its file holds where the training tiles' features lie. Weights that say
        nothing of it (untrained ones) switch the features check off.
    min_tiles, max_stain_angle, min_focus, max_feature_distance : float or None
        See `Limits`.

    Returns
    -------
    Stage
        Inputs (kept tiles, N may be 0) ``tissue_share``, ``focus``, ``features``, and of the slide
        ``stain_distance``. Outputs ``gate_value`` (4,) float32 and ``gate_passed`` (4,) uint8.
    """
    limits = Limits(min_tiles, max_stain_angle, min_focus, max_feature_distance)
    file = find(weights, VNET).check(sha256)
    ref = Ref("wsipipe.lesion.gate:gate", {"weights": weights, **asdict(limits)}, file.sha256)
    return Stage(ref, "gate", 2, INPUTS, OUTPUTS, partial(measure, limits, statistics(file)))


def measure(
    limits: Limits,
    known: FeatureStatistics | None,
    *,
    tissue_share: Float,
    focus: Float,
    features: Float,
    stain_distance: Float,
) -> Batch:
    """Measure one slide; see `gate` for what enters and leaves.

    A value that could not be measured (NaN) passes only where its check is off: no limit, or, for
    features, nothing to compare with.
    """
    distance = math.nan if known is None else _quantile(feature_distance(features, known), TYPICAL)
    angle = float(stain_distance[0])
    value = np.array([np.sum(tissue_share, dtype=np.float64), angle, _quantile(focus, 0.5), distance], np.float32)
    low, high = np.array(limits.bounds(), np.float32).T
    off = np.isinf(low) & np.isinf(high)
    off[CHECKS.index("features")] |= known is None
    return {"gate_value": value, "gate_passed": (off | ((low <= value) & (value <= high))).astype(np.uint8)}


def reasons(value: Float, passed: NDArray[np.integer[Any]]) -> str:
    """Why no category may be given, for people; empty where every check passes.

    Parameters
    ----------
    value : (4,) floats
    passed : (4,) integers
        As `measure` gives them.
    """
    texts: Mapping[str, str] = {
        "tissue": "too little tissue ({:.3g} tile areas)",
        "stain": "stain far from H&E ({:.3g} degrees)",
        "focus": "out of focus (median focus {:.3g})",
        "features": "unlike the training slides (feature distance {:.3g})",
    }
    failed = [(name, float(number)) for name, number, good in zip(CHECKS, value, passed, strict=True) if not good]
    return "; ".join(
        f"{name} could not be measured" if math.isnan(number) else texts[name].format(number) for name, number in failed
    )


def feature_distance(features: Float, known: FeatureStatistics) -> NDArray[np.float64]:
    """Mahalanobis distance of feature vectors to the nearest class of the training tiles.

    Parameters
    ----------
    features : (N, D) floats
    known : FeatureStatistics

    Returns
    -------
    (N,) float64
        0 or more, divided by the square root of D: about 1 for a tile like those of the training.

    Notes
    -----
    One Gaussian per class with a shared covariance, after Lee et al., NeurIPS 2018.
    """
    away = features.astype(np.float64)[:, None] - known.means
    squared = np.einsum("ncd,de,nce->nc", away, known.precision, away).min(axis=1)
    return np.asarray(np.sqrt(np.maximum(squared, 0) / known.means.shape[1]), np.float64)


def fit_statistics(features: Float, classes: NDArray[np.integer[Any]], *, shrinkage: float = 0.05) -> FeatureStatistics:
    """Where the feature vectors of training tiles lie.

    Parameters
    ----------
    features : (N, D) floats
        N is 2 or more.
    classes : (N,) integers
        Class of each tile; each class that occurs gets a mean.
    shrinkage : float
        0 to 1: how far the covariance is drawn towards a multiple of the identity, so that directions in
        which the training tiles hardly differ do not decide alone.

    Returns
    -------
    FeatureStatistics
    """
    known, index = np.unique(classes, return_inverse=True)
    vectors = features.astype(np.float64)
    means = np.stack([vectors[classes == label].mean(axis=0) for label in known])
    away = vectors - means[index]
    covariance, size = away.T @ away / len(away), vectors.shape[1]
    level = max(float(np.trace(covariance)) / size, float(np.finfo(np.float32).eps))
    shrunk = (1 - shrinkage) * covariance + shrinkage * level * np.eye(size)
    return FeatureStatistics(means, np.linalg.inv(shrunk))


def _quantile(values: Float, share: float) -> float:
    """A quantile of the numbers that are no NaN; NaN where there is none."""
    finite = values[~np.isnan(values)].astype(np.float64)
    return float(np.quantile(finite, share)) if len(finite) else math.nan
