"""What a worker does: prepare a slide, do a step, do a unit. Each is one dask task.

Enters: a `SlideWork` (paths and numbers only) and which step or unit. Leaves: layers in the slide's store, and a
small `Report`. Who decides what comes next: `wsipipe.run.batch`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import MppError, TileSizeError
from wsipipe.grid import Frame, choose_frame
from wsipipe.run import feed, partial, stop
from wsipipe.run.job import Job, SlideWork
from wsipipe.run.plan import Finish, Map, Overview, Pipeline, keys
from wsipipe.run.source import Source, opened, stored_mpp, true_mpp
from wsipipe.slide.base import Slide
from wsipipe.stage import Chain, resolve
from wsipipe.store import read, staging, write
from wsipipe.store.layer import Layer

LEAST_DOWNSAMPLE = 0.9
"""A slide that would have to be magnified by more than this is refused."""


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
    found = opened(source, None, pipeline.icc, pipeline.damaged)
    info = found.info
    mpp = pipeline.scale.mpp(found) if pipeline.scale else true_mpp(source, stored_mpp(info), job.policy)
    if mpp is None:
        return None
    slide = opened(source, mpp, pipeline.icc, pipeline.damaged)
    frame = choose_frame(slide.info.frames(), pipeline.mpp)
    _check_size(frame, 1 if pipeline.smaller else pipeline.tile)
    made = keys(pipeline, frame, fingerprint=info.fingerprint, reader=info.reader, declared=source.declared)
    slide_id = f"slide-{info.fingerprint[:12]}" if job.deidentify else slide.id
    if job.overwrite and not staging.is_replaced(job.overwrite, job.results, slide_id):
        job = replace(job, results=job.overwrite, final=job.results)
    work = SlideWork(job, source, slide_id, mpp, frame, pipeline.grid(frame), info.fingerprint, made)
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
        units = np.unique(feed.kept(work) // work.grid.rows_per_unit)
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
    given = feed.given(work, stages, step)
    ids, parts, size = feed.unit_ids(work, kind, unit), [], 0
    for batch in feed.unit_batches(work, kind, layer.grid, unit, ids):
        size += batch["rgb"].nbytes
        made = stages(**batch, **given)
        parts.append({name: feed.own(made[name], batch["rgb"]) for name in kind.keep})
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
                layer, feed.overview(work, kind) if isinstance(kind, Overview) else feed.reduced(work, kind, step)
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
        return feed.kept(self.work)

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
