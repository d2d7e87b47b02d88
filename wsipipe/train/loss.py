"""The losses of the tile network and of the slide network.

Enters: what the networks say, and the truth. Leaves: one number to minimise, and its parts.
Next: `wsipipe.train.loop`.
Source: CN 112990339 A. Loss 1 is the soft Dice with squared denominators (Milletari et al., 2016), which
it prints as the loss and we use as 1 - D; loss 2 the Euclidean distance between true and predicted class
vectors, with cross-entropy as our alternative; weighted and added.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wsipipe.errors import ConfigError

CLASS_LOSSES = ("euclidean", "cross_entropy")


@dataclass(frozen=True)
class Weights:
    """How the parts are added: `dice` times (1 - D) plus `category` times the class loss called `kind`."""

    dice: float = 1.0
    category: float = 1.0
    kind: str = "euclidean"

    def __post_init__(self) -> None:
        if self.kind not in CLASS_LOSSES or min(self.dice, self.category) < 0:
            raise ConfigError(
                f"weights of 0 or more and a class loss of {', '.join(CLASS_LOSSES)} are needed, got {self.dice:g}, "
                f"{self.category:g} and {self.kind!r}: correct them",
                subject="loss",
            )


@dataclass(frozen=True)
class Parts:
    """A tile loss and what it is made of, before weighting."""

    total: Tensor
    dice: Tensor
    category: Tensor


def soft_dice(truth: Tensor, predicted: Tensor, *, keep: tuple[int, ...] = ()) -> Tensor:
    """D = 2 Σ p q / Σ (p² + q²), the soft Dice with squared denominators.

    Parameters
    ----------
    truth, predicted : floats of one shape
        p and q, 0 to 1. Leave pixels out of both sums by setting both to 0.
    keep : tuple of int
        Axes to give one value each for (such as ``(0,)``: per tile; ``(1,)``: per class); all others are
        summed over. Empty sums over everything, so tiles without lesion count through the batch they are in.

    Returns
    -------
    floats, of the shape of the kept axes
        0 to 1. 1 where both are all 0: they agree.
    """
    axes = tuple(axis for axis in range(truth.ndim) if axis not in keep)
    both = (truth * predicted).sum(dim=axes)
    squares = (truth.square() + predicted.square()).sum(dim=axes)
    empty = squares == 0
    return torch.where(
        empty, torch.ones_like(squares), 2 * both / torch.where(empty, torch.ones_like(squares), squares)
    )


def dice_loss(truth: Tensor, predicted: Tensor, *, keep: tuple[int, ...] = ()) -> Tensor:
    """Mean of 1 - D over the kept axes; 0 is best, 1 worst."""
    return (1 - soft_dice(truth, predicted, keep=keep)).mean()


def class_loss(truth: Tensor, logits: Tensor, *, kind: str = "euclidean") -> Tensor:
    """Mean over N of the distance between true and predicted classes.

    Parameters
    ----------
    truth : (N,) int64
        Index of the true class.
    logits : (N, C) floats
    kind : {"euclidean", "cross_entropy"}
        Length of (one-hot truth - probabilities), 0 to the square root of 2; or minus the logarithm of the
        true class's probability.
    """
    if kind == "cross_entropy":
        return F.cross_entropy(logits, truth)
    away = F.one_hot(truth, logits.shape[1]).to(logits.dtype) - logits.softmax(dim=1)
    length: Tensor = torch.linalg.vector_norm(away, dim=1)
    return length.mean()


def tile_loss(
    pixel_truth: Tensor, pixel_prob: Tensor, class_truth: Tensor, class_logits: Tensor, *, weights: Weights
) -> Parts:
    """The tile network's loss: weighted sum of 1 - D over pixels and of the class loss.

    Parameters
    ----------
    pixel_truth, pixel_prob : floats of one shape
        Truth and probabilities per pixel: (N, height, width) of being positive, or (N, 4, height, width)
        with one-hot truth; D is taken over all of it.
    class_truth : (N,) int64
    class_logits : (N, 4) floats
    weights : Weights
    """
    dice = dice_loss(pixel_truth, pixel_prob)
    category = class_loss(class_truth, class_logits, kind=weights.kind)
    return Parts(weights.dice * dice + weights.category * category, dice, category)
