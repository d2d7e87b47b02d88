"""What a worker does: prepare a slide, do a step, do a unit. Each is one dask task.

Enters: a `SlideWork` (paths and numbers only) and which step or unit. Leaves: layers in the slide's store, and a
small `Report`. Who decides what comes next: `wsipipe.run.batch`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import MppError, TileSizeError
from wsipipe.grid import Frame, Grid, choose_frame
from wsipipe.run import partial, pixels, stop
from wsipipe.run.plan import Finish, Map, Overview, Pipeline, Reduce, keys, layer_of
from wsipipe.run.source import MppPolicy, Source, opened, stored_mpp, true_mpp
from wsipipe.slide.base import Slide
from wsipipe.stage import Batch, Chain, resolve
from wsipipe.store import read, staging, write
from wsipipe.store.layer import Layer
from wsipipe.store.layout import pictures_path, store_path

LEAST_DOWNSAMPLE = 0.9
"""A slide that would have to be magnified by more than this is refused."""


@dataclass(frozen=True)
class Recipe:
    """What a worker rebuilds the pipeline from: ``factory(config)`` with the config as JSON text."""

    factory: str
    config: str

    def build(self) -> Pipeline:
        """The pipeline, built once per process."""
        return _pipeline(self)


@lru_cache(maxsize=8)
def _pipeline(recipe: Recipe) -> Pipeline:
    pipeline = resolve(recipe.factory)(recipe.config)
    if not isinstance(pipeline, Pipeline):
        raise TypeError(f"{recipe.factory} made a {type(pipeline).__name__}, not a Pipeline")
    return pipeline


@dataclass(frozen=True)
class Job:
    """One command: which pipeline, where results go, and what may be told of the slides.

    ``deidentify`` names slides by their fingerprint alone and keeps every path out of the results. With
    ``overwrite``, a folder, slides are made anew in there, and each is put in place of the old one when it is done;
    ``final`` is then, in the job of a slide that is made in there, where it will be put.
    """

    recipe: Recipe
    results: str
    policy: MppPolicy = field(default_factory=MppPolicy)
    deidentify: bool = False
    overwrite: str = ""
    final: str = ""


@dataclass(frozen=True)
class SlideWork:
    """A prepared slide: everything that a task needs to know, and nothing that is open.

    ``missing`` names the units that were left out so far, by step; empty for a whole slide.
    """

    job: Job
    source: Source
    id: str
    mpp: float
    frame: Frame
    grid: Grid
    fingerprint: str
    keys: tuple[str, ...]
    missing: partial.Missing = ()

    @property
    def root(self) -> str:
        """Path of the slide's store."""
        return str(store_path(self.job.results, self.id))

    @property
    def pictures(self) -> Path:
        """The folder of the slide's pictures."""
        return pictures_path(self.job.results, self.id)

    def layer(self, step: int) -> Layer:
        """The layer that a step leaves."""
        return layer_of(self.job.recipe.build(), step, self.keys[step], root=self.root, grid=self.grid)

    def slide(self) -> Slide:
        """The slide, opened once per process."""
        return opened(self.source, self.mpp, self.job.recipe.build().icc)

    def without(self, step: int, units: tuple[int, ...]) -> SlideWork:
        """The same slide without these units of a map step; what is computed from it is kept apart by its key."""
        keys = partial.rekeyed(self.job.recipe.build(), self.keys, step, units)
        return replace(self, keys=keys, missing=(*self.missing, (step, units)))

    @property
    def lacks(self) -> dict[str, list[int]]:
        """The missing units by the name of their step."""
        steps = self.job.recipe.build().steps
        return {steps[step].name: list(units) for step, units in self.missing}


@dataclass(frozen=True)
class Report:
    """What a task tells: seconds and bytes for run.json, and what a finishing step adds to the record.

    ``unit`` is None for a whole step; ``read`` counts bytes of pixels, ``written`` bytes of arrays before compression.
    """

    step: str
    seconds: float = 0.0
    tiles: int = 0
    written: int = 0
    unit: int | None = None
    read: int = 0
    record: dict[str, Any] = field(default_factory=dict)


def prepare(job: Job, source: Source) -> SlideWork | None:
    """Open a slide, settle its mpp, its working frame, its tiles and its keys. None: skipped by the mpp policy.

    Raises
    ------
    SlideError
        Where the slide cannot be opened, has no mpp, or is smaller than a tile.
    """
    pipeline = job.recipe.build()
    info = opened(source, None, pipeline.icc).info
    mpp = true_mpp(source, stored_mpp(info), job.policy)
    if mpp is None:
        return None
    slide = opened(source, mpp, pipeline.icc)
    frame = choose_frame(slide.info.frames(), pipeline.mpp)
    _check_size(frame, pipeline.tile)
    found = keys(pipeline, frame, fingerprint=info.fingerprint, reader=info.reader, declared=source.stain)
    slide_id = f"slide-{info.fingerprint[:12]}" if job.deidentify else slide.id
    if job.overwrite and not staging.is_replaced(job.overwrite, job.results, slide_id):
        job = replace(job, results=job.overwrite, final=job.results)
    work = SlideWork(job, source, slide_id, mpp, frame, pipeline.grid(frame), info.fingerprint, found)
    write.sweep(work.root)
    write.sweep(work.pictures)
    return work


@dataclass(frozen=True)
class Opened:
    """A step that may begin: its units that are still to be done, ascending, and how many it has in all."""

    pending: list[int]
    needed: int


def open_step(work: SlideWork, step: int) -> list[int]:
    """Make a map step's layer and say which units are still to be done, ascending; other steps have none."""
    return begin_step(work, step).pending


def begin_step(work: SlideWork, step: int) -> Opened:
    """What `open_step` does, and how many units the step has."""
    pipeline = work.job.recipe.build()
    kind = pipeline.steps[step]
    if not isinstance(kind, Map):
        return Opened([], 0)
    layer = work.layer(step)
    write.create(layer)
    units = np.arange(work.grid.n_units)
    if kind.kept_only:
        units = np.unique(kept(work) // work.grid.rows_per_unit)
    return Opened(read.pending(layer, units).tolist(), len(units))


def do_unit(work: SlideWork, step: int, unit: int) -> Report:
    """Read a unit's tiles, run the chain, write the unit and mark it.

    Raises
    ------
    StoppedError
        Between two batches, where the run is to stop: nothing of the unit is written.
    """
    started = time.perf_counter()
    pipeline = work.job.recipe.build()
    kind, layer = pipeline.steps[step], work.layer(step)
    if not isinstance(kind, Map) or layer.grid is None:
        raise TypeError(f"step {kind.name!r} is not done by units")
    stages = Chain(kind.stages)
    given = _given(work, stages, step)
    ids, parts, size = _unit_ids(work, kind, unit), [], 0
    for batch in _unit_batches(work, kind, layer.grid, unit, ids):
        size += batch["rgb"].nbytes
        made = stages(**batch, **given)
        parts.append({name: _own(made[name], batch["rgb"]) for name in kind.keep})
        stop.check()
    whole = {name: np.concatenate([part[name] for part in parts]) for name in kind.keep}
    written = write.write_unit(layer, unit, ids, whole)
    return Report(kind.name, time.perf_counter() - started, len(ids), written, unit, size)


def close_step(work: SlideWork, step: int) -> Report:
    """Complete a map step, or do any other step whole. A step that lacks units is never called complete."""
    started = time.perf_counter()
    kind, layer = work.job.recipe.build().steps[step], work.layer(step)
    if isinstance(kind, Finish):
        record = resolve(kind.factory)(Context(work, step), **kind.params)
        if step == len(work.keys) - 1:
            _tidy(work)
        return Report(kind.name, time.perf_counter() - started, record=record or {})
    written = 0
    if not read.is_complete(layer) and step not in dict(work.missing):
        if isinstance(kind, Map):
            write.complete(layer)
        else:
            written = write.write_slide(
                layer, _overview(work, kind) if isinstance(kind, Overview) else _reduced(work, kind, step)
            )
    return Report(kind.name, time.perf_counter() - started, written=written)


def _tidy(work: SlideWork) -> None:
    """Nobody writes into a finished slide: whatever is half-written was left by a killed run."""
    write.sweep(work.root, older_s=0)
    write.sweep(work.pictures, older_s=0)
    if not work.missing:
        partial.drop(work.root)
    if work.job.final:
        staging.put_in_place(work.job.results, work.job.final, work.id)


@dataclass(frozen=True)
class Context:
    """What a finishing step may ask for: the open slide, every array by name, and where to write."""

    work: SlideWork
    step: int

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that is being finished."""
        return self.work.job.recipe.build()

    @property
    def key(self) -> str:
        """Key of this finishing step: equal keys, equal published bytes."""
        return self.work.keys[self.step]

    @property
    def slide(self) -> Slide:
        """The open slide."""
        return self.work.slide()

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the kept tiles, ascending."""
        return kept(self.work)

    def layer(self, name: str) -> Layer:
        """The layer that holds an array."""
        return self.work.layer(self.pipeline.index(name))

    def layers(self) -> Iterator[Layer]:
        """All layers of the steps before this one."""
        for index, step in enumerate(self.pipeline.steps[: self.step]):
            if step.outputs:
                yield self.work.layer(index)

    def value(self, name: str) -> NDArray[Any]:
        """A slide-level array."""
        return read.value(self.layer(name), name)

    def rows(self, name: str) -> NDArray[Any]:
        """Rows of a per-tile array for the kept tiles, ascending tile id."""
        return read.rows(self.layer(name), name, self.ids)


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


def _check_size(frame: Frame, tile: int) -> None:
    if frame.downsample < LEAST_DOWNSAMPLE:
        raise MppError(
            f"choosing the working resolution: the run works at {frame.mpp:g} um/px, the slide's finest level has only "
            f"{frame.mpp / frame.downsample:g}, magnifying adds nothing: set tile.mpp to that, or leave it out"
        )
    if min(frame.shape) < tile:
        height, width = frame.shape
        raise TileSizeError(
            f"cutting tiles: a tile is {tile} x {tile} px at {frame.mpp:g} um/px, the slide has only {height} x "
            f"{width} px there: set tile.size to {min(frame.shape)} or less, or a finer tile.mpp"
        )


def _unit_ids(work: SlideWork, kind: Map, unit: int) -> NDArray[np.int64]:
    if not kind.kept_only:
        return work.grid.ids(unit)
    rows, ids = work.grid.unit_rows(unit), kept(work)
    return ids[np.searchsorted(ids, rows.start) : np.searchsorted(ids, rows.stop)]


def _unit_batches(work: SlideWork, kind: Map, grid: Grid, unit: int, ids: NDArray[np.int64]) -> Iterator[Batch]:
    plane = work.job.recipe.build().plane
    if kind.scale > 1:
        every, rgb = pixels.read_unit(work.slide(), work.frame, grid, unit, scale=kind.scale, plane=plane)
        wanted = np.isin(every, ids)
        yield {"rgb": rgb[wanted], "inside": _inside(grid, every[wanted])}
        return
    side = grid.tile + 2 * grid.halo
    again = np.empty((min(kind.batch, len(ids)), side, side, 3), np.uint8)
    for part in pixels.batches(ids, kind.batch):
        rgb = pixels.read_tiles(work.slide(), work.frame, grid, ids[part], plane=plane, out=again)
        yield {"rgb": rgb, "inside": _inside(grid, ids[part])}


def _own(made: NDArray[Any], rgb: NDArray[Any]) -> NDArray[Any]:
    """What a stage made, in memory of its own: that of the batch's pixels is written to by the next batch."""
    return made.copy() if np.may_share_memory(made, rgb) else made


def _inside(grid: Grid, ids: NDArray[np.int64]) -> NDArray[np.int32]:
    return grid.write_boxes(ids)[:, 2:].astype(np.int32)


def _given(work: SlideWork, stages: Chain, step: int) -> Batch:
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


def _overview(work: SlideWork, kind: Overview) -> Batch:
    plane = work.job.recipe.build().plane
    rgb, _ = pixels.read_overview(work.slide(), work.frame, longest_px=kind.longest_px, plane=plane)
    return {"overview": rgb}


def _reduced(work: SlideWork, kind: Reduce, step: int) -> Batch:
    stages = Chain(kind.stages)
    given = _given(work, stages, step)
    asked = {spec.name for stage in kind.stages for spec in stage.inputs}
    if "tile_id" in asked:
        given["tile_id"] = kept(work)
    if kind.sample:
        ids = sampled(_by_place(work.grid, kept(work)), kind.sample, seed=kind.seed, fingerprint=work.fingerprint)
        plane = work.job.recipe.build().plane
        given["rgb"] = pixels.read_tiles(work.slide(), work.frame, work.grid, ids, plane=plane)
    return stages(**given)


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
