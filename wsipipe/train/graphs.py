"""Training of network two: the graphs of slides to a graph convolutional network.

Enters: the features of slides, settings. Leaves: the task that `wsipipe.train.loop` trains, and what the network
says of a split. The loss is cross-entropy (the source leaves it undefined), the selection of tiles that of
inference. Next: `wsipipe.train.gastric_slides`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from wsipipe.graph.gcn import GcnConfig, edge_index
from wsipipe.graph.pearson import adjacency, correlation
from wsipipe.graph.topk import topk
from wsipipe.models.device import Execution
from wsipipe.train.config import GraphNetSection, SlideScheduleSection
from wsipipe.train.features import SlideFeatures
from wsipipe.train.metric import summary

Graph = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Feature vectors of the nodes (n, D), and edges (2, e)."""


@dataclass(frozen=True)
class Graphs:
    """Several slides as one graph: nodes, edges, the slide of each node, the category of each slide."""

    nodes: Tensor
    edges: Tensor
    slide: Tensor
    category: Tensor


@dataclass
class GraphTask:
    """A `Task` of `wsipipe.train.loop`."""

    graph: GraphNetSection
    schedule: SlideScheduleSection
    module: nn.Module
    how: Execution
    train: Sequence[SlideFeatures]
    val: Sequence[SlideFeatures]

    def steps(self, epoch: int) -> int:  # noqa: ARG002 (every epoch has as many)
        """All slides in batches, the last may be smaller."""
        return -(-len(self.train) // self.schedule.batch)

    def batches(self, epoch: int, start: int) -> Iterator[Graphs]:
        """Batches of an epoch from `start` on."""
        order = np.random.default_rng([self.schedule.seed, epoch, 0]).permutation(len(self.train))
        for step in range(start, self.steps(epoch)):
            rng = np.random.default_rng([self.schedule.seed, epoch, 1, step])
            rows = order[step * self.schedule.batch : (step + 1) * self.schedule.batch].tolist()
            slides = [self.train[row] for row in rows]
            graphs = [shaken(slide, self.graph, rng) for slide in slides]
            yield joined(graphs, [slide.category for slide in slides], self.how)

    def loss(self, batch: Graphs) -> dict[str, Tensor]:
        """Cross-entropy of the slides' categories."""
        return {"loss": F.cross_entropy(self.module(batch.nodes, batch.edges, batch.slide).float(), batch.category)}

    def validate(self) -> dict[str, float]:
        """Measures of the validation slides; ``score`` is the macro-F1, less a hundredth of the log loss."""
        prob = say_slides(self.module, self.val, self.graph, self.how)
        told = summary(np.array([slide.category for slide in self.val]), prob)
        return told | {"score": told["macro_f1"] - 0.01 * told["log_loss"]}


def gcn_config(graph: GraphNetSection, features: int) -> GcnConfig:
    """The network's settings for feature vectors of a length."""
    return GcnConfig(
        features=features, layers=graph.layers, hidden=graph.hidden, self_loops=graph.self_loops, edges=graph.edges,
        readout=graph.readout, slots=graph.k,
    )  # fmt: skip


def graph_of(slide: SlideFeatures, graph: GraphNetSection, *, seed: int = 0) -> Graph:
    """The graph of a slide, by the functions that inference uses."""
    rows = topk(slide.tile_id, slide.positive_sum, graph.k, order=graph.order, seed=seed)
    nodes = slide.features[rows]
    return nodes, edge_index(adjacency(correlation(nodes), graph.threshold))


def shaken(slide: SlideFeatures, graph: GraphNetSection, rng: np.random.Generator) -> Graph:
    """The graph of a slide some of whose tiles were left out, with noise on the vectors; one tile is always left."""
    stay = rng.random(len(slide.tile_id)) >= graph.drop_tiles
    stay[int(rng.integers(len(stay)))] = True
    rows = np.flatnonzero(stay)
    chosen = rows[
        topk(slide.tile_id[rows], slide.positive_sum[rows], graph.k, order=graph.order, seed=int(rng.integers(2**31)))
    ]
    nodes = slide.features[chosen]
    nodes = (nodes + graph.noise * rng.standard_normal(nodes.shape)).astype(np.float32)
    return nodes, edge_index(adjacency(correlation(nodes), graph.threshold))


def joined(graphs: Sequence[Graph], categories: Sequence[int], how: Execution) -> Graphs:
    """Several graphs as one without edges between them."""
    sizes = [len(nodes) for nodes, _ in graphs]
    starts = np.cumsum([0, *sizes[:-1]])
    edges = np.concatenate([edges + start for (_, edges), start in zip(graphs, starts, strict=True)], axis=1)
    arrays = (
        np.concatenate([nodes for nodes, _ in graphs]), edges, np.repeat(np.arange(len(graphs)), sizes),
        np.array(categories, np.int64),
    )  # fmt: skip
    return Graphs(*(torch.from_numpy(np.ascontiguousarray(array)).to(how.device) for array in arrays))


def say_slides(
    module: nn.Module, slides: Sequence[SlideFeatures], graph: GraphNetSection, how: Execution
) -> NDArray[np.float32]:
    """Category probabilities (slides, 4) in evaluation mode."""
    module.eval()
    graphs = joined([graph_of(slide, graph) for slide in slides], [slide.category for slide in slides], how)
    with torch.inference_mode():
        logits = module(graphs.nodes, graphs.edges, graphs.slide).float()
    prob: NDArray[np.float32] = logits.softmax(dim=1).cpu().numpy()
    return prob
