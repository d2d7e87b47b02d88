"""What every task of a run is given: how to rebuild the pipeline, the command's job, one prepared slide.

Enters: paths and numbers only; nothing that is open. Leaves: values that pickle. Next room: `wsipipe.run.work`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from wsipipe.grid import Frame, Grid
from wsipipe.run import partial
from wsipipe.run.plan import Pipeline, layer_of
from wsipipe.run.source import MppPolicy, Source, opened
from wsipipe.slide.base import Slide
from wsipipe.stage import resolve
from wsipipe.store.layer import Layer
from wsipipe.store.layout import pictures_path, store_path


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
        pipeline = self.job.recipe.build()
        return opened(self.source, self.mpp, pipeline.icc, pipeline.damaged)

    def without(self, step: int, units: tuple[int, ...]) -> SlideWork:
        """The same slide without these units of a map step; what is computed from it is kept apart by its key."""
        keys = partial.rekeyed(self.job.recipe.build(), self.keys, step, units)
        return replace(self, keys=keys, missing=(*self.missing, (step, units)))

    @property
    def lacks(self) -> dict[str, list[int]]:
        """The missing units by the name of their step."""
        steps = self.job.recipe.build().steps
        return {steps[step].name: list(units) for step, units in self.missing}
