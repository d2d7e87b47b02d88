"""Tiles through the segmentation-and-classification network.

Enters: stain-normalised tiles. Leaves: per tile the feature vector, class probabilities and target
probability (the sum of its pixels' positive probabilities), and the probability map as a picture.
Next rooms: `wsipipe.graph` (features, sums), `wsipipe.lesion.regions` (the map).
Source: CN 112990339 A, claims on the network and the target probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ConfigError
from wsipipe.lesion import pixel_map
from wsipipe.models.architecture import VNET, VNetConfig, settings
from wsipipe.models.card import CATEGORIES, Card
from wsipipe.models.device import Execution, Options, execution, loaded
from wsipipe.models.weights import WeightsFile, find, load
from wsipipe.stage import INSIDE, RGB, Batch, Ref, Spec, Stage

if TYPE_CHECKING:
    from wsipipe.models.vnet import VNet

POSITIVE = ("any", *CATEGORIES)
"""What a pixel's positive probability is: of any lesion (1 less negative), or of the category named."""


@dataclass(frozen=True)
class TileNetwork:
    """How tiles are sent through which network; small and hashable, the network itself is loaded on first use."""

    file: WeightsFile
    how: Execution
    batch: int
    positive: str
    map_scale: int

    def module(self) -> VNet:
        """The network on its device, loaded once per process."""
        return loaded((self.file.sha256, self.how), partial(_ready, self.file, self.how))


def tile_network(
    *, weights: str, sha256: str = "", batch: int = 4, positive: str = "any", map_scale: int = 4, **how: Unpack[Options]
) -> Stage:
    """Stage that runs the tile network over tiles.

    Parameters
    ----------
    weights : str
        Name or path of weights of a ``vnet``, or ``untrained[:SEED[:PRESET]]`` (see `find`).
    sha256 : str
        What the weights must hash to; empty accepts what is found.
    batch : int
        Tiles per forward pass. Always filled (with black tiles where there are fewer), so that a tile's
        result has the same bytes whichever tiles share its unit; another batch size may change last bits.
    positive : {"any", "negative", "low_grade", "high_grade", "invasive"}
        Whose probability is mapped and summed.
    map_scale : int
        Tile pixels along one pixel of the map.
    **how
        ``device``, ``dtype``, ``memory_format`` and ``threads`` (see `wsipipe.models.device.execution`).

    Returns
    -------
    Stage
        Inputs ``rgb``, ``inside``. Outputs ``features`` (D,) float32; ``class_prob`` (4,) float32, sums
        to 1; ``positive_sum`` () float32, 0 to pixels of the tile inside the plane; ``positive_mean``
        () float32, 0 to 1; ``probability`` picture uint8, 255 times the mean positive probability of
        the pixels inside the plane, half rounds up, 0 outside.

    Raises
    ------
    WeightsError
        Where the weights cannot be used.
    ConfigError
        Where an option's value is not allowed.

    Notes
    -----
    Peak memory above the loaded network is that of one batch: about 0.2 GB for 4 tiles of 512 px with the
    preset ``light``. Torch is imported when the first tile arrives, not here.
    """
    if positive not in POSITIVE:
        raise ConfigError(f"must be one of {', '.join(POSITIVE)}, got {positive!r}: correct it", subject="positive")
    if min(batch, map_scale) < 1:
        raise ConfigError(f"must be 1 or more, got {batch} and {map_scale}: correct it", subject="batch, map_scale")
    file, resolved = find(weights, VNET).check(sha256), execution(**how)
    params = {"weights": weights, "batch": batch, "positive": positive, "map_scale": map_scale, **resolved.params()}
    size = settings(file.card.architecture, "vnet", VNetConfig).features
    network = TileNetwork(file, resolved, batch, positive, map_scale)
    ref = Ref("wsipipe.lesion.network:tile_network", params, file.sha256)
    return Stage(ref, "tile_network", 2, (RGB, INSIDE), outputs(size, map_scale), partial(answer, network))


def outputs(features: int, map_scale: int) -> tuple[Spec, ...]:
    """The arrays that `tile_network` declares."""
    return (
        Spec("features", (features,), about="feature vector of the tile: the network's penultimate layer"),
        Spec("class_prob", (4,), about=f"probabilities of {', '.join(CATEGORIES)}; sum to 1"),
        Spec("positive_sum", (), unit="px", about="target probability: sum of the positive probabilities of pixels"),
        Spec("positive_mean", (), about="mean positive probability of the pixels inside the plane, 0 to 1"),
        Spec("probability", (None, None), "uint8", scale=map_scale, about="positive probability, 255 is 1"),
    )


def answer(network: TileNetwork, *, rgb: NDArray[np.uint8], inside: NDArray[np.integer[Any]]) -> Batch:
    """Run tiles in full batches; see `tile_network` for what leaves.

    Parameters
    ----------
    network : TileNetwork
    rgb : (N, height, width, 3) uint8
        N may be 0.
    inside : (N, 2) integers
        Height and width of each tile's part inside the plane.
    """
    height, width = rgb.shape[1:3]
    if height % network.map_scale or width % network.map_scale:
        raise ConfigError(
            f"a tile's sides must be multiples of map_scale {network.map_scale}, got {height} x {width}: change either",
            subject="map_scale",
        )
    made = _empty(network, rgb.shape)
    for start in range(0, len(rgb), network.batch):
        rows = slice(start, min(start + network.batch, len(rgb)))
        features, classes, positive = _forward(network, rgb[rows])
        made["features"][rows], made["class_prob"][rows] = features, classes
        for row, pixels in enumerate(positive, start):
            total, count, picture = pixel_map.measure(pixels, inside[row], network.map_scale)
            made["positive_sum"][row], made["positive_mean"][row] = total, total / max(count, 1)
            made["probability"][row] = picture
    return made


def _empty(network: TileNetwork, shape: tuple[int, ...]) -> Batch:
    n, height, width = shape[:3]
    size = settings(network.file.card.architecture, "vnet", VNetConfig).features
    rows: dict[str, tuple[int, ...]] = {
        "features": (size,),
        "class_prob": (4,),
        "positive_sum": (),
        "positive_mean": (),
    }
    made: Batch = {name: np.zeros((n, *tail), np.float32) for name, tail in rows.items()}
    side = network.map_scale
    return made | {"probability": np.zeros((n, height // side, width // side), np.uint8)}


def _forward(network: TileNetwork, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """Features (n, D), class probabilities (n, 4), positive probability of every pixel (n, height, width).

    On a CPU torch takes five times as long as OpenCV for what follows the last convolution (`pixel_map`); a GPU does
    it by the way, and so does torch where tiles had to be padded.
    """
    full = np.zeros((network.batch, *tiles.shape[1:]), np.uint8)
    full[: len(tiles)] = tiles
    module, n, target = network.module(), len(tiles), POSITIVE.index(network.positive)
    fits = not any(side % module.config.side_multiple for side in full.shape[1:3])
    own = fits and network.how.device == "cpu"
    with network.how.inference():
        said = module(_given(network, module, full, fits=fits), at_stem=own)
        logits = said.pixel_logits[:n].float()
        if own:
            positive = pixel_map.positive(logits.numpy(), target, full.shape[1:3])
        else:
            pixels = logits.softmax(dim=1)
            positive = (pixels[:, target - 1] if target else 1 - pixels[:, 0]).cpu().numpy()
        classes = said.class_logits.float().softmax(dim=1)[:n]
        return said.features.float()[:n].cpu().numpy(), classes.cpu().numpy(), positive


def _given(network: TileNetwork, module: VNet, tiles: NDArray[np.uint8], *, fits: bool) -> Any:
    """A full batch as the network takes it; `fits` where no side has to be padded."""
    import torch

    from wsipipe.models.vnet import normalise, unshuffled

    rgb, card = torch.from_numpy(tiles).to(network.how.device), network.file.card
    made = unshuffled(rgb, card, module.config.stem_stride) if fits else normalise(rgb, card)
    return made.contiguous(memory_format=network.how.layout())


def _ready(file: WeightsFile, how: Execution) -> VNet:
    from wsipipe.models.vnet import folded

    return how.placed(folded(load(file, _build)))


def _build(card: Card) -> VNet:
    from wsipipe.models.vnet import VNet

    return VNet(settings(card.architecture, "vnet", VNetConfig))
