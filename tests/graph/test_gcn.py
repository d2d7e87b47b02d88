"""The slide network: its convolution against the formula, its read-outs, its stage."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsipipe.errors import WeightsError
from wsipipe.graph.deployed import one_slide
from wsipipe.graph.gcn import GCN, GcnConfig, build, category, classify, edge_index
from wsipipe.graph.pearson import connect
from wsipipe.graph.topk import select
from wsipipe.models.card import Card
from wsipipe.models.weights import save
from wsipipe.stage import chain

pytestmark = pytest.mark.filterwarnings(  # torch-geometric 2.8 on import, with torch 2.12
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
)
READOUTS = ("mean", "max", "attention", "ordered")


def graph(n: int = 6, d: int = 5, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) < 0.4, 1)
    return rng.standard_normal((n, d)).astype(np.float32), (upper | upper.T).astype(np.uint8)


def logits(config: GcnConfig, nodes: NDArray[np.float32], edges: NDArray[np.uint8]) -> NDArray[np.float32]:
    torch.manual_seed(0)
    network = build(config).eval()
    with torch.inference_mode():
        said: NDArray[np.float32] = network(torch.from_numpy(nodes), torch.from_numpy(edge_index(edges))).numpy()
    return said[0]


@pytest.mark.parametrize("self_loops", [True, False])
def test_a_layer_is_the_formula_of_kipf_and_welling(self_loops: bool) -> None:
    """relu(D^-1/2 A D^-1/2 X W + b), then the mean, then a fully connected layer; in plain NumPy."""
    nodes, edges = graph()
    config = GcnConfig(features=5, layers=2, hidden=7, self_loops=self_loops)
    torch.manual_seed(0)
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in build(config).state_dict().items()}
    a = edges + np.eye(6) if self_loops else edges.astype(np.float64)
    degree = a.sum(axis=1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0)
    x = nodes.astype(np.float64)
    for layer in range(2):
        x = (scale[:, None] * a * scale) @ (x @ state[f"convs.{layer}.lin.weight"].T) + state[f"convs.{layer}.bias"]
        x = np.maximum(x, 0)
    expected = state["category.weight"] @ x.mean(axis=0) + state["category.bias"]
    np.testing.assert_allclose(logits(config, nodes, edges), expected, atol=1e-6)


@pytest.mark.parametrize("readout", READOUTS)
def test_node_order_matters_to_the_ordered_read_out_only(readout: str) -> None:
    nodes, edges = graph()
    config = GcnConfig.model_validate({"features": 5, "readout": readout})
    turned = np.array([3, 1, 0, 5, 4, 2])
    same = np.allclose(
        logits(config, nodes, edges), logits(config, nodes[turned], edges[np.ix_(turned, turned)]), atol=1e-5
    )
    assert same is (readout != "ordered")


@pytest.mark.parametrize("readout", READOUTS)
def test_a_batch_of_slides_equals_one_at_a_time(readout: str) -> None:
    config = GcnConfig.model_validate({"features": 5, "readout": readout, "slots": 4})
    first, second = graph(6), graph(2, seed=1)
    torch.manual_seed(0)
    network = build(config).eval()
    nodes = torch.from_numpy(np.concatenate([first[0], second[0]]))
    edges = torch.from_numpy(np.concatenate([edge_index(first[1]), edge_index(second[1]) + 6], axis=1))
    with torch.inference_mode():
        both = network(nodes, edges, torch.tensor([0] * 6 + [1] * 2)).numpy()
    np.testing.assert_allclose(both, [logits(config, *first), logits(config, *second)], atol=1e-6)


def test_no_edges_and_no_layers_see_no_graph() -> None:
    nodes, edges = graph()
    for config in (GcnConfig(features=5, edges=False), GcnConfig(features=5, layers=0, readout="attention")):
        np.testing.assert_array_equal(logits(config, nodes, edges), logits(config, nodes, np.zeros_like(edges)))
    assert not np.allclose(logits(GcnConfig(features=5), nodes, edges), logits(GcnConfig(features=5), nodes, 0 * edges))


def test_mean_pool_is_a_mean() -> None:
    nodes, edges = graph()
    twice = np.concatenate([nodes, nodes])
    config = GcnConfig(features=5, layers=0)
    np.testing.assert_allclose(
        logits(config, twice, np.zeros((12, 12), np.uint8)), logits(config, nodes, edges), atol=1e-6
    )


@pytest.mark.parametrize("n", [1, 3, 15])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("changed", [{}, {"self_loops": False}, {"edges": False}, {"layers": 0}, {"layers": 3}])
def test_a_run_s_network_answers_as_the_trained_one(n: int, readout: str, changed: dict[str, object]) -> None:
    config = GcnConfig.model_validate({"features": 5, "hidden": 7, "readout": readout, "slots": 4} | changed)
    nodes, edges = graph(n)
    torch.manual_seed(0)
    trained, deployed = build(config).eval(), one_slide(config).eval()
    deployed.load_state_dict(trained.state_dict())
    with torch.inference_mode():
        said = deployed(torch.from_numpy(nodes), torch.from_numpy(edges)).numpy()
    np.testing.assert_allclose(said, logits(config, nodes, edges), atol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 10, 15])
@pytest.mark.parametrize("preset", sorted(GCN))
def test_stage_gives_probabilities_for_any_number_of_tiles(preset: str, n: int) -> None:
    stage = classify(weights=f"untrained:1:{preset}")
    nodes, edges = graph(n, GcnConfig.model_validate(GCN[preset].config).features)
    got = stage.fn(topk_features=nodes, adjacency=edges)["category_prob"]
    assert (got.shape, got.dtype.name) == ((4,), "float32")
    assert got.sum() == pytest.approx(1, abs=1e-6)
    again = pickle.loads(pickle.dumps(stage)).fn(topk_features=nodes, adjacency=edges)["category_prob"]
    assert got.tobytes() == again.tobytes()


def test_zero_tiles_have_no_category() -> None:
    stage = classify(weights="untrained")
    got = stage.fn(topk_features=np.zeros((0, 64), np.float32), adjacency=np.zeros((0, 0), np.uint8))["category_prob"]
    assert np.isnan(got).all()
    assert (got.shape, got.dtype.name, category(got)) == ((4,), "float32", None)


def test_the_largest_probability_wins_and_ties_go_to_the_less_severe() -> None:
    assert category(np.array([0.1, 0.2, 0.6, 0.1])) == "high_grade"
    assert category(np.array([0.1, 0.4, 0.1, 0.4])) == "low_grade"


def test_three_stages_make_a_chain() -> None:
    steps = [select(k=3), connect(threshold=0.1), classify(weights="untrained:0:tiny")]
    made = chain(steps, select().inputs)
    features = graph(5, 16)[0]
    got = made(tile_id=np.arange(5), positive_sum=np.arange(5, dtype=np.float32), features=features)
    assert got["topk_id"].tolist() == [4, 3, 2]
    assert got["category_prob"].sum() == pytest.approx(1, abs=1e-6)


def test_weights_of_the_tile_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "slide.safetensors"
    save(path, build(GcnConfig()), Card(name="slide", architecture=GCN["gcn"]))
    nodes, edges = graph(4, 64)
    assert classify(weights=str(path)).fn(topk_features=nodes, adjacency=edges)["category_prob"].sum() == pytest.approx(
        1
    )
    save(path, build(GcnConfig()), Card(name="slide", architecture=GCN["gcn"].model_copy(update={"name": "vnet"})))
    with pytest.raises(WeightsError, match="this step needs 'gcn'"):
        classify(weights=str(path))
