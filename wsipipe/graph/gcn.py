"""The slide's category from the graph of its top-k tiles, by graph convolution.

Enters: feature vectors of the nodes, in node order, and the adjacency matrix. Leaves: probabilities of
the four categories. Next room: `wsipipe.store`; `wsipipe.train` fits the network.
Source: CN 112990339 A. It leaves layers, read-out, self-loops and fewer tiles than k open: they are
settings here (`GcnConfig`). Baselines are settings too: ``no_edges``, ``attention_mil``, ``mean_pool``.
Training's network is torch-geometric's, a run's is `wsipipe.graph.deployed` with the same parameters. Torch and
torch-geometric are imported inside functions only.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from wsipipe.graph.deployed import one_slide
from wsipipe.models.architecture import Architecture, Count, settings
from wsipipe.models.card import CATEGORIES, Card
from wsipipe.models.device import Execution, Options, execution, loaded
from wsipipe.models.weights import WeightsFile, find, load
from wsipipe.stage import Batch, Ref, Spec, Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

INPUTS = (
    Spec("topk_features", (None, None), scope="slide", about="feature vectors of the top-k tiles in node order"),
    Spec("adjacency", (None, None), "uint8", scope="slide", about="1: connected"),
)
OUTPUTS = (
    Spec("category_prob", (4,), scope="slide", about=f"probabilities of {', '.join(CATEGORIES)}; NaN without tiles"),
)


class GcnConfig(BaseModel):
    """Settings of the slide network.

    Parameters
    ----------
    features : int
        Length D of a node's feature vector.
    layers : int
        Graph convolutions (Kipf and Welling, 2017), each with a rectifier. 0: every node by itself
        through one fully connected layer.
    hidden : int
        Width of node vectors after each layer.
    self_loops : bool
        Whether a convolution sees the node itself. Without it a node without edges outputs the bias only.
    edges : bool
        False leaves all edges out (self-loops stay).
    readout : {"mean", "max", "attention", "ordered"}
        How node vectors become one: their mean; their maximum; their mean under learned weights (gated
        attention, Ilse et al., 2018); or the first `slots` of them one after the other, zeros where there
        are fewer: the only one that the node order can matter to.
    slots : int
        Nodes that ``ordered`` has room for; further ones are left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: Count = 64
    layers: Annotated[int, Field(ge=0, le=32)] = 2
    hidden: Count = 64
    self_loops: bool = True
    edges: bool = True
    readout: Literal["mean", "max", "attention", "ordered"] = "mean"
    slots: Count = 10


GCN_PRESETS = {
    "gcn": GcnConfig(),
    "tiny": GcnConfig(features=16, hidden=16),
    "ordered": GcnConfig(readout="ordered"),
    "no_edges": GcnConfig(edges=False),
    "attention_mil": GcnConfig(layers=0, readout="attention"),
    "mean_pool": GcnConfig(layers=0, readout="mean"),
}
"""The default first; ``tiny`` fits the tile network of that name, the last three are baselines without a graph."""

GCN = {name: Architecture(name="gcn", config=config.model_dump(mode="json")) for name, config in GCN_PRESETS.items()}


def build(config: GcnConfig) -> nn.Module:
    """The network as it is trained, of torch-geometric's layers; untrained.

    Returns
    -------
    torch.nn.Module
        ``module(nodes, edge_index, batch=None)``: ``nodes`` (n, D) float32; ``edge_index`` (2, e) int64, both
        directions of every edge; ``batch`` (n,) int64, the slide of each node (ascending; one slide if not
        given). Gives category logits (slides, 4).
    """
    made: nn.Module = _kind()(config)
    return made


def edge_index(adjacency: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(2, e) int64: row and column of every connection, both directions, as torch-geometric wants them."""
    return np.stack(np.nonzero(adjacency)).astype(np.int64)


def classify(*, weights: str, sha256: str = "", **how: Unpack[Options]) -> Stage:
    """Stage that classifies a slide's graph.

    Parameters
    ----------
    weights : str
        Name or path of weights of a ``gcn``, or ``untrained[:SEED[:PRESET]]`` with a preset of ``GCN_PRESETS``.
    sha256 : str
        What the weights must hash to; empty accepts what is found.
    **how
        ``device``, ``dtype``, ``memory_format`` (changes nothing here) and ``threads``.

    Returns
    -------
    Stage
        Inputs ``topk_features`` (n, D) float32 and ``adjacency`` (n, n) uint8; n may be anything, 0 included.
        Output ``category_prob`` (4,) float32, sums to 1; all NaN for n = 0.

    Raises
    ------
    WeightsError
        Where the weights cannot be used.
    """
    file, resolved = find(weights, GCN).check(sha256), execution(**how)
    config = settings(file.card.architecture, "gcn", GcnConfig)
    nodes = Spec("topk_features", (None, config.features), scope="slide", about=INPUTS[0].about)
    ref = Ref("wsipipe.graph.gcn:classify", {"weights": weights, **resolved.params()}, file.sha256)
    return Stage(ref, "classify", 2, (nodes, INPUTS[1]), OUTPUTS, partial(probabilities, file, resolved))


def probabilities(
    file: WeightsFile, how: Execution, *, topk_features: NDArray[np.float32], adjacency: NDArray[np.uint8]
) -> Batch:
    """Category probabilities of one slide; see `classify`."""
    if len(topk_features) == 0:
        return {"category_prob": np.full(len(CATEGORIES), np.nan, np.float32)}
    import torch

    module = loaded((file.sha256, how), lambda: load(file, _build).to(how.device))
    with how.inference():
        nodes = torch.from_numpy(np.array(topk_features, np.float32)).to(how.device)
        edges = torch.from_numpy(np.array(adjacency)).to(how.device)
        logits = module(nodes, edges).float()
        return {"category_prob": logits.softmax(dim=0).cpu().numpy()}


def category(prob: NDArray[np.floating[Any]]) -> str | None:
    """The category of the largest probability; ties go to the less severe; None where they are NaN.

    Parameters
    ----------
    prob : (4,) floats
    """
    return None if np.isnan(prob).any() else CATEGORIES[int(np.argmax(prob))]


def _build(card: Card) -> nn.Module:
    return one_slide(settings(card.architecture, "gcn", GcnConfig))


@cache
def _kind() -> type[nn.Module]:
    """The network's class: defined here, so that importing this room imports no torch."""
    import torch.nn.functional as F
    from torch import nn, zeros_like
    from torch_geometric.nn import GCNConv

    class SlideNetwork(nn.Module):
        def __init__(self, config: GcnConfig) -> None:
            super().__init__()
            self.config, hidden = config, config.hidden
            sizes = [config.features, *[hidden] * config.layers]
            self.convs = nn.ModuleList(GCNConv(a, b, add_self_loops=config.self_loops) for a, b in pairwise(sizes))
            self.alone = nn.Linear(config.features, hidden) if config.layers == 0 else nn.Identity()
            self.gate = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2 * (config.readout == "attention")))
            self.score = nn.Linear(hidden, 1, bias=False) if config.readout == "attention" else nn.Identity()
            width = hidden * (config.slots if config.readout == "ordered" else 1)
            self.category = nn.Linear(width, len(CATEGORIES))

        def forward(self, nodes: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
            edges = edge_index if self.config.edges else edge_index[:, :0]
            batch = zeros_like(nodes[:, 0], dtype=edge_index.dtype) if batch is None else batch
            for convolution in self.convs:
                nodes = F.relu(convolution(nodes, edges))
            if self.config.layers == 0:
                nodes = F.relu(self.alone(nodes))
            logits: Tensor = self.category(_read_out(self, nodes, batch))
            return logits

    return SlideNetwork


def _read_out(network: Any, nodes: Tensor, batch: Tensor) -> Tensor:
    """One vector per slide, of its node vectors."""
    from torch_geometric.nn import global_add_pool, global_max_pool, global_mean_pool
    from torch_geometric.utils import softmax, to_dense_batch

    pooled: Tensor
    if network.config.readout == "attention":
        look, open_ = network.gate
        score = softmax(network.score(look(nodes).tanh() * open_(nodes).sigmoid()), batch)
        pooled = global_add_pool(nodes * score, batch)
    elif network.config.readout == "ordered":
        dense, _ = to_dense_batch(nodes, batch, max_num_nodes=network.config.slots)
        pooled = dense.flatten(1)
    else:
        pool = global_max_pool if network.config.readout == "max" else global_mean_pool
        pooled = pool(nodes, batch)
    return pooled
