"""Training of network one: tiles with masks and classes to a V-Net.

Enters: a complete folder of tiles, settings. Leaves: the task that `wsipipe.train.loop` trains, and what the
network says of a split. Next: `wsipipe.train.gastric` saves the weights with a card and writes the report.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsipipe.models.card import CATEGORIES, Card
from wsipipe.models.device import Execution
from wsipipe.models.vnet import VNet, normalise
from wsipipe.train import augment
from wsipipe.train.choice import balanced
from wsipipe.train.config import LossSection, TilesConfig
from wsipipe.train.loss import class_loss, dice_loss
from wsipipe.train.metric import Overlap, dice, summary
from wsipipe.train.tileset import TileSet

Batch = tuple[Tensor, Tensor]
"""Augmented pictures (N, 3, y, x) from 0 to 1, and their masks (N, y, x), on the network's device."""
AHEAD = 3
"""Batches that are made ready while the network works."""


@dataclass(frozen=True)
class Said:
    """What the network says of a split.

    ``prob`` (N, 4) class probabilities; ``features`` (N, D); ``label`` (N,); ``overlap`` of the masks;
    ``tile_dice`` (N,) Dice of any lesion in each tile, NaN where there is none and none is said; ``coarse``
    (N, y / 4, x / 4) bool: where a lesion is said, for pictures.
    """

    prob: NDArray[np.float32]
    features: NDArray[np.float32]
    label: NDArray[np.int64]
    overlap: Overlap
    tile_dice: NDArray[np.float64]
    coarse: NDArray[np.bool_]

    def measures(self) -> dict[str, float]:
        """Numbers by name; ``score`` is the mean of macro-F1 and lesion Dice."""
        each = self.overlap.dice()
        told = summary(self.label, self.prob) | {
            f"dice_{n}": float(v) for n, v in zip(CATEGORIES, each[:4], strict=True)
        }
        told |= {"dice": float(each[4]), "dice_tile": float(np.nanmean(self.tile_dice))}
        return told | {"score": (told["macro_f1"] + float(np.nan_to_num(told["dice"]))) / 2}


@dataclass
class TilesTask:
    """A `Task` of `wsipipe.train.loop`."""

    config: TilesConfig
    module: VNet
    card: Card
    how: Execution
    train: TileSet
    val: TileSet

    def size(self, epoch: int) -> tuple[int, int]:
        """Side of the crops of an epoch (0: whole tiles) and examples per step."""
        schedule = self.config.schedule
        whole = not schedule.crop_px or epoch >= schedule.epochs - schedule.whole_epochs
        return (0, schedule.whole_batch) if whole else (schedule.crop_px, schedule.batch)

    def steps(self, epoch: int) -> int:
        """Full batches in an epoch, at least one."""
        return max(1, len(self.train) // self.size(epoch)[1])

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Batches from `start` on, made ready by a second thread."""
        rng = np.random.default_rng([self.config.schedule.seed, epoch, 0])
        order = balanced(self.train.label, self.config.schedule.balance, rng)
        return ahead(self._make(epoch, step, order) for step in range(start, self.steps(epoch)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The source's loss (and a pixel cross-entropy, if it has a weight), and its parts."""
        pictures, truth = batch
        with mixed(self.how):
            said = self.module(centred(pictures, self.card).contiguous(memory_format=self.how.layout()), at_stem=True)
        label = classes_of(truth, least=self.config.data.min_lesion)
        shares = stem_truth(truth, self.module.config.stem_stride)
        return tile_losses(said.pixel_logits.float(), shares, said.class_logits.float(), label, self.config.loss)

    def validate(self) -> dict[str, float]:
        """Measures of the validation split."""
        return say(self.module, self.val, self.card, self.how).measures()

    def _make(self, epoch: int, step: int, order: NDArray[np.int64]) -> Batch:
        rng = np.random.default_rng([self.config.schedule.seed, epoch, 1, step])
        side, count = self.size(epoch)
        rows = order[np.arange(step * count, (step + 1) * count) % len(order)]
        pairs = [augment.cut(*self.train.read(int(row)), side, rng) for row in rows]
        if self.config.augment.flips:
            pairs = [augment.turn(rgb, mask, rng) for rgb, mask in pairs]
        rgb, mask = (torch.from_numpy(np.stack(kind)) for kind in zip(*pairs, strict=True))
        return augment.apply(
            rgb.to(self.how.device), mask.to(self.how.device), augment.draw(rng, count, self.config.augment)
        )


def tile_losses(
    pixel_logits: Tensor, shares: Tensor, class_logits: Tensor, label: Tensor, how: LossSection
) -> dict[str, Tensor]:
    """``loss`` and its parts.

    Parameters
    ----------
    pixel_logits, shares : (N, 4, height, width)
        What is said, and the true share of each category in each pixel.
    class_logits : (N, 4)
    label : (N,) int64
        -1 where the tile's class is not defined: it counts for the pixels only.
    how : LossSection
    """
    prob = pixel_logits.softmax(dim=1)
    parts = {"dice": dice_loss(shares, prob)}
    known = label >= 0
    parts["class"] = (
        class_loss(label[known], class_logits[known], kind=how.class_loss)
        if bool(known.any())
        else class_logits.sum() * 0
    )
    loss = how.dice_weight * parts["dice"] + how.class_weight * parts["class"]
    if how.pixel_weight:
        parts["pixel"] = F.cross_entropy(pixel_logits, shares)
        loss = loss + how.pixel_weight * parts["pixel"]
    return {"loss": loss, **parts}


def classes_of(mask: Tensor, *, least: float) -> Tensor:
    """Class of each mask (N, height, width), as `wsipipe.train.tileset.class_of` has it; -1 where not defined."""
    share = F.one_hot(mask, len(CATEGORIES)).float().mean(dim=(1, 2))[:, 1:]
    kinds = torch.arange(1, len(CATEGORIES), device=mask.device)
    label = torch.where(share >= least, kinds, 0).amax(dim=1)
    little = ((share > 0) & (share < least)).any(dim=1)
    return torch.where(little, -1, label)


def stem_truth(mask: Tensor, stride: int) -> Tensor:
    """Share of each category in each pixel of the stem, (N, 4, height / stride, width / stride)."""
    planes = torch.stack([mask == kind for kind in range(len(CATEGORIES))], dim=1).float()
    return F.avg_pool2d(planes, stride, ceil_mode=True) if stride > 1 else planes


def mixed(how: Execution) -> torch.autocast:
    """A context in which the forward pass runs in the number format of `how`; losses stay float32."""
    return torch.autocast(how.device, torch.bfloat16, enabled=how.dtype == "bfloat16")


def centred(pictures: Tensor, card: Card) -> Tensor:
    """Pictures (N, 3, y, x) of 0 to 1, less the card's mean, over its deviation: what `normalise` does to bytes."""
    mean, std = (torch.tensor(value, device=pictures.device)[:, None, None] for value in (card.mean, card.std))
    return (pictures - mean) / std


def say(module: VNet, tiles: TileSet, card: Card, how: Execution, *, batch: int = 8) -> Said:
    """Run a network in evaluation mode over the whole tiles of a split, as inference does."""
    prob: list[NDArray[np.float32]] = []
    features: list[NDArray[np.float32]] = []
    overlap, tile_dice, coarse = Overlap(), [], []
    for start in range(0, len(tiles), batch):
        pairs = [tiles.read(row) for row in range(start, min(start + batch, len(tiles)))]
        rgb, mask = (np.stack(kind) for kind in zip(*pairs, strict=True))
        with how.inference():
            given = normalise(torch.from_numpy(rgb).to(how.device), card)
            answer = module(given.contiguous(memory_format=how.layout()))
        pixels = answer.pixel_logits.float().softmax(dim=1)
        kinds, lesion = pixels.argmax(dim=1).cpu().numpy(), (pixels[:, 0] < 0.5).cpu().numpy()
        overlap.add(mask, kinds, lesion)
        tile_dice += [dice(one > 0, two) for one, two in zip(mask, lesion, strict=True)]
        coarse.append(lesion[:, 2::4, 2::4])
        prob.append(answer.class_logits.float().softmax(dim=1).cpu().numpy())
        features.append(answer.features.float().cpu().numpy())
    return Said(
        np.concatenate(prob),
        np.concatenate(features),
        tiles.label,
        overlap,
        np.array(tile_dice),
        np.concatenate(coarse),
    )


def colour_statistics(tiles: TileSet, *, most: int = 256) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation per channel, as shares of white, of up to `most` evenly chosen tiles."""
    rows = np.unique(np.linspace(0, len(tiles) - 1, most).astype(int))
    small = np.stack([tiles.read(int(row))[0][::8, ::8] for row in rows]).reshape(-1, 3) / 255
    mean, std = small.mean(axis=0), np.maximum(small.std(axis=0), 0.01)
    return tuple(np.round(mean, 4).tolist()), tuple(np.round(std, 4).tolist())


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, the next `AHEAD` made by another thread meanwhile."""
    waiting: queue.Queue[Batch | BaseException | None] = queue.Queue(AHEAD)
    left = threading.Event()

    def work() -> None:
        found: Batch | BaseException | None = None
        try:
            for found in batches:
                if not _put(waiting, found, left):
                    return
            found = None
        except (OSError, ValueError, RuntimeError) as error:
            found = error
        _put(waiting, found, left)

    thread = threading.Thread(target=work, name="training batches", daemon=True)
    thread.start()
    try:
        while (batch := waiting.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        left.set()
        thread.join()


def _put(
    waiting: queue.Queue[Batch | BaseException | None], item: Batch | BaseException | None, left: threading.Event
) -> bool:
    while not left.is_set():
        try:
            waiting.put(item, timeout=0.2)
        except queue.Full:
            continue
        return True
    return False
