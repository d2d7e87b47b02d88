"""Small made fields."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsipipe.phantom import fields as made
from wsipipe.pipelines import microscope
from wsipipe.run.mosaic import Made, make
from wsipipe.run.pool import Pool

TINY = ("edges.permutations=16",)


def write(
    folder: Path, how: made.Microscope, *, shape: tuple[int, int] = (620, 620), seed: int = 3
) -> made.FieldsTruth:
    truth = made.layout(shape, how, seed)
    made.write(folder, made.texture(shape, seed), truth, how, seed=seed)
    return truth


def stitch(folder: Path, mosaic: Path, sets: Sequence[str] = (), *, workers: int = 0) -> Made:
    plan = microscope.plan(folder, mosaic, None, [*TINY, *sets])
    return make(plan, mosaic, lambda: Pool(workers=workers), tell=lambda phase, done: None, say=lambda line: None)
