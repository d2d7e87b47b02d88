"""Tiles of a retinal picture through the dual-branch network.

Enters: tiles at the working scale (`WORKING_FIELD_PX`). Leaves: per tile the probabilities of artery, vein and all
vessels, and on request the enhanced picture. Next: the probabilities are spliced, measured and drawn.
Source: US 12393838 B2; `wsipipe.models.dual_branch` says what the network is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.models.architecture import settings
from wsipipe.models.card import Card
from wsipipe.models.device import Execution, Options, execution, loaded
from wsipipe.models.retina_settings import DUAL_BRANCH, SIDE_MULTIPLE, DualBranchConfig
from wsipipe.models.weights import WeightsFile, find, load
from wsipipe.stage import RGB, Batch, Ref, Spec, Stage

if TYPE_CHECKING:
    import torch

    from wsipipe.models.dual_branch import DualBranch

WEIGHTS = "retina-av-v3"
"""The weights that ship."""
SCALES = (0.85, 1.3)
"""Sizes at which the shipped weights are asked once more whether a vessel is an artery or a vein."""
WORKING_FIELD_PX = 540.0
"""Width of the field of view, in pixels, at which networks are trained and run: DRIVE's."""


@dataclass(frozen=True)
class VesselNetwork:
    """How pictures are sent through which network; small and hashable, the network itself is loaded on first use.

    ``flips`` averages the answer with that of the picture mirrored left to right (two passes). ``scales`` averages the
    probabilities of artery and of vein, not that of a vessel, with those of the picture in other sizes (a pass each).
    """

    file: WeightsFile
    how: Execution
    batch: int = 1
    enhance: bool = False
    flips: bool = False
    scales: tuple[float, ...] = ()

    def module(self) -> DualBranch:
        """The network on its device, loaded once per process; without the enhancement decoder where not asked for."""
        return loaded((self.file.sha256, self.how, self.enhance), partial(_ready, self.file, self.how, self.enhance))


def segment(
    *,
    weights: str,
    sha256: str = "",
    batch: int = 1,
    halo: int = 192,
    enhance: bool = False,
    flips: bool = False,
    scales: Sequence[float] = (),
    **how: Unpack[Options],
) -> Stage:
    """Stage that runs the network over tiles.

    Parameters
    ----------
    weights : str
        Name or path of weights of a ``dual_branch``, or ``untrained[:SEED[:PRESET]]``.
    sha256 : str
        What the weights must hash to; empty accepts what is found.
    batch : int
        Tiles per forward pass, always filled (with black tiles where there are fewer).
    halo : int
        Pixels around a tile that the network sees besides it. Tiles of which side + 2 halo, and halo, are multiples
        of 32 see the same pixel lattice as the whole picture does. Measured with `retina-av-v2`: tiles differ from the
        whole picture by 0.06 at most with a halo of 128, 0.03 with 192, 0.02 with 256 (99.9 % of the pixels by 0.005).
    enhance : bool
        Also run the enhancement decoder.
    flips : bool
        Average with the answer for the mirrored picture.
    scales : sequence of float
        Other sizes, as factors, whose answers are averaged with it for artery against vein.
    **how
        ``device`` (auto where not given), ``dtype``, ``memory_format`` and ``threads``: see
        `wsipipe.models.device.execution`.

    Returns
    -------
    Stage
        Input ``rgb``. Outputs ``vessel`` (3, tile, tile) float32, 0 to 1: artery, vein, all vessels; with `enhance`
        also ``enhanced`` picture (tile, tile, 3) uint8.

    Raises
    ------
    WeightsError
        Where the weights cannot be used, or have no enhancement decoder and one is asked for.
    ConfigError
        Where an option's value is not allowed.
    """
    if batch < 1 or halo < 0:
        raise ConfigError(f"must be at least 1 and 0, got {batch} and {halo}: correct it", subject="batch, halo")
    network = vessel_network(
        weights, sha256=sha256, how=execution(**Options(device="auto") | how), batch=batch, enhance=enhance,
        flips=flips, scales=scales,
    )  # fmt: skip
    params = {
        "weights": weights, "batch": batch, "halo": halo, "enhance": enhance, "flips": flips,
        "scales": list(network.scales), **network.how.params(),
    }  # fmt: skip
    ref = Ref("wsipipe.vessel.network:segment", params, network.file.sha256)
    return Stage(ref, "segment", 1, (RGB,), outputs(enhance=enhance), partial(answer, network, halo), halo)


def vessel_network(
    weights: str, *, how: Execution, sha256: str = "", batch: int = 1, enhance: bool = False, flips: bool = False,
    scales: Sequence[float] = (),
) -> VesselNetwork:  # fmt: skip
    """Find and check weights; what `segment` runs.

    Raises
    ------
    WeightsError
        Where the weights cannot be used.
    ConfigError
        Where they have no enhancement decoder and one is asked for, or a scale is not above 0.
    """
    if not all(0.25 <= scale <= 4 for scale in scales):
        raise ConfigError(f"are factors from 0.25 to 4, got {list(scales)}: correct them", subject="scales")
    file = find(weights, DUAL_BRANCH).check(sha256)
    config = settings(file.card.architecture, "dual_branch", DualBranchConfig)
    if enhance and not config.enhancer:
        raise ConfigError(
            "an enhanced picture needs weights with an enhancement decoder, these are of the deployment network: "
            "give the trained network's weights, or leave it out",
            subject="enhance",
        )
    return VesselNetwork(file, how, batch, enhance, flips, tuple(scales))


def outputs(*, enhance: bool) -> tuple[Spec, ...]:
    """The arrays that `segment` declares."""
    made = (Spec("vessel", (3, None, None), about="probabilities of artery, vein and all vessels, 0 to 1"),)
    picture = Spec("enhanced", (None, None, 3), "uint8", "grey", scale=1, about="the enhancement decoder's picture")
    return (*made, picture) if enhance else made


def answer(network: VesselNetwork, halo: int, *, rgb: NDArray[np.uint8]) -> Batch:
    """Run tiles in full batches and crop the halo; see `segment` for what leaves.

    Parameters
    ----------
    network : VesselNetwork
    halo : int
    rgb : (N, height, width, 3) uint8
        With the halo on all sides. N may be 0.
    """
    height, width = (side - 2 * halo for side in rgb.shape[1:3])
    if min(height, width) < 1:
        raise ConfigError(
            f"tiles with a halo of {halo} are larger than twice that, got {rgb.shape[1:3]}", subject="halo"
        )
    made: Batch = {"vessel": np.zeros((len(rgb), 3, height, width), np.float32)}
    if network.enhance:
        made["enhanced"] = np.zeros((len(rgb), height, width, 3), np.uint8)
    inner = (slice(halo, halo + height), slice(halo, halo + width))
    for start in range(0, len(rgb), network.batch):
        rows = slice(start, min(start + network.batch, len(rgb)))
        vessel, enhanced = forward(network, rgb[rows])
        made["vessel"][rows] = vessel[:, :, *inner]
        if enhanced is not None:
            made["enhanced"][rows] = enhanced[:, *inner]
    return made


def predict(network: VesselNetwork, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities (3, height, width) float32 of one whole picture (height, width, 3) at the working scale."""
    return np.asarray(forward(network, picture[None])[0][0], np.float32)


def forward(network: VesselNetwork, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """Probabilities (n, 3, height, width) and, where asked for, enhanced pictures (n, height, width, 3) uint8.

    Parameters
    ----------
    network : VesselNetwork
    tiles : (n, height, width, 3) uint8
        At most a batch of them.
    """
    import torch

    from wsipipe.models.dual_branch import normalise

    full = np.zeros((max(network.batch, len(tiles)), *tiles.shape[1:]), np.uint8)
    full[: len(tiles)] = tiles
    module, n = network.module(), len(tiles)
    with network.how.inference():
        batch = normalise(torch.from_numpy(full).to(network.how.device), network.file.card)
        said = module(batch.contiguous(memory_format=network.how.layout()))
        vessel = said.logits.sigmoid()
        if network.flips:
            vessel = (vessel + module(batch.flip((3,))).logits.sigmoid().flip((3,))) / 2
        if network.scales:
            others = [_in_size(network, batch, scale)[:, :2] for scale in network.scales]
            vessel[:, :2] = torch.stack([vessel[:, :2], *others]).mean(dim=0)
        vessel = vessel[:n].float().cpu().numpy()
        if said.restored is None:
            return vessel, None
        return vessel, (said.restored[:n] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _in_size(network: VesselNetwork, batch: torch.Tensor, scale: float) -> torch.Tensor:
    """Probabilities of the pictures in another size (to the network's lattice), brought back to theirs."""
    from torch.nn.functional import interpolate

    own = (batch.shape[2], batch.shape[3])
    size = [max(1, round(side * scale / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in own]
    smaller = scale < 1
    shown = interpolate(batch, size=size, mode="bilinear" if smaller else "bicubic", antialias=smaller)
    said = network.module()(shown.contiguous(memory_format=network.how.layout())).logits.sigmoid().float()
    return interpolate(said, size=own, mode="bilinear", antialias=not smaller)


def _ready(file: WeightsFile, how: Execution, enhance: bool) -> DualBranch:
    from wsipipe.models.dual_branch import deployment, folded

    whole = load(file, _build)
    return how.placed(folded(whole if enhance else deployment(whole)))


def _build(card: Card) -> DualBranch:
    from wsipipe.models.dual_branch import DualBranch

    return DualBranch(settings(card.architecture, "dual_branch", DualBranchConfig))
