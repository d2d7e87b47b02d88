"""What the dual-branch network is trained on: batches drawn on the device, and its total loss.

Enters: a network, a source of patches. Leaves: losses of a step. Next: `wsipipe.train.retina_loop`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsipipe.models.card import Card
from wsipipe.models.device import Execution
from wsipipe.models.dual_branch import DualBranch
from wsipipe.train.retina_config import RetinaLossSection
from wsipipe.train.retina_data import Source
from wsipipe.train.retina_loss import Weights, dual_loss


@dataclass(frozen=True)
class Before:
    """A trained network whose enhanced picture is what the next one sees (enhance-then-segment)."""

    network: DualBranch
    card: Card


@dataclass
class RetinaTask:
    """A training of the dual-branch network (`wsipipe.train.retina_loop.StepTask`)."""

    module: DualBranch
    card: Card
    source: Source
    weights: Weights
    how: Execution
    before: Before | None = None

    def loss(self, step: int, share: float) -> dict[str, Tensor]:
        """Total loss and its parts of a step's batch."""
        patches = self.source.batch(step, share)
        with torch.autocast(self.how.device, torch.bfloat16, enabled=self.how.dtype == "bfloat16"):
            poor = patches.poor if self.before is None else enhanced(self.before, patches.poor)
            x = standard(poor, self.card).contiguous(memory_format=self.how.layout())
            return dual_loss(self.module, x, patches.truth, self.weights)


def standard(light: Tensor, card: Card) -> Tensor:
    """Pictures (N, 3, height, width) in shares of white as the network takes them."""
    mean, std = (light.new_tensor(values).view(1, 3, 1, 1) for values in (card.mean, card.std))
    return (light - mean) / std


@torch.no_grad()
def enhanced(before: Before, light: Tensor) -> Tensor:
    """The first network's enhanced pictures, in shares of white."""
    maps = before.network.encoder(standard(light, before.card))
    if before.network.enhancement is None:
        return light
    made: Tensor = before.network.enhancement(maps)
    return made


def weights_of(loss: RetinaLossSection) -> Weights:
    """The configuration's weights as the loss takes them."""
    return Weights(
        segment=loss.segment, rec=loss.rec, ssim=loss.ssim, mask=loss.mask,
        mu=(loss.artery, loss.vein, loss.vessel), first=loss.first, positive=loss.positive,
        separate=loss.separate,
        constants=loss.constants, window=loss.window, mask_by=loss.mask_by,
    )  # fmt: skip
