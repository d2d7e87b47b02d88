"""What a run would cost: kept tiles counted by the pipeline's own tissue steps, seconds a tile from a timed batch.

Enters: a job and a source. Leaves: estimates; the tissue layer is made in a temporary folder and thrown away.
Next room: `wsipipe.cli.dry_run`.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass, replace

import numpy as np

from wsipipe.run.feed import kept
from wsipipe.run.job import Job
from wsipipe.run.plan import Map, Pipeline
from wsipipe.run.source import Source
from wsipipe.run.work import close_step, do_unit, open_step, prepare
from wsipipe.stage import Batch, Spec


@dataclass(frozen=True)
class Expected:
    """Kept tiles of one slide, and the bytes that they give before compression (an upper bound)."""

    id: str
    tiles: int
    size: int


def expect(job: Job, source: Source) -> Expected | None:
    """Count one slide's kept tiles with the pipeline's own steps; None where the mpp policy skips it.

    Raises
    ------
    SlideError
        Where the slide cannot be opened or worked on.
    """
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as folder:
        work = prepare(replace(job, results=folder), source)
        if work is None:
            return None
        pipeline = job.recipe.build()
        for step in range(pipeline.index(pipeline.keep.name) + 1):
            for unit in open_step(work, step):
                do_unit(work, step, unit)
            close_step(work, step)
        tiles = len(kept(work))
        return Expected(work.id, tiles, tiles * _tile_bytes(pipeline))


def tile_seconds(job: Job, *, rounds: int = 2) -> float:
    """Seconds that one kept tile takes on one core: the best of `rounds` timed batches of white noise.

    Reading is not in it: it is a small part of a tile's time on a CPU, and depends on the file.
    """
    pipeline = job.recipe.build()
    index = max(i for i, step in enumerate(pipeline.steps) if isinstance(step, Map))
    step, chain = pipeline.steps[index], list(pipeline.chains())[index]
    batch = step.batch if isinstance(step, Map) else 1
    side = pipeline.tile + 2 * chain.halo
    rng = np.random.default_rng(0)
    given: Batch = {
        "rgb": rng.integers(0, 255, (batch, side, side, 3)).astype(np.uint8),
        "inside": np.full((batch, 2), pipeline.tile, np.int32),
        "damaged": np.zeros(batch, np.float32),
    }
    made = {spec.name for stage in chain.stages for spec in stage.outputs}
    given |= {
        spec.name: _blank(spec)
        for stage in chain.stages
        for spec in stage.inputs
        if spec.name not in made | given.keys()
    }
    best = math.inf
    for _ in range(rounds):
        started = time.perf_counter()
        chain(**given)
        best = min(best, time.perf_counter() - started)
    return best / batch


def _blank(spec: Spec) -> np.ndarray:
    return np.ones([side or 1 for side in spec.shape], spec.dtype)


def _tile_bytes(pipeline: Pipeline) -> int:
    """Bytes that one kept tile leaves in the layers of map steps."""
    total = 0
    for step in pipeline.steps:
        for spec in step.outputs if isinstance(step, Map) else ():
            side = (pipeline.tile // spec.scale) ** 2 if spec.scale else math.prod(side or 1 for side in spec.shape)
            total += side * np.dtype(spec.dtype).itemsize
    return total
