"""Both networks in one: the slide's loss reaches network one through the feature vectors of the kept tiles.

Enters: the two trained networks, slides with tiles and masks. Leaves: both, trained further. Top-k, threshold and
correlation have no gradient, so which tiles speak and which are connected is decided at every step by network one as
it stands, and only the vectors carry the loss back. Network one keeps its own loss on the same tiles, weighted, and
its batch norms keep their statistics: k tiles of one slide are no sample.
Source: CN 112990339 A allows it and says no more. Next: `wsipipe.models.weights`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from wsipipe.graph.gcn import GcnConfig, build, edge_index
from wsipipe.graph.pearson import adjacency, correlation
from wsipipe.graph.topk import topk
from wsipipe.lesion.gate import fit_statistics
from wsipipe.models.architecture import VNET, VNetConfig, settings
from wsipipe.models.card import CATEGORIES, Card
from wsipipe.models.device import Execution
from wsipipe.models.vnet import VNet, normalise
from wsipipe.models.weights import find, load, save
from wsipipe.run.job import Recipe
from wsipipe.train.config import GraphNetSection, LossSection, SlidesConfig, TilesConfig, identity
from wsipipe.train.gastric import Outcome, provenance, ready
from wsipipe.train.log import Log
from wsipipe.train.loop import Plan, fit
from wsipipe.train.metric import summary
from wsipipe.train.source import gather
from wsipipe.train.tiles import classes_of, mixed, say, stem_truth, tile_losses
from wsipipe.train.tileset import TileSet


class Both(nn.Module):
    """Network one and network two side by side; batch norms stay in evaluation mode."""

    def __init__(self, tiles: VNet, slides: nn.Module) -> None:
        super().__init__()
        self.tiles, self.slides = tiles, slides

    def train(self, mode: bool = True) -> Both:
        """Training mode for all but the batch norms of network one."""
        super().train(mode)
        for part in self.tiles.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.eval()
        return self


@dataclass(frozen=True)
class SlideTiles:
    """The kept tiles of one slide: rows of a `TileSet`, and the slide's category."""

    rows: NDArray[np.int64]
    category: int


@dataclass
class BothTask:
    """A `Task` of `wsipipe.train.loop`: one slide a step."""

    config: SlidesConfig
    module: Both
    card: Card
    how: Execution
    train: TileSet
    val: TileSet

    def steps(self, epoch: int) -> int:  # noqa: ARG002 (every epoch has as many)
        """One per slide."""
        return len(slides_of(self.train))

    def batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Pictures and masks of a slide's top-k tiles as network one stands at that step, and its category."""
        slides = slides_of(self.train)
        order = np.random.default_rng([self.config.schedule.seed, epoch, 2]).permutation(len(slides))
        for number in order[start:].tolist():
            pairs = [self.train.read(int(row)) for row in self.choose(self.train, slides[number])]
            rgb, mask = (torch.from_numpy(np.stack(kind)).to(self.how.device) for kind in zip(*pairs, strict=True))
            yield rgb, mask.long(), slides[number].category

    def loss(self, batch: tuple[Tensor, Tensor, int]) -> dict[str, Tensor]:
        """Cross-entropy of the slide, and network one's own loss on its tiles."""
        rgb, mask, category = batch
        with mixed(self.how):
            said = self.module.tiles(self._given(rgb), at_stem=True)
        nodes = said.features.float()
        logits = self.module.slides(nodes, self._edges(nodes))
        shares, label = stem_truth(mask, self.module.tiles.config.stem_stride), classes_of(mask, least=0.02)
        own = tile_losses(said.pixel_logits.float(), shares, said.class_logits.float(), label, LossSection())["loss"]
        slide = F.cross_entropy(logits.float(), torch.tensor([category], device=nodes.device))
        return {"loss": slide + self.config.end_to_end.tile_weight * own, "slide": slide, "tiles": own}

    def validate(self) -> dict[str, float]:
        """Measures of the validation slides."""
        truth, prob = self.judge(self.val)
        told = summary(truth, prob)
        return told | {"score": told["macro_f1"] - 0.01 * told["log_loss"]}

    def judge(self, tiles: TileSet) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """True categories and probabilities of the slides of a split."""
        slides = slides_of(tiles)
        prob = [self._answer(tiles, slide) for slide in slides]
        return np.array([slide.category for slide in slides], np.int64), np.stack(prob)

    def choose(self, tiles: TileSet, slide: SlideTiles) -> NDArray[np.int64]:
        """Rows of the slide's top-k tiles, in node order, as network one stands."""
        return slide.rows[self._rank(*self._seen(tiles, slide), self.config.graph)]

    def _answer(self, tiles: TileSet, slide: SlideTiles) -> NDArray[np.float32]:
        features, worth = self._seen(tiles, slide)
        nodes = torch.from_numpy(features[self._rank(features, worth, self.config.graph)]).to(self.how.device)
        with torch.inference_mode():
            prob: NDArray[np.float32] = self.module.slides(nodes, self._edges(nodes))[0].softmax(dim=0).cpu().numpy()
        return prob

    def _seen(self, tiles: TileSet, slide: SlideTiles) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Feature vectors and target probabilities of all tiles of a slide, in evaluation mode."""
        was = self.module.training
        self.module.eval()
        features, worth = [], []
        for start in range(0, len(slide.rows), 8):
            rgb = np.stack([tiles.read(int(row))[0] for row in slide.rows[start : start + 8]])
            with torch.no_grad(), mixed(self.how):
                said = self.module.tiles(self._given(torch.from_numpy(rgb).to(self.how.device)))
            features.append(said.features.float().cpu().numpy())
            worth.append((1 - said.pixel_logits.float().softmax(dim=1)[:, 0]).sum(dim=(1, 2)).cpu().numpy())
        self.module.train(was)
        return np.concatenate(features), np.concatenate(worth)

    def _rank(
        self, features: NDArray[np.float32], worth: NDArray[np.float32], how: GraphNetSection
    ) -> NDArray[np.int64]:
        return topk(np.arange(len(features)), worth, how.k, order=how.order, seed=self.config.schedule.seed)

    def _edges(self, nodes: Tensor) -> Tensor:
        found = adjacency(correlation(nodes.detach().cpu().numpy()), self.config.graph.threshold)
        return torch.from_numpy(edge_index(found)).to(nodes.device)

    def _given(self, rgb: Tensor) -> Tensor:
        return normalise(rgb, self.card).contiguous(memory_format=self.how.layout())


def train_both(
    config: SlidesConfig, recipe: Recipe, slide_weights: Path, out: Path, *, fresh: bool = False, quiet: bool = False
) -> list[Outcome]:
    """Train both networks further, under the slides' loss.

    Parameters
    ----------
    config : SlidesConfig
        Its ``tile_weights`` and `slide_weights` are where it begins, its ``end_to_end`` how it goes on.
    recipe : Recipe
        Of the pipeline with the trained tile network.
    slide_weights : Path
        Of network two.
    out : Path
        Folder of its own.
    fresh, quiet : bool
        As `wsipipe.train.gastric.train_tiles` has them.

    Returns
    -------
    list of Outcome
        Network one, then network two.
    """
    how = ready(out, config.machine, config.numbers.dtype, config.numbers.memory_format, fresh=fresh)
    with Log(out, quiet=quiet) as log:
        cache = Path(config.machine.cache) if config.machine.cache else out.parent / "cache"
        folder = gather(_tiles_config(config), recipe, cache, told=log.gathered)
        task = _task(config, slide_weights, folder, how)
        schedule = config.schedule.model_copy(
            update={"epochs": config.end_to_end.epochs, "learning_rate": config.end_to_end.learning_rate, "batch": 1}
        )
        told = identity(config) | {"tiles": folder.name, "from": find(slide_weights).sha256}
        progress = fit(task, Plan(schedule, told, out, config.machine.checkpoint_s), log)
    made = provenance(progress, how, config.schedule.seed) | {"end_to_end": True, "config": identity(config)}
    return _save(task, slide_weights, out, made)


def slides_of(tiles: TileSet) -> list[SlideTiles]:
    """The slides of a split, each with its rows."""
    owner = tiles.where[:, 0]
    return [
        SlideTiles(np.flatnonzero(owner == number), CATEGORIES.index(shard.category))
        for number, shard in enumerate(tiles.shards)
    ]


def _task(config: SlidesConfig, slide_weights: Path, folder: Path, how: Execution) -> BothTask:
    file, second = find(config.tile_weights, VNET), find(slide_weights)
    torch.manual_seed(config.schedule.seed)
    one = load(file, lambda card: VNet(settings(card.architecture, "vnet", VNetConfig)))
    two = load(second, lambda card: build(settings(card.architecture, "gcn", GcnConfig)))
    both = Both(one, two).to(how.device)
    return BothTask(config, both, file.card, how, TileSet.of(folder, "train"), TileSet.of(folder, "val"))


def _tiles_config(config: SlidesConfig) -> TilesConfig:
    """Tiles with masks for the slides: as many as may become top-k."""
    section, phantom = config.end_to_end, config.data.phantom
    size = phantom.size_px or 4096
    made = {
        "seed": phantom.seed, "size_px": size, "tiles_per_slide": section.tiles_per_slide,
        "train_slides": min(section.slides, phantom.train_slides), "val_slides": phantom.val_slides, "test_slides": 1,
    }  # fmt: skip
    own = config.data.own.model_dump() | {"tiles_per_slide": section.tiles_per_slide}
    data = {"source": config.data.source, "phantom": made, "own": own}
    same = {name: getattr(config, name).model_dump() for name in ("tile", "tissue", "stain", "machine")}
    crop = {"crop_px": 0}
    return TilesConfig.model_validate({"data": data, "schedule": crop, **same})


def _save(task: BothTask, slide_weights: Path, out: Path, made: dict[str, object]) -> list[Outcome]:
    truth, prob = task.judge(task.val)
    scores = {"val": {name: round(value, 4) for name, value in summary(truth, prob).items()}}
    said = say(task.module.tiles.eval(), task.val, task.card, task.how)
    known = fit_statistics(said.features, said.label)
    found = []
    parts: Sequence[tuple[nn.Module, Card]] = (
        (task.module.tiles, task.card),
        (task.module.slides, find(slide_weights).card),
    )
    for module, card in parts:
        path = out / f"{card.name}-end-to-end.safetensors"
        named = card.model_copy(update={"name": path.stem, "trained": True, "made": made | {"scores": scores}})
        written = save(path, module, named, known=known if module is task.module.tiles else None)
        found.append(Outcome(path, written, scores))
    return found
