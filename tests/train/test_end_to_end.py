"""The slide's loss reaches network one through the kept tiles' feature vectors, and through nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.train.conftest import painted
from tests.train.test_graphs import config
from tests.train.test_loop import Killed, Watch, digest
from wsipipe.graph.gcn import GcnConfig, build
from wsipipe.models.architecture import VNET, VNET_PRESETS
from wsipipe.models.card import CATEGORIES, Card
from wsipipe.models.device import execution
from wsipipe.models.vnet import VNet
from wsipipe.train.end_to_end import Both, BothTask, slides_of
from wsipipe.train.loop import Plan, fit
from wsipipe.train.tileset import Shard, TileSet, write_index, write_shard


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides in each split, one of each category, of five tiles; the first tile of a slide is negative."""
    folder, rng, shards = tmp_path_factory.mktemp("slides"), np.random.default_rng(0), []
    for split in ("train", "val"):
        for category in range(4):
            label = (0, *[category] * 4)
            pairs = [painted(kind, rng) for kind in label]
            name = f"{split}-{category}"
            write_shard(folder, name, np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]))
            shards.append(Shard(name, split, name, CATEGORIES[category], label))
    write_index(folder, shards)
    return folder


def task(slides: Path, **sets: Any) -> BothTask:
    torch.manual_seed(0)
    both = Both(VNet(VNET_PRESETS["tiny"]), build(GcnConfig(features=16, hidden=16)))
    card = Card(name="t", architecture=VNET["tiny"])
    train, val = TileSet.of(slides, "train"), TileSet.of(slides, "val")
    return BothTask(config(**sets), both, card, execution("cpu"), train, val)


def test_the_slides_loss_reaches_network_one_through_the_vectors(slides: Path) -> None:
    one = task(slides, **{"end_to_end.tile_weight": 0.0})
    one.module.train()
    parts = one.loss(next(one.batches(0, 0)))
    assert parts["loss"].item() == parts["slide"].item()
    parts["loss"].backward()
    network = one.module.tiles
    assert float(network.stem[0].weight.grad.abs().sum()) > 0
    assert float(network.feature.weight.grad.abs().sum()) > 0
    for untouched in (network.pixel, network.category):  # they name no slide
        assert untouched.weight.grad is None or float(untouched.weight.grad.abs().sum()) == 0


def test_network_ones_own_loss_is_added_with_its_weight(slides: Path) -> None:
    one = task(slides, **{"end_to_end.tile_weight": 0.25})
    parts = one.loss(next(one.batches(0, 0)))
    assert parts["loss"].item() == pytest.approx(parts["slide"].item() + 0.25 * parts["tiles"].item())


def test_batch_norms_keep_their_statistics(slides: Path, tmp_path: Path) -> None:
    one = task(slides)
    before = {name: value.clone() for name, value in one.module.tiles.named_buffers()}
    learnt = one.module.tiles.stem[0].weight.detach().clone()
    fit(one, Plan(one.config.schedule, {}, tmp_path), Watch())
    assert all(torch.equal(value, before[name]) for name, value in one.module.tiles.named_buffers())
    assert not torch.equal(one.module.tiles.stem[0].weight, learnt)


def test_the_top_k_is_that_of_the_tiles_probabilities(slides: Path) -> None:
    one = task(slides, **{"graph.k": 3})
    slide = slides_of(one.train)[2]
    features, worth = one._seen(one.train, slide)
    assert one.choose(one.train, slide).tolist() == slide.rows[np.argsort(-worth, kind="stable")[:3]].tolist()
    assert features.shape == (5, 16)
    assert slide.category == 2


def test_killed_and_resumed_gives_the_same_weights(slides: Path, tmp_path: Path) -> None:
    def run(out: Path, watch: Watch) -> Any:
        out.mkdir(exist_ok=True)
        one = task(slides)
        fit(one, Plan(one.config.schedule, {}, out, 1e-9), watch)
        return one

    whole = run(tmp_path / "whole", Watch())
    for steps in (2, 3):
        with pytest.raises(Killed):
            run(tmp_path / "parts", Watch(steps))
    assert digest(run(tmp_path / "parts", Watch()).module) == digest(whole.module)
