"""Both trainings from made slides to weights that the pipeline takes, and what a worker cuts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsipipe.cli.train import _recipe
from wsipipe.config import load
from wsipipe.graph.gcn import GCN, classify
from wsipipe.lesion.gate import feature_distance
from wsipipe.lesion.network import tile_network
from wsipipe.models.architecture import VNET
from wsipipe.models.weights import find, statistics
from wsipipe.phantom import GENERATOR, write_gastric
from wsipipe.run.job import Job
from wsipipe.run.source import Source, close_all
from wsipipe.run.work import Context, close_step, do_unit, open_step, prepare
from wsipipe.train.config import SlidesConfig, TilesConfig
from wsipipe.train.cut import Order, cut, network_step, normalised, run_until
from wsipipe.train.gastric import train_tiles
from wsipipe.train.gastric_slides import train_slides
from wsipipe.train.tileset import Shard

CONFIGS = Path(__file__).parents[2] / "configs"


def recipe(config: Any, weights: str = "untrained:0:tiny") -> Any:
    return _recipe(config, "error", weights=weights)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a tiny training of network one, and of network two on it."""
    out = tmp_path_factory.mktemp("trained")
    tiles = load(TilesConfig, CONFIGS / "gastric-tiles.tiny.yaml")
    weights = train_tiles(tiles, recipe(tiles), out / "tiles", quiet=True).weights
    slides = load(SlidesConfig, CONFIGS / "gastric-slides.tiny.yaml", [f"tile_weights={weights}"])
    train_slides(slides, recipe(slides, str(weights)), out / "slides", quiet=True)
    return out / "tiles", out / "slides"


def test_network_one_is_what_the_pipeline_takes(trained: tuple[Path, Path]) -> None:
    file = find(trained[0] / "gastric-tiny.safetensors", VNET)
    assert file.card.trained
    assert file.card.notice == "trained on phantom slides; not for clinical use"
    assert GENERATOR in file.card.training_data
    assert file.card.made["generator"] == GENERATOR
    assert file.card.made["seconds"] > 0
    assert file.card.made["scores"].keys() <= {"val", "test"}
    stage = tile_network(weights=str(file.path), batch=2, map_scale=4)
    rgb = np.full((1, 128, 128, 3), 200, np.uint8)
    said = stage.fn(rgb=rgb, inside=np.array([[128, 128]], np.int32))
    known = statistics(file)
    assert known is not None
    assert feature_distance(said["features"], known).shape == (1,)


def test_network_two_is_what_the_pipeline_takes(trained: tuple[Path, Path]) -> None:
    file = find(trained[1] / "gastric-tiny-graph.safetensors", GCN)
    assert file.card.made["slides"] == {"train": 4, "val": 4, "test": 1}
    nodes = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    said = classify(weights=str(file.path)).fn(topk_features=nodes, adjacency=np.ones((5, 5), np.uint8))
    assert said["category_prob"].sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("which", [0, 1])
def test_the_report_is_there(trained: tuple[Path, Path], which: int) -> None:
    report = trained[which] / "report"
    for name in ("curves.png", "val.png", "README.md", "scores.json"):
        assert (report / name).stat().st_size > 100
    scores = json.loads((report / "scores.json").read_text())["val"]
    assert {"macro_f1", "accuracy", "auc", "ece"} <= scores.keys()
    assert list((trained[which] / "events").iterdir())


def test_a_worker_cuts_what_inference_sees(tmp_path: Path) -> None:
    config = load(TilesConfig, CONFIGS / "gastric-tiles.tiny.yaml", ["data.phantom.tiles_per_slide=6"])
    slide = write_gastric(tmp_path, category="invasive", seed=5, regime="train", size=1024, mpp=0.5)
    mask = slide.with_name(slide.stem + ".truth.npz")
    order = Order(
        Job(recipe(config), ""), Source(str(slide)), Shard("one", "train", "one", "invasive", ()), str(tmp_path),
        mask=str(mask), most=6, seed=3,
    )  # fmt: skip
    shard = cut(order)
    rgb, truth = (np.load(tmp_path / f"one-{kind}.npy") for kind in ("rgb", "mask"))
    assert len(shard.label) == len(rgb) == len(truth) == 6
    assert max(shard.label) == 3
    work = prepare(replace(order.job, results=str(tmp_path / "results")), order.source)
    assert work is not None
    step = network_step(work.job.recipe.build())
    run_until(work, step)
    whole = normalised(work, step, Context(work, step).ids)
    assert all(any(np.array_equal(one, other) for other in whole) for one in rgb)
    for unit in open_step(work, step):
        do_unit(work, step, unit)
    close_step(work, step)
    said = tile_network(weights="untrained:0:tiny", batch=8).fn(
        rgb=whole, inside=np.full((len(whole), 2), 128, np.int32)
    )
    np.testing.assert_allclose(Context(work, step + 1).rows("features"), said["features"], atol=1e-5)
    close_all()
