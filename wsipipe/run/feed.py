"""What a step is fed: which tiles are kept, their pixels, and the arrays that steps before it left.

Enters: a prepared slide and a step. Leaves: batches. Next room: `wsipipe.run.work`, whose tasks run the stages.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Grid
from wsipipe.run import partial, pixels
from wsipipe.run.job import SlideWork
from wsipipe.run.plan import Map, Overview, Reduce
from wsipipe.stage import Batch, Chain
from wsipipe.store import read
from wsipipe.store.layer import Layer


def kept(work: SlideWork) -> NDArray[np.int64]:
    """Ids of the kept tiles, ascending; read from the store once per process and slide."""
    rule = work.job.recipe.build().keep
    layer = work.layer(work.job.recipe.build().index(rule.name))
    return _kept(layer, rule.name, rule.minimum, work.missing)


@lru_cache(maxsize=8)
def _kept(layer: Layer, name: str, minimum: float, missing: partial.Missing) -> NDArray[np.int64]:
    ids = layer.grid.ids() if layer.grid else np.zeros(0, np.int64)
    if layer.grid and missing:
        ids = partial.present(ids, missing, rows_per_unit=layer.grid.rows_per_unit)
    found: NDArray[np.int64] = ids[read.rows(layer, name, ids) >= minimum]
    found.flags.writeable = False
    return found


def unit_ids(work: SlideWork, kind: Map, unit: int) -> NDArray[np.int64]:
    """Ids of the tiles that a map step computes of a unit, ascending."""
    if not kind.kept_only:
        return work.grid.ids(unit)
    rows, ids = work.grid.unit_rows(unit), kept(work)
    return ids[np.searchsorted(ids, rows.start) : np.searchsorted(ids, rows.stop)]


def unit_batches(work: SlideWork, kind: Map, grid: Grid, unit: int, ids: NDArray[np.int64]) -> Iterator[Batch]:
    """Pixels of these tiles, how much of each lies inside the plane and is damaged, batch by batch."""
    plane = work.job.recipe.build().plane
    if kind.scale > 1:
        every, rgb = pixels.read_unit(work.slide(), work.frame, grid, unit, scale=kind.scale, plane=plane)
        wanted = np.isin(every, ids)
        lost = pixels.damaged(work.slide(), work.frame, work.grid, every[wanted], scale=kind.scale, plane=plane)
        yield {"rgb": rgb[wanted], "inside": _inside(grid, every[wanted]), "damaged": lost}
        return
    yield from tile_batches(work, grid, ids, kind.batch)


def tile_batches(work: SlideWork, grid: Grid, ids: NDArray[np.int64], size: int) -> Iterator[Batch]:
    """Tiles of the working frame, `size` at a time; the next batch is written over the pixels of the last."""
    slide, plane = work.slide(), work.job.recipe.build().plane
    side = grid.tile + 2 * grid.halo
    again = np.empty((min(size, len(ids)), side, side, 3), np.uint8)
    for part in pixels.batches(ids, size):
        rgb = pixels.read_tiles(slide, work.frame, grid, ids[part], plane=plane, out=again)
        lost = pixels.damaged(slide, work.frame, work.grid, ids[part], plane=plane)
        yield {"rgb": rgb, "inside": _inside(grid, ids[part]), "damaged": lost}


def own(made: NDArray[Any], rgb: NDArray[Any]) -> NDArray[Any]:
    """What a stage made, in memory of its own: that of the batch's pixels is written to by the next batch."""
    return made.copy() if np.may_share_memory(made, rgb) else made


def _inside(grid: Grid, ids: NDArray[np.int64]) -> NDArray[np.int32]:
    return grid.write_boxes(ids)[:, 2:].astype(np.int32)


def given(work: SlideWork, stages: Chain, step: int) -> Batch:
    """Slide-level arrays and rows that a step's stages take from the steps before it."""
    pipeline = work.job.recipe.build()
    made = {spec.name for other in pipeline.steps[:step] for spec in other.outputs}
    given: Batch = {}
    for spec in (spec for stage in stages.stages for spec in stage.inputs if spec.name in made):
        layer = work.layer(pipeline.index(spec.name))
        if spec.scope == "slide":
            given[spec.name] = _value(layer, spec.name)
        elif spec.scope == "tiles":
            given[spec.name] = read.rows(layer, spec.name, kept(work))
    return given


@lru_cache(maxsize=64)
def _value(layer: Layer, name: str) -> NDArray[Any]:
    found = read.value(layer, name)
    found.flags.writeable = False
    return found


def overview(work: SlideWork, kind: Overview) -> Batch:
    """The whole slide, small."""
    plane = work.job.recipe.build().plane
    rgb, _ = pixels.read_overview(work.slide(), work.frame, longest_px=kind.longest_px, plane=plane)
    return {"overview": rgb}


def reduced(work: SlideWork, kind: Reduce, step: int) -> Batch:
    """What a reduce step makes, from the rows and arrays before it and a sample of tiles."""
    stages = Chain(kind.stages)
    arrays = given(work, stages, step)
    asked = {spec.name for stage in kind.stages for spec in stage.inputs}
    if "tile_id" in asked:
        arrays["tile_id"] = kept(work)
    if kind.sample:
        ids = sampled(_by_place(work.grid, kept(work)), kind.sample, seed=kind.seed, fingerprint=work.fingerprint)
        plane = work.job.recipe.build().plane
        arrays["rgb"] = pixels.read_tiles(work.slide(), work.frame, work.grid, ids, plane=plane)
    return stages(**arrays)


def sampled(ids: NDArray[np.int64], most: int, *, seed: int, fingerprint: str) -> NDArray[np.int64]:
    """At most `most` of `ids`, in the order given, drawn without replacement by (seed, fingerprint)."""
    if len(ids) <= most:
        return ids
    rng = np.random.default_rng([seed, int(fingerprint[:12], 16)])
    return ids[np.sort(rng.choice(len(ids), most, replace=False))]


def _by_place(grid: Grid, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ids row by row of the plane, so that the tiles that a fit looks at do not depend on the unit."""
    cells = grid.cells_of(ids)
    return ids[np.lexsort((cells[:, 1], cells[:, 0]))]
