"""From tiles to a slide's category: top-k selection, the Pearson graph, graph convolution (CN 112990339 A).

Enters: rows of all kept tiles. Leaves: the graph of the top-k tiles and probabilities of the four categories.
Importing this room imports neither torch nor torch-geometric. Next rooms: `wsipipe.store`, `wsipipe.report`.
"""

from wsipipe.graph.gcn import category, classify
from wsipipe.graph.pearson import adjacency, connect, correlation
from wsipipe.graph.topk import select, topk

__all__ = ["adjacency", "category", "classify", "connect", "correlation", "select", "topk"]
