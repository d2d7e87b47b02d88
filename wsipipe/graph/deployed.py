"""The slide network as a run asks it: one slide at a time, in plain torch, without torch-geometric.

Enters: settings of the trained network (`wsipipe.graph.gcn.GcnConfig`). Leaves: a module with the same parameters, by
the same names, and the same answer. Next: `wsipipe.graph.gcn.classify`.

Training passes messages along the edges of many slides at once and is torch-geometric's. One slide has at most some
dozen nodes: there a graph convolution is three small matrix products, and no process of a run has to import
torch-geometric. This file imports torch: import it inside functions only.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsipipe.models.card import CATEGORIES

if TYPE_CHECKING:
    from wsipipe.graph.gcn import GcnConfig


class Convolution(nn.Module):
    """Kipf and Welling's layer: D^-1/2 A D^-1/2 X W + b; the parameters of torch-geometric's ``GCNConv``.

    Parameters
    ----------
    inputs, outputs : int
        Lengths of a node's vector.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lin = nn.Linear(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.lin.weight)

    def forward(self, nodes: Tensor, passing: Tensor) -> Tensor:
        """(n, outputs) of nodes (n, inputs) and the scaled adjacency matrix (n, n)."""
        return passing @ self.lin(nodes) + self.bias


class OneSlide(nn.Module):
    """The network for one slide.

    Parameters
    ----------
    config : GcnConfig
    """

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
        """Category logits (4,) of nodes (n, D) and the adjacency matrix (n, n), n at least 1."""
        passing = self._passing(adjacency.to(nodes.dtype))
        for convolution in self.convs:
            nodes = F.relu(convolution(nodes, passing))
        if self.config.layers == 0:
            nodes = F.relu(self.alone(nodes))
        logits: Tensor = self.category(self._read_out(nodes))
        return logits

    def _passing(self, adjacency: Tensor) -> Tensor:
        """What each node hears of each other; a node without a neighbour hears nothing, itself excepted."""
        edges = adjacency if self.config.edges else torch.zeros_like(adjacency)
        if self.config.self_loops:
            edges = torch.maximum(edges, torch.eye(len(edges), dtype=edges.dtype, device=edges.device))
        degree = edges.sum(dim=1)
        scale = torch.where(degree > 0, degree.clamp_min(1).rsqrt(), torch.zeros_like(degree))
        return scale[:, None] * edges * scale

    def _read_out(self, nodes: Tensor) -> Tensor:
        if self.config.readout == "attention":
            look, open_ = self.gate
            score = self.score(look(nodes).tanh() * open_(nodes).sigmoid()).softmax(dim=0)
            return (nodes * score).sum(dim=0)
        if self.config.readout == "ordered":
            kept = nodes[: self.config.slots]
            return F.pad(kept, (0, 0, 0, self.config.slots - len(kept))).flatten()
        return nodes.amax(dim=0) if self.config.readout == "max" else nodes.mean(dim=0)
