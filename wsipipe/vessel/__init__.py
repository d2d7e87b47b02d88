"""Arteries and veins of the retina: the network over tiles, pictures made worse on purpose, counting, measures.

Enters: pictures of the retina at the working scale. Leaves: probabilities, labels, measures. Next: `wsipipe.report`.
Importing this room imports no torch.
"""

from wsipipe.vessel.network import segment
from wsipipe.vessel.stage import alike, darkened, fitted, lit, window

__all__ = ["alike", "darkened", "fitted", "lit", "segment", "window"]
