"""The segmentation-and-classification network: a V-Net in two dimensions whose layers concatenate.

Enters: normalised RGB tiles. Leaves: the tile's feature vector, its class logits, and class logits per
pixel. Next: `wsipipe.lesion.network` runs it over tiles, `wsipipe.train` fits it.

After CN 112990339 A: every encoder layer hands on the *concatenation* of its input and its output (the
V-Net of Milletari et al., 2016, adds them); the encoder's last map is the first feature map; fully
connected layers on it give the feature vector (the penultimate layer) and from it the class; every
decoder layer concatenates its own input (upsampled first), its upsampled output and the encoder's map of
the same scale, and a 1x1 convolution bounds the channels; the decoder's last map is the second feature
map, and from it come the pixels. The source names neither sizes nor normalisation: ours are settings
(`VNetConfig`), and batch normalisation only, because group and instance norm would see the whole tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from wsipipe.models.architecture import VNetConfig
from wsipipe.models.card import CATEGORIES, Card

CLASSES = len(CATEGORIES)


class TileAnswer(NamedTuple):
    """What the network says of N tiles.

    ``features`` (N, D): the feature vector, centred about 0 by its batch norm. ``class_logits`` (N, 4).
    ``pixel_logits`` (N, 4, height, width) at tile resolution, or at the stem's where that was asked for.
    """

    features: Tensor
    class_logits: Tensor
    pixel_logits: Tensor


def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, rectifier; keeps the side, or divides it by `stride`."""
    padding = kernel // 2 if stride == 1 else 0
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def blocks(channels: int, count: int) -> nn.Sequential:
    """`count` 3x3 blocks that keep `channels`."""
    return nn.Sequential(*(block(channels, channels) for _ in range(count)))


class EncoderLayer(nn.Module):
    """Convolutions whose output is concatenated to their input: ``channels`` in, twice as many out."""

    def __init__(self, channels: int, convs: int) -> None:
        super().__init__()
        self.convs = blocks(channels, convs)

    def forward(self, own: Tensor) -> Tensor:
        """The layer's input and its output, concatenated."""
        return torch.cat([own, self.convs(own)], dim=1)


class DecoderLayer(nn.Module):
    """Concatenates its upsampled input, its upsampled output and the encoder's map; a 1x1 convolution bounds it.

    A 1x1 convolution of a concatenation is the sum of 1x1 convolutions of its parts, and it commutes
    with nearest-neighbour upsampling. So the part of input and output is convolved before it is
    upsampled: the same numbers (a test holds it) for a quarter of the work and of the memory.
    """

    def __init__(self, channels: int, skip: int, outputs: int, convs: int) -> None:
        super().__init__()
        self.convs = blocks(channels, convs)
        self.bound_own = nn.Conv2d(2 * channels, outputs, 1, bias=False)
        self.bound_skip = nn.Conv2d(skip, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, own: Tensor, skip: Tensor) -> Tensor:
        """The layer's input and output, upsampled, joined with the encoder's map of the same scale."""
        coarse = self.bound_own(torch.cat([own, self.convs(own)], dim=1))
        fine: Tensor = self.norm(F.interpolate(coarse, scale_factor=2.0, mode="nearest") + self.bound_skip(skip))
        return F.relu(fine, inplace=True)


class VNet(nn.Module):
    """The network; see the module's docstring for its form and `VNetConfig` for its settings."""

    def __init__(self, config: VNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.stem = block(3 * config.stem_stride**2, channels[0])
        self.encoder = nn.ModuleList(map(EncoderLayer, channels, config.convs))
        self.down = nn.ModuleList(block(2 * a, b, 2, 2) for a, b in pairwise(channels))
        self.bound = block(2 * channels[-1], channels[-1], 1)
        self.decoder = nn.ModuleList(
            DecoderLayer(b, 2 * a, a, n) for (a, b), n in zip(pairwise(channels), config.decoder_convs[1:], strict=True)
        )
        self.last = blocks(channels[0], config.decoder_convs[0])
        self.pixel = nn.Conv2d(channels[0], CLASSES, 1)
        self.hidden = nn.Linear(4 * channels[-1] * config.pool**2, config.hidden, bias=False)
        self.hidden_norm = nn.BatchNorm1d(config.hidden)
        self.feature = nn.Linear(config.hidden, config.features, bias=False)
        self.feature_norm = nn.BatchNorm1d(config.features)
        self.category = nn.Linear(config.features, CLASSES)

    def forward(self, tiles: Tensor, *, at_stem: bool = False) -> TileAnswer:
        """Features, class logits and pixel logits of a batch.

        Parameters
        ----------
        tiles : (N, 3, height, width) float
            As `normalise` makes them. Sides that are no multiple of ``config.side_multiple`` are padded
            at the bottom and right by repeating the edge, and the answer is cropped. Tiles whose sides are such
            multiples may come unshuffled, (N, 3 stride^2, height / stride, width / stride), as `unshuffled` makes them.
        at_stem : bool
            Leave the pixel logits at the stem's resolution (``stem_stride`` times coarser).
        """
        cell = 1 if tiles.shape[1] == 3 else self.config.stem_stride
        height, width = (side * cell for side in tiles.shape[-2:])
        maps = self.encode(self._padded(tiles) if tiles.shape[1] == 3 else tiles)
        features = self.describe(maps[-1])
        logits = self.pixel(self.decode(maps))
        stride = self.config.stem_stride
        if not at_stem and stride > 1:
            # four channels: six times quicker in torch's contiguous layout than in channels-last
            logits = F.interpolate(
                logits.contiguous(), scale_factor=float(stride), mode="bilinear", align_corners=False
            )
        seen = stride if at_stem else 1
        logits = logits[..., : -(-height // seen), : -(-width // seen)]
        return TileAnswer(features, self.category(F.relu(features)), logits)

    def encode(self, tiles: Tensor) -> list[Tensor]:
        """The encoder's maps, finest first; the last is the first feature map."""
        own = tiles
        if tiles.shape[1] == 3:
            # pixel_unshuffle keeps no memory format, so the tiles' own is put back
            own = F.pixel_unshuffle(tiles, self.config.stem_stride)
            if tiles.is_contiguous(memory_format=torch.channels_last):
                own = own.contiguous(memory_format=torch.channels_last)
        maps = [self.encoder[0](self.stem(own))]
        for down, layer in zip(self.down, list(self.encoder)[1:], strict=True):
            maps.append(layer(down(maps[-1])))
        return maps

    def decode(self, maps: Sequence[Tensor]) -> Tensor:
        """The second feature map, at the stem's resolution."""
        own: Tensor = self.bound(maps[-1])
        for layer, skip in zip(reversed(self.decoder), reversed(maps[:-1]), strict=True):
            own = layer(own, skip)
        return torch.as_tensor(self.last(own))

    def describe(self, first: Tensor) -> Tensor:
        """The feature vectors (N, D) of the first feature map: the penultimate layer before its rectifier."""
        side = self.config.pool
        pooled = torch.cat([F.adaptive_avg_pool2d(first, side), F.adaptive_max_pool2d(first, side)], dim=1)
        hidden = F.relu(self.hidden_norm(self.hidden(pooled.flatten(1))))
        return torch.as_tensor(self.feature_norm(self.feature(hidden)))

    def _padded(self, tiles: Tensor) -> Tensor:
        over = [-side % self.config.side_multiple for side in tiles.shape[-2:]]
        return F.pad(tiles, (0, over[1], 0, over[0]), mode="replicate") if any(over) else tiles


def normalise(rgb: Tensor, card: Card) -> Tensor:
    """Tiles as the network takes them: channels first, less the card's mean, over its standard deviation.

    Parameters
    ----------
    rgb : (N, height, width, 3) uint8
        0 black to 255 white.
    card : Card
        Gives mean and standard deviation per channel.

    Returns
    -------
    (N, 3, height, width) float32, in channels-last memory
    """
    mean = torch.tensor(card.mean, device=rgb.device) * 255
    std = torch.tensor(card.std, device=rgb.device) * 255
    return ((rgb.to(torch.float32) - mean) / std).permute(0, 3, 1, 2)


def unshuffled(rgb: Tensor, card: Card, stride: int) -> Tensor:
    """What `normalise` and the network's first step (pixel_unshuffle) make of tiles, with bytes moved before floats.

    Parameters
    ----------
    rgb : (N, height, width, 3) uint8
        Sides are multiples of ``config.side_multiple``.
    card : Card
        Gives mean and standard deviation per channel.
    stride : int
        The network's ``stem_stride``.

    Returns
    -------
    (N, 3 stride^2, height / stride, width / stride) float32, in channels-last memory
        The same bits as `normalise` and ``F.pixel_unshuffle`` give.
    """
    n, height, width, _ = rgb.shape
    cells = rgb.reshape(n, height // stride, stride, width // stride, stride, 3).permute(0, 1, 3, 5, 2, 4)
    own = cells.reshape(n, height // stride, width // stride, 3 * stride**2).to(torch.float32)
    mean, std = (
        (torch.tensor(values, device=rgb.device) * 255).repeat_interleave(stride**2) for values in (card.mean, card.std)
    )
    return own.sub_(mean).div_(std).permute(0, 3, 1, 2)


def gflop(config: VNetConfig, tile_px: int = 512) -> float:
    """Forward cost of one tile in 1e9 operations; a multiplication and an addition are two.

    Counted by torch's own counter (convolutions and matrix products; norms, rectifiers and resampling
    are left out) on tensors without data, so it costs neither time nor memory.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        VNet(config).eval()(torch.empty(1, 3, tile_px, tile_px))
    return float(counter.get_total_flops()) / 1e9


def parameters(module: nn.Module) -> int:
    """Learned numbers of a network."""
    return sum(tensor.numel() for tensor in module.parameters())


def folded(network: VNet) -> VNet:
    """The same network, in evaluation mode, with batch norms folded into the convolutions before them.

    Changes `network` in place. For inference only: about a fifth faster on a CPU, equal to about 1e-6.
    """
    network.eval()
    for part in list(network.modules()):
        if not isinstance(part, nn.Sequential) or len(part) != 3:
            continue
        convolution, norm = part[0], part[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            part[0], part[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network
