"""The slide network as a run asks it: one slide at a time, in plain torch, without torch-geometric.

Enters: settings of the trained network (`wsipipe.graph.gcn.GcnConfig`). Leaves: a module with the same parameters, by
the same names, and the same answer. Next: `wsipipe.graph.gcn.classify`.

Training passes messages along the edges of many slides at once and is torch-geometric's. One slide has at most some
dozen nodes: there a graph convolution is three small matrix products, and no process of a run has to import
torch-geometric. Torch is imported inside functions only.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from wsipipe.models.card import CATEGORIES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wsipipe.graph.gcn import GcnConfig


def one_slide(config: GcnConfig) -> nn.Module:
    """The network for one slide, untrained.

    Returns
    -------
    torch.nn.Module
        ``module(nodes, adjacency)``: ``nodes`` (n, D) float32, ``adjacency`` (n, n), 1 where connected, n at least 1.
        Gives category logits (4,). Its parameters have the names of `wsipipe.graph.gcn.build`'s.
    """
    made: nn.Module = _kind()(config)
    return made


@cache
def _kind() -> type[nn.Module]:
    """The network's class: defined here, so that importing this room imports no torch."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Convolution(nn.Module):
        """Kipf and Welling's layer: D^-1/2 A D^-1/2 X W + b; the parameters of torch-geometric's ``GCNConv``."""

        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.lin = nn.Linear(inputs, outputs, bias=False)
            self.bias = nn.Parameter(torch.zeros(outputs))
            nn.init.xavier_uniform_(self.lin.weight)

        def forward(self, nodes: Tensor, passing: Tensor) -> Tensor:
            """(n, outputs) of nodes (n, inputs) and what each hears of each other (n, n)."""
            return passing @ self.lin(nodes) + self.bias

    class OneSlide(nn.Module):
        def __init__(self, config: GcnConfig) -> None:
            super().__init__()
            self.config, hidden = config, config.hidden
            sizes = [config.features, *[hidden] * config.layers]
            self.convs = nn.ModuleList(Convolution(a, b) for a, b in pairwise(sizes))
            self.alone = nn.Linear(config.features, hidden) if config.layers == 0 else nn.Identity()
            self.gate = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2 * (config.readout == "attention")))
            self.score = nn.Linear(hidden, 1, bias=False) if config.readout == "attention" else nn.Identity()
            width = hidden * (config.slots if config.readout == "ordered" else 1)
            self.category = nn.Linear(width, len(CATEGORIES))

        def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
            passing = _passing(self.config, adjacency.to(nodes.dtype))
            for convolution in self.convs:
                nodes = F.relu(convolution(nodes, passing))
            if self.config.layers == 0:
                nodes = F.relu(self.alone(nodes))
            logits: Tensor = self.category(_read_out(self, nodes))
            return logits

    return OneSlide


def _passing(config: GcnConfig, adjacency: Tensor) -> Tensor:
    """What each node hears of each other; a node without a neighbour hears nothing, itself excepted."""
    import torch

    edges = adjacency if config.edges else torch.zeros_like(adjacency)
    if config.self_loops:
        edges = torch.maximum(edges, torch.eye(len(edges), dtype=edges.dtype, device=edges.device))
    degree = edges.sum(dim=1)
    scale = torch.where(degree > 0, degree.clamp_min(1).rsqrt(), torch.zeros_like(degree))
    return scale[:, None] * edges * scale


def _read_out(network: Any, nodes: Tensor) -> Tensor:
    """One vector of the node vectors."""
    from torch.nn.functional import pad

    config = network.config
    if config.readout == "attention":
        look, open_ = network.gate
        score: Tensor = network.score(look(nodes).tanh() * open_(nodes).sigmoid()).softmax(dim=0)
        return (nodes * score).sum(dim=0)
    if config.readout == "ordered":
        kept = nodes[: config.slots]
        return pad(kept, (0, 0, 0, config.slots - len(kept))).flatten()
    return nodes.amax(dim=0) if config.readout == "max" else nodes.mean(dim=0)
