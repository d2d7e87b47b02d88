"""Lesions: the tile network as a stage, suspected regions, and the gate that says whether a category may be given.

Enters: normalised tiles. Leaves: feature vectors, class probabilities, the probability map, polygons.
Importing this room imports no torch. Next rooms: `wsipipe.graph`, `wsipipe.store`, `wsipipe.report`.
"""

from wsipipe.lesion.gate import CHECKS, gate, reasons
from wsipipe.lesion.network import tile_network
from wsipipe.lesion.regions import Region, outline, regions

__all__ = ["CHECKS", "Region", "gate", "outline", "reasons", "regions", "tile_network"]
