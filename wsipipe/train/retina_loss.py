"""The four losses of the dual-branch network, as US 12393838 B2 prints them, and which parts they teach.

Enters: what the network says, the truth, the clean picture. Leaves: one number to minimise, and its parts. Next:
`wsipipe.train.retina_task`.

Intensities are in shares of white (0 to 1) everywhere but inside `ssim`, whose constants are printed for 0 to 255. On
0 to 255 the restoration term would swamp the rest. D1 learns from the cross-entropy alone, D2 from the enhancement
losses, the encoder from all: in the mask loss D1 takes part as a frozen copy (`frozen`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from wsipipe.errors import ConfigError
from wsipipe.models.dual_branch import DualBranch

MU = (0.3, 0.3, 0.4)
"""Weights of arteries, veins and all vessels in the cross-entropy."""
CONSTANTS = {"printed": (0.01 * 255**2, 0.03 * 255**2), "usual": ((0.01 * 255) ** 2, (0.03 * 255) ** 2)}
"""C1 and C2 of the similarity: as the source prints them, and as Wang et al. (2004) do."""
MASKS = ("frozen", "detached")


@dataclass(frozen=True)
class Weights:
    """How the parts are added.

    ``rec``, ``ssim``, ``mask`` are λ1, λ2, λ3; λ3 is missing in our copy of the source, so 0.4 is assumed. ``first`` is
    the weight of the answer before refinement. ``positive`` multiplies the positive term of the all-vessels
    channel: 1 is the source, more finds more vessels. ``segment`` 0 leaves the cross-entropy out (the first stage of
    enhance-then-segment). ``separate`` is ours: the weight of `separation_loss`, 0 in the source.
    """

    segment: float = 1.0
    rec: float = 0.2
    ssim: float = 0.4
    mask: float = 0.4
    mu: tuple[float, float, float] = MU
    first: float = 0.5
    positive: float = 1.0
    separate: float = 0.0
    constants: str = "printed"
    window: int = 0
    mask_by: str = "frozen"

    def __post_init__(self) -> None:
        known = self.constants in CONSTANTS and self.mask_by in MASKS
        if (
            not known
            or min(self.segment, self.rec, self.ssim, self.mask, self.first, self.positive, self.separate, *self.mu) < 0
        ):
            raise ConfigError(
                f"weights of 0 or more, constants of {', '.join(CONSTANTS)} and a mask loss by {' or '.join(MASKS)} "
                f"are needed, got {self}: correct them",
                subject="loss",
            )

    @property
    def enhances(self) -> bool:
        """Whether any enhancement loss is asked for."""
        return max(self.rec, self.ssim, self.mask) > 0


@dataclass(frozen=True)
class Truth:
    """A batch's truth.

    Attributes
    ----------
    label : (N, 3, height, width) floats
        L: shares of artery, vein, all vessels, 0 to 1.
    counts : (N, 3, height, width) floats
        1 where a channel's truth is known: crossings are no truth for arteries and veins.
    clean : (N, 3, height, width) floats
        y: the clean picture, 0 to 1.
    """

    label: Tensor
    counts: Tensor
    clean: Tensor


def bce_loss(
    logits: Tensor, label: Tensor, counts: Tensor, *, mu: Sequence[float] = MU, positive: float = 1.0
) -> Tensor:
    """L_BCE = - Σ_c μ_c mean(L_c log p_c + (1 - L_c) log(1 - p_c)) over the pixels that count.

    Parameters
    ----------
    logits, label, counts : (N, 3, height, width)
        Logits of artery, vein, all vessels; their truth, 0 to 1; 1 where it is known.
    mu : 3 floats
        The printed sum runs over the channels; that both terms of the binary form are meant is our reading.
    positive : float
        Factor of the positive term of the third channel.
    """
    factor = logits.new_tensor((1.0, 1.0, positive)).view(1, 3, 1, 1)
    each = F.binary_cross_entropy_with_logits(logits, label, pos_weight=factor, reduction="none")
    mean = (each * counts).sum(dim=(0, 2, 3)) / counts.sum(dim=(0, 2, 3)).clamp_min(1)
    total: Tensor = (mean * logits.new_tensor(tuple(mu))).sum()
    return total


def separation_loss(logits: Tensor, label: Tensor, counts: Tensor) -> Tensor:
    """Cross-entropy of artery against vein over the pixels that are one of them (ours).

    L_BCE is a mean over all pixels, most of which are no vessel. Here only vessels count, and which they are.

    Parameters
    ----------
    logits, label, counts : (N, 3, height, width)
        As `bce_loss` takes them; the artery's logit less the vein's is the logit of an artery.
    """
    known = (label[:, :2].sum(dim=1) >= 0.5).to(logits.dtype) * counts[:, 0]
    share = label[:, 0] / label[:, :2].sum(dim=1).clamp_min(1e-6)
    each = F.binary_cross_entropy_with_logits(logits[:, 0] - logits[:, 1], share, reduction="none")
    total: Tensor = (each * known).sum() / known.sum().clamp_min(1)
    return total


def rec_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """L_rec = |D2(E(x)) - y|₁, the mean over pixels and channels, of pictures in shares of white."""
    return F.l1_loss(restored, clean)


def ssim(a: Tensor, b: Tensor, *, constants: str = "printed", window: int = 0) -> Tensor:
    """Structural similarity of pictures, mean over pictures and channels; 1 for equal ones.

    Parameters
    ----------
    a, b : (N, 3, height, width) floats
        Shares of white; the formula is computed on 0 to 255.
    constants : {"printed", "usual"}
        See `CONSTANTS`.
    window : int
        0 takes mean, variance and covariance of the whole patch, as printed; otherwise of the squares of that odd side
        around each pixel (a flat window, borders left out), and the mean over pixels.
    """
    first, second = CONSTANTS[constants]
    a, b = a.float() * 255, b.float() * 255

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, window, 1) if window else values.mean(dim=(2, 3), keepdim=True)

    # about the pictures' own means, so that float32 keeps the variances
    centre = (a.mean(dim=(2, 3), keepdim=True) + b.mean(dim=(2, 3), keepdim=True)).detach() / 2
    da, db = a - centre, b - centre
    ma, mb = mean(da), mean(db)
    va, vb, both = mean(da.square()) - ma.square(), mean(db.square()) - mb.square(), mean(da * db) - ma * mb
    ma, mb = ma + centre, mb + centre
    made = (2 * ma * mb + first) * (2 * both + second)
    return (made / ((ma.square() + mb.square() + first) * (va + vb + second))).mean()


def ssim_loss(restored: Tensor, clean: Tensor, *, constants: str = "printed", window: int = 0) -> Tensor:
    """L_ssim = -SSIM(D2(E(x)), y); -1 is best."""
    return -ssim(restored, clean, constants=constants, window=window)


def mask_loss(vessel: Tensor, label: Tensor, restored: Tensor, clean: Tensor) -> Tensor:
    """L_mask = (1 / |L|) Σ over vessel pixels of |M1 - M2|₁, M1 = D1(E(x)) ⊙ D2(E(x)), M2 = L ⊙ y.

    Parameters
    ----------
    vessel, label : (N, 1, height, width)
        The all-vessels channel: probability (by the frozen or detached D1) and truth, 0 to 1.
    restored, clean : (N, 3, height, width)
        Shares of white.

    Returns
    -------
    () float
        The mean over true vessel pixels (truth of at least one half) and the three channels; 0 without any.
    """
    inside = (label >= 0.5).to(restored.dtype)
    away = ((vessel * restored - label * clean).abs() * inside).sum()
    return away / (3 * inside.sum()).clamp_min(1)


def frozen(module: nn.Module, maps: Sequence[Tensor]) -> Tensor:
    """What D1 says of the encoder's maps, with its parameters as constants: gradients reach the maps only.

    Batch norms work as they do in D1 (on the batch's statistics while training) on copies of their running
    statistics, so that those are counted once.
    """
    fixed = {name: value.detach() for name, value in module.named_parameters()}
    fixed |= {name: value.clone() for name, value in module.named_buffers()}
    last: Tensor = functional_call(module, fixed, (list(maps),))[0]
    return last


def dual_loss(network: DualBranch, x: Tensor, truth: Truth, weights: Weights) -> dict[str, Tensor]:
    """Total = L_BCE + λ1 L_rec + λ2 L_ssim + λ3 L_mask of one batch, and its parts before weighting.

    Parameters
    ----------
    network : DualBranch
        With an enhancement decoder where any enhancement loss has a weight.
    x : (N, 3, height, width) floats
        Normalised poor pictures; sides are multiples of 32.
    truth : Truth
    weights : Weights
    """
    maps = network.encoder(x)
    parts: dict[str, Tensor] = {}
    total = x.new_zeros(())
    last = None
    if weights.segment:
        last, first = network.segmentation(maps)
        parts["bce"] = _segmentation(last, first, truth, weights)
        total = total + weights.segment * parts["bce"]
        if weights.separate:
            early, late = (separation_loss(one, truth.label, truth.counts) for one in (first, last))
            parts["separate"] = (late + early) / 2
            total = total + weights.separate * parts["separate"]
    if weights.enhances and network.enhancement is not None:
        restored = network.enhancement(maps)
        parts |= _enhancement(network, maps, restored, last, truth, weights)
        for name in ("rec", "ssim", "mask"):
            if name in parts:
                total = total + getattr(weights, name) * parts[name]
    return {"loss": total, **parts}


def _segmentation(last: Tensor, first: Tensor, truth: Truth, weights: Weights) -> Tensor:
    said = bce_loss(last, truth.label, truth.counts, mu=weights.mu, positive=weights.positive)
    if first is last or not weights.first:
        return said
    early = bce_loss(first, truth.label, truth.counts, mu=weights.mu, positive=weights.positive)
    return (said + weights.first * early) / (1 + weights.first)


def _enhancement(
    network: DualBranch, maps: Sequence[Tensor], restored: Tensor, last: Tensor | None, truth: Truth, weights: Weights
) -> dict[str, Tensor]:
    parts: dict[str, Tensor] = {}
    if weights.rec:
        parts["rec"] = rec_loss(restored, truth.clean)
    if weights.ssim:
        parts["ssim"] = ssim_loss(restored, truth.clean, constants=weights.constants, window=weights.window)
    if weights.mask and last is not None:
        said = frozen(network.segmentation, maps) if weights.mask_by == "frozen" else last.detach()
        parts["mask"] = mask_loss(said[:, 2:].sigmoid(), truth.label[:, 2:], restored, truth.clean)
    return parts
