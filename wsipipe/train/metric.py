"""How good a network is: agreement of masks and of classes, calibration.

Enters: truth and probabilities of a whole split. Leaves: numbers and small tables. Next: `wsipipe.train.report`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score, roc_curve

from wsipipe.models.card import CATEGORIES

Labels = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]
CLASSES = tuple(range(len(CATEGORIES)))


@dataclass
class Overlap:
    """Pixels counted over many tiles: what is true, what is said, and both, per category and for any lesion.

    Arrays have one entry per category, and a last one for any lesion.
    """

    both: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(CATEGORIES) + 1, np.int64))
    true: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(CATEGORIES) + 1, np.int64))
    said: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(CATEGORIES) + 1, np.int64))

    def add(self, truth: Labels, said: Labels, lesion: NDArray[np.bool_]) -> None:
        """Count pixels: true and said categories, and whether the pixel is called a lesion of any kind."""
        for kind in CLASSES:
            self._add(kind, truth == kind, said == kind)
        self._add(len(CATEGORIES), truth > 0, lesion)

    def dice(self) -> NDArray[np.float64]:
        """Dice of each category and of any lesion, over all pixels together; NaN where neither has any."""
        size = (self.true + self.said).astype(np.float64)
        return np.divide(2.0 * self.both, size, out=np.full(len(size), np.nan), where=size > 0)

    def _add(self, index: int, truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> None:
        self.both[index] += np.count_nonzero(truth & said)
        self.true[index] += np.count_nonzero(truth)
        self.said[index] += np.count_nonzero(said)


def dice(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    """Dice of one mask; NaN where both are empty."""
    size = np.count_nonzero(truth) + np.count_nonzero(said)
    return 2.0 * np.count_nonzero(truth & said) / size if size else float("nan")


def pooled_dice(counts: Labels) -> float:
    """Dice of (N, 3) pixel counts (both, true, said) taken together; for pixels the same as F1. NaN for none."""
    both, true, said = counts.sum(axis=0)
    return float(2 * both / (true + said)) if true + said else float("nan")


def counted_f1(counts: Labels) -> float:
    """Macro-F1 of a (4, 4) confusion, rows true: what `macro_f1` gives, cheap enough for thousands of resamples."""
    return float(np.mean(2 * np.diag(counts) / np.maximum(counts.sum(axis=0) + counts.sum(axis=1), 1)))


def confused(truth: Labels, said: Labels) -> NDArray[np.int64]:
    """(4, 4) counts of categories: rows are true, columns said."""
    size = len(CATEGORIES)
    return np.bincount(truth * size + said, minlength=size * size).reshape(size, size)


def macro_f1(truth: Labels, prob: Floats) -> float:
    """Mean over the four categories of the F1 of each; a category that is neither true nor said counts 0."""
    return float(f1_score(truth, prob.argmax(axis=1), labels=CLASSES, average="macro", zero_division=0.0))


def accuracy(truth: Labels, prob: Floats) -> float:
    """Share of examples whose largest probability is of their category."""
    return float((prob.argmax(axis=1) == truth).mean()) if len(truth) else float("nan")


def confusion(truth: Labels, prob: Floats) -> NDArray[np.int64]:
    """(4, 4): rows are true, columns said."""
    return np.asarray(confusion_matrix(truth, prob.argmax(axis=1), labels=CLASSES), np.int64)


def roc(truth: Labels, prob: Floats) -> dict[str, tuple[Floats, Floats, float]]:
    """False positive rate, true positive rate and area of each category against the rest.

    A category that has all examples or none is left out.
    """
    found = {}
    for kind, name in enumerate(CATEGORIES):
        is_kind = truth == kind
        if is_kind.any() and not is_kind.all():
            rate, hit, _ = roc_curve(is_kind, prob[:, kind])
            found[name] = (rate, hit, float(roc_auc_score(is_kind, prob[:, kind])))
    return found


@dataclass(frozen=True)
class Calibration:
    """Examples in equal steps of confidence: mean confidence, share right, number; NaN in empty steps; and the ECE."""

    confidence: NDArray[np.float64]
    right: NDArray[np.float64]
    count: NDArray[np.int64]
    ece: float


def calibration(truth: Labels, prob: Floats, *, steps: int = 10) -> Calibration:
    """Whether probabilities mean what they say.

    Notes
    -----
    Expected calibration error (Guo et al., 2017): mean over examples of the distance between the share right
    and the mean confidence of their step.
    """
    best, right = prob.max(axis=1).astype(np.float64), prob.argmax(axis=1) == truth
    step = np.minimum((best * steps).astype(np.int64), steps - 1)
    count = np.bincount(step, minlength=steps)
    some = np.where(count > 0, count, np.nan)
    confidence = np.bincount(step, best, minlength=steps) / some
    share = np.bincount(step, right.astype(np.float64), minlength=steps) / some
    ece = float(np.nansum(count * np.abs(confidence - share)) / max(1, len(truth)))
    return Calibration(confidence, share, count.astype(np.int64), ece)


def summary(truth: Labels, prob: Floats) -> dict[str, float]:
    """The numbers of a classification, by name."""
    areas = [area for _, _, area in roc(truth, prob).values()]
    log = -np.log(np.clip(prob[np.arange(len(truth)), truth].astype(np.float64), 1e-12, 1)).mean()
    return {
        "macro_f1": macro_f1(truth, prob),
        "accuracy": accuracy(truth, prob),
        "auc": float(np.mean(areas)) if areas else float("nan"),
        "ece": calibration(truth, prob).ece,
        "log_loss": float(log),
    }
