"""Training of the tile network's segmentation branch on pictures with masks of one kind of object, such as glands.

Enters: pictures of any size with masks of 0 and 255. Leaves: a `Task` for `wsipipe.train.loop`, and masks that a
trained network says. Next: `wsipipe.evaluate.glands`, which trains one network per fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from wsipipe.config import Config, Share
from wsipipe.errors import UsageError
from wsipipe.models.architecture import VNET, VNET_PRESETS
from wsipipe.models.card import Card
from wsipipe.models.device import Execution
from wsipipe.models.vnet import VNet, normalise
from wsipipe.train import augment
from wsipipe.train.config import AugmentSection, Count, LossSection, MachineSection, NumberSection, ScheduleSection
from wsipipe.train.metric import dice
from wsipipe.train.tiles import Batch, ahead, centred, mixed, stem_truth, tile_losses

OBJECT = 1
"""The network's pixel class that stands for the object; 0 is everything else, the others are not used."""
Rgb = NDArray[np.uint8]
Mask = NDArray[np.uint8]


class GlandsConfig(Config):
    """``wsipipe evaluate glands``: cross-validation on a folder of pictures and masks."""

    network: Annotated[str, Field(pattern="^(light|wide|tiny)$", description="preset of the V-Net")] = "light"
    folds: Annotated[int, Field(ge=2, le=50, description="every picture is tested once")] = 5
    validation: Annotated[Share, Field(description="of the other folds' pictures; chooses the best epoch")] = 0.12
    crops: Annotated[Count, Field(description="of a picture in an epoch")] = 6
    loss: LossSection = LossSection(class_weight=0.0)
    augment: AugmentSection = AugmentSection(
        stretch=0.2, turn_deg=20.0, brightness=0.1, contrast=0.15, saturation=0.25, hue_deg=10.0, stain=0.3, blur_px=1.0
    )
    schedule: ScheduleSection = ScheduleSection(
        epochs=40, batch=12, crop_px=320, whole_epochs=0, whole_batch=2, balance=0.0, weight_decay=0.02, patience=40
    )
    numbers: NumberSection = NumberSection(dtype="bfloat16")
    machine: MachineSection = MachineSection()

    @model_validator(mode="after")
    def _crops(self) -> GlandsConfig:
        if not self.schedule.crop_px:
            raise ValueError("schedule.crop_px is above 0: pictures differ in size")
        return self


@dataclass(frozen=True)
class Sample:
    """A picture with its mask: ``rgb`` (height, width, 3) uint8, ``mask`` (height, width) uint8 of 0 and `OBJECT`."""

    name: str
    rgb: Rgb
    mask: Mask


def read_samples(folder: Path) -> list[Sample]:
    """The pictures of ``images/`` with their masks of ``masks/``, by name.

    Raises
    ------
    UsageError
        Where a folder, a mask or a pixel is missing or wrong.
    """
    pictures = sorted((folder / "images").glob("*.png"))
    if not pictures:
        raise UsageError(
            "reading pictures with masks: images/*.png and masks/*.png of the same names are needed, there is no "
            "picture: give the folder that holds both",
            subject=str(folder),
        )
    return [_sample(path, folder / "masks" / path.name) for path in pictures]


@dataclass
class GlandsTask:
    """A `Task` of `wsipipe.train.loop`: crops of training pictures, Dice of whole validation pictures."""

    config: GlandsConfig
    module: VNet
    card: Card
    how: Execution
    train: Sequence[Sample]
    val: Sequence[Sample]

    def steps(self, epoch: int) -> int:  # noqa: ARG002 (every epoch has as many)
        """Full batches in an epoch, at least one."""
        return max(1, len(self.train) * self.config.crops // self.config.schedule.batch)

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Batches from `start` on, made ready by a second thread."""
        rng = np.random.default_rng([self.config.schedule.seed, epoch, 0])
        order = np.concatenate([rng.permutation(len(self.train)) for _ in range(self.config.crops)])
        return ahead(self._make(epoch, step, order) for step in range(start, self.steps(epoch)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The pixel terms of the tile network's loss."""
        pictures, truth = batch
        with mixed(self.how):
            said = self.module(centred(pictures, self.card).contiguous(memory_format=self.how.layout()), at_stem=True)
        unknown = torch.full((len(truth),), -1, device=truth.device)
        shares = stem_truth(truth, self.module.config.stem_stride)
        return tile_losses(said.pixel_logits.float(), shares, said.class_logits.float(), unknown, self.config.loss)

    def validate(self) -> dict[str, float]:
        """``score`` and ``dice``: mean Dice of the validation pictures."""
        each = [dice(one.mask > 0, segment(self.module, one.rgb, self.card, self.how)) for one in self.val]
        return {"score": float(np.mean(each)), "dice": float(np.mean(each))}

    def _make(self, epoch: int, step: int, order: NDArray[np.int64]) -> Batch:
        rng = np.random.default_rng([self.config.schedule.seed, epoch, 1, step])
        count, side = self.config.schedule.batch, self.config.schedule.crop_px
        rows = order[np.arange(step * count, (step + 1) * count) % len(order)]
        pairs = [_crop(self.train[int(row)], side, rng) for row in rows]
        if self.config.augment.flips:
            pairs = [augment.turn(rgb, mask, rng) for rgb, mask in pairs]
        rgb, mask = (torch.from_numpy(np.stack(kind)).to(self.how.device) for kind in zip(*pairs, strict=True))
        return augment.apply(rgb, mask, augment.draw(rng, count, self.config.augment))


def glands_task(config: GlandsConfig, train: Sequence[Sample], val: Sequence[Sample], how: Execution) -> GlandsTask:
    """The task of a fold: a new network, made from the seed."""
    pixels = np.concatenate([one.rgb[::8, ::8].reshape(-1, 3) for one in train]) / 255
    mean, std = (tuple(np.round(value, 4).tolist()) for value in (pixels.mean(axis=0), pixels.std(axis=0)))
    card = Card(name="glands", architecture=VNET[config.network], mpp=0.62, tile_px=config.schedule.crop_px,
                mean=mean, std=std)  # fmt: skip
    torch.manual_seed(config.schedule.seed)
    module = VNet(VNET_PRESETS[config.network]).to(how.device)
    module = module.to(memory_format=how.layout())  # type: ignore[call-overload]  # torch's stubs lack it
    return GlandsTask(config, module, card, how, train, val)


def segment(module: VNet, rgb: Rgb, card: Card, how: Execution) -> NDArray[np.bool_]:
    """Where a network sees the object: the mean of a picture's four mirrors is over one half.

    Parameters
    ----------
    rgb : (height, width, 3) uint8

    Returns
    -------
    (height, width) bool
    """
    module.eval()
    with how.inference():
        given = normalise(torch.from_numpy(np.ascontiguousarray(rgb))[None].to(how.device), card)
        total = torch.zeros(rgb.shape[:2], device=how.device)
        for axes in ((), (2,), (3,), (2, 3)):
            seen = module(given.flip(axes).contiguous(memory_format=how.layout())).pixel_logits.float()
            total += seen.softmax(dim=1).flip(axes)[0, OBJECT]
    return np.asarray((total > 2).cpu().numpy())


def _crop(sample: Sample, side: int, rng: np.random.Generator) -> tuple[Rgb, Mask]:
    """A square of `side` at a random place; a picture with a shorter side is mirrored beyond its edge."""
    rgb, mask = sample.rgb, sample.mask
    short = [max(0, side - length) for length in mask.shape]
    if any(short):
        edges = ((0, short[0]), (0, short[1]))
        rgb, mask = np.pad(rgb, (*edges, (0, 0)), mode="symmetric"), np.pad(mask, edges, mode="symmetric")
    y, x = (int(rng.integers(0, length - side + 1)) for length in mask.shape)
    return rgb[y : y + side, x : x + side], mask[y : y + side, x : x + side]


def _sample(picture: Path, mask: Path) -> Sample:
    rgb = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    truth = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    for seen, path in ((rgb, picture), (truth, mask)):
        if seen is None:
            raise UsageError("reading a picture with its mask: it is missing or no PNG", subject=str(path))
    assert rgb is not None
    assert truth is not None
    if rgb.shape[:2] != truth.shape:
        raise UsageError(
            f"reading a picture with its mask: both have one size, the picture {rgb.shape[:2]}, the mask {truth.shape}",
            subject=str(mask),
        )
    if set(np.unique(truth).tolist()) - {0, 255}:
        raise UsageError(
            f"reading a mask: pixels are 0 and 255, got {np.unique(truth)[:6].tolist()}", subject=str(mask)
        )
    return Sample(picture.stem, np.ascontiguousarray(rgb[..., ::-1]), (truth > 0).astype(np.uint8) * OBJECT)
