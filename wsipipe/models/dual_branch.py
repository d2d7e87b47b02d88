"""The dual-branch network: one ResNet-18 encoder, a decoder for arteries and veins, a decoder for the clean picture.

Enters: normalised RGB pictures or tiles. Leaves: logits of arteries, veins and all vessels, and the restored picture.
Next: `wsipipe.vessel.network` runs the deployment network, `wsipipe.train` fits both branches.

After US 12393838 B2: encoder E, segmentation decoder D1 in the manner of the U-Net, enhancement decoder D2; the second,
deployed model is *generated from* the first by dropping D2 (`deployment`). The source names no sizes: ours are settings
(`DualBranchConfig`). E is torchvision's ResNet-18 in form and in the names of its tensors, with a map at full
resolution beside it (`detail`): a vessel of DRIVE is one to seven pixels wide, the ResNet's finest map has two-pixel
cells. Without it the heads say four pixels per cell. Batch normalisation only, because group and instance norm would
see the whole tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from wsipipe.errors import WeightsError
from wsipipe.models.card import Card
from wsipipe.models.retina_settings import SIDE_MULTIPLE, DualBranchConfig

CHANNELS = ("artery", "vein", "vessel")
"""What the three channels of the segmentation are."""


class Answer(NamedTuple):
    """What the network says of N pictures.

    ``logits`` (N, 3, height, width): artery, vein, all vessels. ``first``: the same before refinement (the same
    tensor where there is none). ``restored`` (N, 3, height, width): the clean picture in shares of white, or None.
    """

    logits: Tensor
    first: Tensor
    restored: Tensor | None


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norms, added to their input (torchvision's ``BasicBlock``, same names)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the block's side."""
        kept = x if self.downsample is None else self.downsample(x)
        made = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(made)) + kept)


def _layer(inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    rest = (ResidualBlock(outputs, outputs, 1) for _ in range(count - 1))
    return nn.Sequential(ResidualBlock(inputs, outputs, stride), *rest)


class Encoder(nn.Module):
    """The shared encoder E: maps, finest first, at strides 1 (where there is a `detail`), 2, 4, 8, 16 and 32."""

    def __init__(self, config: DualBranchConfig) -> None:
        super().__init__()
        width = config.width
        self.detail = (
            nn.Sequential(*_blocks(3, config.detail), *_blocks(config.detail, config.detail)) if config.detail else None
        )
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _layer(width, width, config.blocks[0], 1)
        self.layer2 = _layer(width, 2 * width, config.blocks[1], 2)
        self.layer3 = _layer(2 * width, 4 * width, config.blocks[2], 2)
        self.layer4 = _layer(4 * width, 8 * width, config.blocks[3], 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of normalised pictures (N, 3, height, width) whose sides are multiples of 32."""
        maps = [] if self.detail is None else [self.detail(x)]
        maps.append(F.relu(self.bn1(self.conv1(x))))
        made = F.max_pool2d(maps[-1], 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            made = layer(made)
            maps.append(made)
        return maps


class Decoder(nn.Module):
    """A U-Net's way up from the encoder's maps to the finest; three channels at full resolution leave.

    Where the finest map has cells of two pixels, the head says all four pixels of a cell (Shi et al., 2016).
    """

    def __init__(self, config: DualBranchConfig, channels: Sequence[int]) -> None:
        super().__init__()
        width, self.cell = config.width, config.cell
        skips = (4 * width, 2 * width, width, width, *([config.detail] if config.detail else []))
        inputs = (8 * width, *channels[:-1])
        self.steps = nn.ModuleList(
            nn.Sequential(*_blocks(below + skip, made), *_blocks(made, made))
            for below, skip, made in zip(inputs, skips, channels, strict=True)
        )
        self.head = nn.Conv2d(channels[-1], 3 * self.cell**2, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Three channels for every pixel, before any sigmoid."""
        made = maps[-1]
        for step, skip in zip(self.steps, maps[-2::-1], strict=True):
            made = step(torch.cat([_doubled(made), skip], dim=1))
        return F.pixel_shuffle(self.head(made), self.cell)


class Refinement(nn.Module):
    """A small U-Net over the finest map and the first answer's probabilities; adds to the first answer's logits."""

    def __init__(self, config: DualBranchConfig) -> None:
        super().__init__()
        channels, self.cell = config.refine, config.cell
        outputs = len(CHANNELS) * self.cell**2
        inputs = ((config.detail or config.width) + outputs, *channels[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(*_blocks(below, made), *_blocks(made, made))
            for below, made in zip(inputs, channels, strict=True)
        )
        self.up = nn.ModuleList(nn.Sequential(*_blocks(below + made, made)) for made, below in pairwise(channels))
        self.head = nn.Conv2d(channels[0], outputs, 1)

    def forward(self, finest: Tensor, first: Tensor) -> Tensor:
        """Logits (N, 3, height, width)."""
        said = F.pixel_unshuffle(first.sigmoid().to(finest.dtype), self.cell)
        made, maps = torch.cat([finest, said], dim=1), []
        for number, step in enumerate(self.down):
            made = step(F.max_pool2d(made, 2) if number else made)
            maps.append(made)
        for step, skip in zip(reversed(self.up), maps[-2::-1], strict=True):
            made = step(torch.cat([_doubled(made), skip], dim=1))
        last: Tensor = first + F.pixel_shuffle(self.head(made), self.cell)
        return last


class Segmentation(nn.Module):
    """The segmentation decoder D1, with its refinement where the settings have one."""

    def __init__(self, config: DualBranchConfig) -> None:
        super().__init__()
        self.decoder = Decoder(config, config.decoder)
        self.refine = Refinement(config) if config.refine else None

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Last and first logits (N, 3, height, width) float32."""
        first = self.decoder(maps)
        last = first if self.refine is None else self.refine(maps[0], first)
        return last.float(), first.float()


class Enhancement(nn.Module):
    """The enhancement decoder D2: the clean picture in shares of white."""

    def __init__(self, config: DualBranchConfig) -> None:
        super().__init__()
        self.decoder = Decoder(config, config.enhancer)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Picture (N, 3, height, width) float32, 0 to 1."""
        made: Tensor = self.decoder(maps)
        return made.float().sigmoid()


class DualBranch(nn.Module):
    """The whole network; without an enhancement decoder it is the deployment network.

    Attributes
    ----------
    encoder, segmentation : nn.Module
        E and D1.
    enhancement : nn.Module or None
        D2.
    """

    def __init__(self, config: DualBranchConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.segmentation = Encoder(config), Segmentation(config)
        self.enhancement = Enhancement(config) if config.enhancer else None
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        nn.init.constant_(
            cast("Tensor", self.segmentation.decoder.head.bias), -2.0
        )  # vessels are rare: begin near their share

    def forward(self, x: Tensor) -> Answer:
        """Answer for normalised pictures (N, 3, height, width); any side, padded inside to multiples of 32."""
        height, width = x.shape[2:]
        down, right = -height % SIDE_MULTIPLE, -width % SIDE_MULTIPLE
        if down or right:
            x = F.pad(x, (0, right, 0, down), mode="replicate")
        maps = self.encoder(x)
        last, first = self.segmentation(maps)
        restored = None if self.enhancement is None else self.enhancement(maps)[..., :height, :width]
        return Answer(last[..., :height, :width], first[..., :height, :width], restored)


def deployment(network: DualBranch) -> DualBranch:
    """The second model, generated from the first: the same encoder and segmentation decoder, no enhancement decoder.

    Parameters
    ----------
    network : DualBranch
        Trained; not changed. The new network has copies of its tensors, and gives equal bits.
    """
    config = network.config.model_copy(update={"enhancer": ()})
    made = DualBranch(config)
    kept = made.state_dict().keys()
    made.load_state_dict({name: value for name, value in network.state_dict().items() if name in kept})
    like = next(network.parameters())
    return made.to(device=like.device, dtype=like.dtype).train(network.training)


def normalise(rgb: Tensor, card: Card) -> Tensor:
    """Pictures (N, height, width, 3) uint8 as the network takes them: (N, 3, height, width) float32.

    The card's mean is taken off and its standard deviation divided by.
    """
    mean = torch.tensor(card.mean, device=rgb.device) * 255
    std = torch.tensor(card.std, device=rgb.device) * 255
    return ((rgb.to(torch.float32) - mean) / std).permute(0, 3, 1, 2)


def load_encoder(network: DualBranch, tensors: dict[str, Tensor]) -> int:
    """Put published ResNet-18 tensors (torchvision's names) into the encoder; returns how many fitted.

    The classifier ``fc`` is left out, and the map at full resolution keeps its start: the published network has none.

    Raises
    ------
    WeightsError
        Where a tensor is missing or of another shape: the encoder's width must be 64, its blocks 2 each.
    """
    own = {name: value for name, value in network.encoder.state_dict().items() if not name.startswith("detail.")}
    wrong = [name for name, value in own.items() if name not in tensors or tensors[name].shape != value.shape]
    if wrong:
        raise WeightsError(
            f"loading a ResNet-18: {len(wrong)} of {len(own)} tensors are missing or of another shape (first: "
            f"{wrong[0]}): give torchvision's resnet18 as safetensors, and the preset resnet18"
        )
    network.encoder.load_state_dict({name: tensors[name] for name in own}, strict=False)
    return len(own)


def folded(network: DualBranch) -> DualBranch:
    """The same network, in evaluation mode, with batch norms folded into the convolutions before them.

    Changes `network` in place. For inference only: faster on a CPU, equal to about 1e-6.
    """
    network.eval()
    for part in list(network.modules()):
        if isinstance(part, ResidualBlock | Encoder):
            for number in ("1", "2"):
                convolution, norm = getattr(part, f"conv{number}", None), getattr(part, f"bn{number}", None)
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    setattr(part, f"conv{number}", fuse_conv_bn_eval(convolution, norm))
                    setattr(part, f"bn{number}", nn.Identity())
        elif isinstance(part, nn.Sequential):
            _fold_sequence(part)
    return network


def gflop(config: DualBranchConfig, height: int, width: int) -> float:
    """Forward cost of one picture in 1e9 operations (a multiplication and an addition are two), without data."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        DualBranch(config).eval()(torch.empty(1, 3, height, width))
    return float(counter.get_total_flops()) / 1e9


def parameters(module: nn.Module) -> int:
    """Learned numbers of a network."""
    return sum(tensor.numel() for tensor in module.parameters())


def _blocks(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """Convolution without bias, batch norm, rectifier."""
    return nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


def _doubled(maps: Tensor) -> Tensor:
    """Each cell four times: the convolution that follows smooths; a step of training is 1.2 to 1.5 times as fast."""
    return F.interpolate(maps, scale_factor=2.0, mode="nearest")


def _fold_sequence(parts: nn.Sequential) -> None:
    for index in range(len(parts) - 1):
        convolution, norm = parts[index], parts[index + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            parts[index], parts[index + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
