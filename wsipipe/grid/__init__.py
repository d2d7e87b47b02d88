"""Pure geometry: boxes, the working frame, grids of tiles, pairs of neighbours, blocks of pictures.

Integers and NumPy only; no files, no torch, no dask. Every other room is written in these nouns.
"""

from wsipipe.grid.box import Box
from wsipipe.grid.cover import Grid, Tile
from wsipipe.grid.pairs import neighbours
from wsipipe.grid.place import Frame, choose_frame, source_level
from wsipipe.grid.pyramid import blocks, level_shapes, shard_side, touching

__all__ = [
    "Box",
    "Frame",
    "Grid",
    "Tile",
    "blocks",
    "choose_frame",
    "level_shapes",
    "neighbours",
    "shard_side",
    "source_level",
    "touching",
]
