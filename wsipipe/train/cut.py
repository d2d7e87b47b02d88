"""Training tiles cut from one slide, by the same steps that inference takes.

Enters: a slide, its truth, and the pipeline that will be used with the trained network. Leaves: a shard of tiles
as the network will be given them (tissue found, stain fitted once per slide and normalised), with their masks.
Next: `wsipipe.train.tileset`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import ChainError
from wsipipe.run.feed import kept, own, tile_batches
from wsipipe.run.job import Job, SlideWork
from wsipipe.run.plan import Map, Pipeline, Step
from wsipipe.run.source import Source, close_all
from wsipipe.run.work import Context, close_step, do_unit, open_step, prepare
from wsipipe.stage import Chain, Stage
from wsipipe.train.choice import choose
from wsipipe.train.mask import Truth, read_mask
from wsipipe.train.tileset import Shard, class_of, write_row, write_shard

NETWORK = "features"
"""The array that the tile network's step leaves: what comes before it is training's business too."""


@dataclass(frozen=True)
class Made:
    """A slide to be made before it is cut: arguments of `wsipipe.phantom.write_gastric`."""

    seed: int
    regime: str
    size: int


@dataclass(frozen=True)
class Order:
    """What a worker is asked to cut.

    ``mask`` is the path of the truth, empty where the slide is negative throughout; ``made`` stands for a slide
    that does not exist yet, and then ``source`` and ``mask`` are ignored.
    """

    job: Job
    source: Source
    shard: Shard
    folder: str
    mask: str = ""
    made: Made | None = None
    most: int = 16
    least: float = 0.02
    seed: int = 0


def cut(order: Order) -> Shard:
    """Cut one slide and write its shard; a shard of no tiles (nothing written) where none could be learnt from.

    Raises
    ------
    SlideError
        Where the slide cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="wsipipe-cut-") as scratch:
        job = replace(order.job, results=scratch)
        source, mask = order.source, order.mask
        if order.made is not None:
            path = _make(order.made, order.shard, Path(scratch) / "slide")
            source, mask = Source(str(path)), str(path.with_name(path.stem + ".truth.npz"))
        try:
            work = prepare(job, source)
            shard = replace(order.shard, label=()) if work is None else _cut(order, work, mask)
            write_row(Path(order.folder), shard)
            return shard
        finally:
            close_all()


def normalised(work: SlideWork, step: int, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Pixels of tiles as the network of map step `step` is given them, (N, side, side, 3) uint8."""
    pipeline, context = work.job.recipe.build(), Context(work, step)
    kind = _map(pipeline, step)
    stages = Chain(before_network(kind))
    given = {
        spec.name: context.value(spec.name) for stage in stages.stages for spec in stage.inputs if spec.scope == "slide"
    }
    made = [
        own(stages(**batch, **given)["rgb"], batch["rgb"]) for batch in tile_batches(work, work.grid, ids, kind.batch)
    ]
    side = work.grid.tile
    return np.concatenate(made) if made else np.zeros((0, side, side, 3), np.uint8)


def run_until(work: SlideWork, step: int) -> None:
    """Do all steps before `step`, in this process."""
    for index in range(step):
        for unit in open_step(work, index):
            do_unit(work, index, unit)
        close_step(work, index)


def before_network(kind: Step) -> tuple[Stage, ...]:
    """The stages of a step that come before the tile network."""
    names = [any(spec.name == NETWORK for spec in stage.outputs) for stage in kind.stages]
    return kind.stages[: names.index(True)]


def network_step(pipeline: Pipeline) -> int:
    """Which step runs the tile network. Raises ChainError where none does."""
    try:
        return pipeline.index(NETWORK)
    except KeyError:
        raise ChainError(
            f"training: the pipeline {pipeline.name!r} has no step that leaves {NETWORK!r}; give one that has"
        ) from None


def _cut(order: Order, work: SlideWork, mask: str) -> Shard:
    step = network_step(work.job.recipe.build())
    run_until(work, step)
    ids = kept(work)
    truth = read_mask(Path(mask), work.slide().info.shape, order.shard.category) if mask else Truth(None)
    masks = [truth.read(work.frame, work.grid.at(tile_id).read) for tile_id in ids.tolist()]
    classes = [class_of(one, least=order.least) for one in masks]
    rows = choose(classes, order.most, seed=order.seed)
    if len(rows):
        chosen = np.stack([masks[row] for row in rows.tolist()])
        write_shard(Path(order.folder), order.shard.name, normalised(work, step, ids[rows]), chosen)
    label = tuple(value for row in rows.tolist() if (value := classes[row]) is not None)
    return replace(order.shard, label=label)


def _map(pipeline: Pipeline, step: int) -> Map:
    kind = pipeline.steps[step]
    if not isinstance(kind, Map):
        raise ChainError(f"training: step {kind.name!r} is no map over tiles; the tile network runs in one")
    return kind


def _make(made: Made, shard: Shard, folder: Path) -> Path:
    from wsipipe.phantom import write_gastric  # deferred: only made slides need it

    path: Path = write_gastric(
        folder, category=shard.category, seed=made.seed, regime=made.regime, size=made.size, name=shard.name
    )
    return path
