"""Network two: graphs are those of inference; it learns; killed and resumed is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.train.test_loop import Killed, Watch, digest
from wsipipe.config import load
from wsipipe.errors import UsageError
from wsipipe.graph.pearson import connect
from wsipipe.graph.topk import select
from wsipipe.models.device import execution
from wsipipe.models.weights import find, save
from wsipipe.models.weights import load as load_weights
from wsipipe.train.config import GraphNetSection, SlidesConfig, identity
from wsipipe.train.features import SlideFeatures, load_features, of_split, save_features
from wsipipe.train.gastric_slides import fit_graph, judged
from wsipipe.train.graphs import graph_of, joined, shaken

TINY = Path(__file__).parents[2] / "configs" / "gastric-slides.tiny.yaml"
CPU = execution("cpu")


def slide(number: int, category: int, split: str, *, tiles: int = 12) -> SlideFeatures:
    """A slide whose few most positive tiles point in the direction of its category."""
    rng = np.random.default_rng([number, category])
    features = rng.normal(0, 0.5, (tiles, 16)).astype(np.float32)
    worth = rng.uniform(0, 1, tiles).astype(np.float32)
    if tiles:
        features[np.argsort(worth)[-4:], category * 4 : category * 4 + 4] += 3
    prob = np.full((tiles, 4), 0.25, np.float32)
    name = f"{split}-{number}"
    return SlideFeatures(name, split, name, category, np.arange(tiles) * 3, features, worth, prob)


def cohort() -> list[SlideFeatures]:
    return [slide(n, n % 4, split) for split, count in (("train", 24), ("val", 8), ("test", 8)) for n in range(count)]


def config(**sets: Any) -> SlidesConfig:
    return load(SlidesConfig, TINY, [f"{key}={json.dumps(value)}" for key, value in sets.items()])


def fitted(out: Path, watch: Watch | None = None, **sets: Any) -> Any:
    settings = config(**sets)
    out.mkdir(exist_ok=True)
    return fit_graph(settings, cohort(), out, CPU, watcher=watch or Watch(), told=identity(settings))


def test_the_graph_is_that_of_inference() -> None:
    one = slide(1, 2, "train")
    how = GraphNetSection(k=5, threshold=0.3)
    nodes, edges = graph_of(one, how)
    kept = select(k=5).fn(tile_id=one.tile_id, positive_sum=one.positive_sum, features=one.features)
    wanted = connect(threshold=0.3).fn(topk_features=kept["topk_features"])["adjacency"]
    np.testing.assert_array_equal(nodes, kept["topk_features"])
    np.testing.assert_array_equal(edges, np.stack(np.nonzero(wanted)))


def test_shaken_without_chances_is_the_graph_itself() -> None:
    one = slide(1, 2, "train")
    how = GraphNetSection(k=5, drop_tiles=0, noise=0)
    for ours, theirs in zip(shaken(one, how, np.random.default_rng(0)), graph_of(one, how), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    nodes, _ = shaken(one, how.model_copy(update={"drop_tiles": 1.0}), np.random.default_rng(0))
    assert len(nodes) == 1


def test_joined_graphs_answer_as_single_ones(tmp_path: Path) -> None:
    module = fitted(tmp_path).module.eval()
    slides = [slide(n, n % 4, "test", tiles=3 + n) for n in range(5)]
    graphs = [graph_of(one, config().graph) for one in slides]
    whole = joined(graphs, [one.category for one in slides], CPU)
    together = module(whole.nodes, whole.edges, whole.slide)
    alone = torch.cat([module(torch.from_numpy(nodes), torch.from_numpy(edges)) for nodes, edges in graphs])
    np.testing.assert_allclose(together.detach(), alone.detach(), atol=1e-5)


def test_it_learns_and_its_weights_come_back(tmp_path: Path) -> None:
    found = fitted(tmp_path, **{"schedule.epochs": 20, "schedule.learning_rate": 0.01, "graph.threshold": 0.2})
    said = judged(found, cohort())
    truth, prob = said["test"]
    assert (prob.argmax(axis=1) == truth).mean() >= 0.85
    from wsipipe.graph.gcn import GcnConfig, build
    from wsipipe.models.architecture import Architecture
    from wsipipe.models.card import Card
    from wsipipe.train.graphs import gcn_config, say_slides

    settings = gcn_config(found.task.graph, 16)
    card = Card(name="g", architecture=Architecture(name="gcn", config=settings.model_dump(mode="json")))
    save(tmp_path / "g.safetensors", found.module, card)
    again = load_weights(find(tmp_path / "g.safetensors"), lambda c: build(GcnConfig(**c.architecture.config)))
    np.testing.assert_array_equal(say_slides(again, of_split(cohort(), "test"), found.task.graph, CPU), prob)


@pytest.mark.parametrize("kills", [(1,), (13, 5)])
def test_killed_and_resumed_gives_the_same_weights(tmp_path: Path, kills: tuple[int, ...]) -> None:
    sets = {"machine.checkpoint_s": 1e-9}
    whole = fitted(tmp_path / "whole", **sets)
    for steps in kills:
        with pytest.raises(Killed):
            fitted(tmp_path / "parts", Watch(steps), **sets)
    assert digest(fitted(tmp_path / "parts", **sets).module) == digest(whole.module)


def test_a_category_without_slides_is_named(tmp_path: Path) -> None:
    slides = [one for one in cohort() if one.category != 1 or one.split != "val"]
    slides.append(slide(99, 1, "val", tiles=0))  # an empty slide has no graph
    with pytest.raises(UsageError, match="needs a slide with tissue in split 'val', there is none of low_grade"):
        fit_graph(config(), slides, tmp_path, CPU, watcher=Watch(), told={})


def test_features_are_kept(tmp_path: Path) -> None:
    one = slide(3, 1, "val")
    save_features(tmp_path, one)
    again = load_features(tmp_path, "val-3")
    assert again is not None
    for name in ("tile_id", "features", "positive_sum", "class_prob"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name))
    assert (again.name, again.split, again.case_id, again.category) == ("val-3", "val", "val-3", 1)
    assert load_features(tmp_path, "val-4") is None
