"""Names and places: what stands where below a results directory, and the geometry of a layer's arrays.

Enters: a results directory, a slide id, declared arrays and a grid. Leaves: paths, shapes, chunks.
Nothing is opened here. Next rooms: `wsipipe.store.write`, `wsipipe.store.read`, `wsipipe.store.publish`.

::

    RESULTS/
    ├── run.json  slides.parquet  report.html  runs/<run key>/...
    ├── lease/<number>.json                          who writes here; the highest number is the owner
    ├── overwriting/<run key>/                       slides that are being made anew, until they are whole
    ├── <slide id>/           overview.png, tile-01.png, ...
    └── <slide id>.zarr/
        ├── images/ labels/ shapes/ tables/          published, for people and other tools
        └── work/<step>-<key>/                       resumable layers, one per step and setting
            ├── <array>                              rows by tile id, or a picture
            ├── done                                 one mark per unit, chunk = unit
            └── complete                             one mark, last
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsipipe.grid import Grid, shard_side
from wsipipe.stage import Spec
from wsipipe.store.place import place

LAYOUT_VERSION = 1
"""Raised when a reader of an older version could misread a store; golden stores of each version are kept."""

WORK, DONE, COMPLETE, PACKED = "work", "done", "complete", ".packed"
RUN_FILE, SLIDES_FILE, RUNS, LEASE = "run.json", "slides.parquet", "runs", "lease"
LAYERS_FILE, OVERWRITING = "layers.jsonl", "overwriting"
PACKED_ROWS = 16_384


def store_path(results: str | Path, slide_id: str) -> Path:
    """The Zarr group of a slide."""
    return place(results) / f"{slide_id}.zarr"


def pictures_path(results: str | Path, slide_id: str) -> Path:
    """The folder of a slide's pictures."""
    return place(results) / slide_id


@dataclass(frozen=True, slots=True)
class Geometry:
    """Shape, read unit (chunk) and write unit (shard) of one array on disk."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None


def geometry(spec: Spec, grid: Grid, *, packed: bool = False) -> Geometry:
    """How an array of a per-unit layer lies on disk.

    Parameters
    ----------
    spec : Spec
        A row (``scale == 0``, fixed shape) or a picture (``scale`` divides the tile).
    grid : Grid
        The tiles.
    packed : bool
        After publishing: few large files instead of one file per unit.

    Returns
    -------
    Geometry
        Unpacked: one file is what one unit owns. A row array's chunk is a unit's rows; a picture's
        chunk is a tile's part and its shard a unit's square.
    """
    return _picture(spec, grid, packed=packed) if spec.scale else _rows(spec, grid, packed=packed)


def _rows(spec: Spec, grid: Grid, *, packed: bool) -> Geometry:
    tail = tuple(int(side) for side in spec.shape if side is not None)
    if len(tail) != len(spec.shape):
        raise ValueError(f"a row needs a fixed shape, got {spec.name}{list(spec.shape)}")
    rows = min(grid.n_rows, PACKED_ROWS) if packed else grid.rows_per_unit
    return Geometry((grid.n_rows, *tail), (rows, *tail), None)


def _picture(spec: Spec, grid: Grid, *, packed: bool) -> Geometry:
    if grid.tile % spec.scale:
        raise ValueError(f"a picture's scale divides the tile: {spec.name} has {spec.scale}, the tile is {grid.tile}")
    height, width = (-(-side // spec.scale) for side in grid.shape)
    chunk = grid.tile // spec.scale
    unit = chunk * grid.unit
    most = shard_side((height, width), unit) if packed else unit
    shard = tuple(min(most, -(-length // unit) * unit) for length in (height, width)) if packed else (unit, unit)
    tail = tuple(int(side or 0) for side in spec.shape[2:])
    return Geometry((height, width, *tail), (chunk, chunk, *tail), (*shard, *tail))
