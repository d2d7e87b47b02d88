"""Training of network two from start to card: describe the slides, fit the graph network, judge, save, report.

Enters: settings, the pipeline with a trained tile network, an output folder. Leaves there ``NAME.safetensors`` and
``NAME.json``, checkpoints, logs and a report. Next: `wsipipe.models.weights` finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wsipipe.errors import UsageError
from wsipipe.graph.gcn import build
from wsipipe.models.architecture import Architecture
from wsipipe.models.card import CATEGORIES, Card
from wsipipe.models.device import Execution
from wsipipe.models.weights import save
from wsipipe.run.job import Job, Recipe
from wsipipe.run.pool import Failure, Pool
from wsipipe.run.source import MppPolicy, Source
from wsipipe.stage import digest
from wsipipe.train.config import SlidesConfig, identity
from wsipipe.train.cut import Made, network_step
from wsipipe.train.features import Errand, SlideFeatures, describe, load_features, of_split
from wsipipe.train.gastric import OWN_NOTICE, PHANTOM_NOTICE, Outcome, check_size, provenance, ready
from wsipipe.train.graphs import GraphTask, gcn_config, say_slides
from wsipipe.train.log import Log
from wsipipe.train.loop import Plan, Watcher, fit
from wsipipe.train.metric import summary
from wsipipe.train.report import write_report
from wsipipe.train.source import REGIMES, Told, generator, silent
from wsipipe.train.table import SLIDE_COLUMNS, read_table
from wsipipe.train.tileset import SPLITS, check_classes


@dataclass(frozen=True)
class Fitted:
    """A trained graph network and how it came about."""

    module: nn.Module
    task: GraphTask
    progress: Any


def train_slides(
    config: SlidesConfig, recipe: Recipe, out: Path, *, fresh: bool = False, quiet: bool = False
) -> Outcome:
    """Train network two.

    Parameters
    ----------
    config : SlidesConfig
    recipe : Recipe
        Of the pipeline with the trained tile network.
    out : Path
        Folder; an interrupted training in it goes on.
    fresh, quiet : bool
        As `wsipipe.train.gastric.train_tiles` has them.

    Raises
    ------
    UsageError, ConfigError, StoreError, WsipipeError
        For wrong tables, slides that cannot be read, a category without slides, a checkpoint of other settings.
    """
    how = ready(out, config.machine, config.numbers.dtype, config.numbers.memory_format, fresh=fresh)
    with Log(out, quiet=quiet) as log:
        cache = Path(config.machine.cache) if config.machine.cache else out / "cache"
        workers = 1 if how.device == "cuda" else config.machine.workers  # one process owns the GPU
        slides = gather_features(config, recipe, cache, workers=workers, told=log.gathered)
        told = identity(config) | {"features": digest(_shaped(config, recipe))}
        fitted = fit_graph(config, slides, out, how, watcher=log, told=told)
    said = judged(fitted, slides)
    scores = {split: {k: round(v, 4) for k, v in summary(*pair).items()} for split, pair in said.items()}
    card = save(out / f"{config.name}.safetensors", fitted.module, _card(config, fitted, slides, scores))
    check_size(out / f"{config.name}.safetensors")
    write_report(out / "report", fitted.progress.history, said, scores)
    return Outcome(out / f"{config.name}.safetensors", card, scores)


def fit_graph(
    config: SlidesConfig,
    slides: Sequence[SlideFeatures],
    out: Path,
    how: Execution,
    *,
    watcher: Watcher,
    told: Mapping[str, Any],
) -> Fitted:
    """Fit a graph network to slides that are described already; what an evaluation calls for every variant.

    Parameters
    ----------
    config : SlidesConfig
        Its ``graph`` and ``schedule`` say what is fitted and how.
    slides : sequence of SlideFeatures
        Of all splits.
    out : Path
        Where checkpoints go.
    how : Execution
    watcher : Watcher
    told : mapping
        What a checkpoint belongs to.

    Raises
    ------
    UsageError
        Where a category has no slide in training or validation.
    """
    train, val = of_split(slides, "train"), of_split(slides, "val")
    for split, some in (("train", train), ("val", val)):
        check_classes(np.array([slide.category for slide in some], np.int64), split=split, what="slide with tissue")
    torch.manual_seed(config.schedule.seed)
    module = build(gcn_config(config.graph, train[0].features.shape[1])).to(how.device)
    task = GraphTask(config.graph, config.schedule, module, how, train, val)
    progress = fit(task, Plan(config.schedule, told, out, config.machine.checkpoint_s), watcher)
    return Fitted(module, task, progress)


def judged(fitted: Fitted, slides: Sequence[SlideFeatures]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """True categories and probabilities of validation and, where there is one, test."""
    found = {}
    for split in ("val", "test"):
        if some := of_split(slides, split):
            truth = np.array([slide.category for slide in some], np.int64)
            found[split] = truth, say_slides(fitted.module, some, fitted.task.graph, fitted.task.how)
    return found


def gather_features(
    config: SlidesConfig, recipe: Recipe, cache: Path, *, workers: int = 1, told: Told = silent
) -> list[SlideFeatures]:
    """The features of all slides; those that are not in the cache are made by `workers` processes.

    Raises
    ------
    UsageError
        For a wrong table, or the first slide that fails; what is described is kept.
    """
    folder = cache / f"features-{digest(_shaped(config, recipe))}"
    folder.mkdir(parents=True, exist_ok=True)
    errands = list(_made(config, recipe, folder) if config.data.source == "phantom" else _own(config, recipe, folder))
    left = [errand for errand in errands if not (folder / f"{errand.name}.npz").is_file()]
    if left:
        each_of(describe, left, workers, lambda done: told(len(errands) - len(left) + done, len(errands)))
    found = [load_features(folder, errand.name) for errand in errands]
    return [slide for slide in found if slide is not None]


def each_of(function: Callable[[Any], Any], left: Sequence[Any], workers: int, told: Callable[[int], None]) -> None:
    """Call `function` with every errand, in `workers` processes (1: in this one); answers are left where it puts them.

    Raises
    ------
    UsageError
        For the first errand that fails; what the others left is kept.
    """
    waiting = iter(left)
    with Pool(workers=workers if workers > 1 else 0, threads=1) as pool:
        for errand in [e for _, e in zip(range(2 * pool.slots), waiting, strict=False)]:
            pool.submit(errand, function, errand)
        for done, (errand, answer) in enumerate(pool.answers(), 1):
            if isinstance(answer, Failure):
                raise UsageError(
                    f"describing slides: {answer.error.message}: take the slide out of the table, or mend it",
                    subject=errand.subject,
                )
            told(done)
            for more in (e for _, e in zip(range(1), waiting, strict=False)):
                pool.submit(more, function, more)


def _shaped(config: SlidesConfig, recipe: Recipe) -> dict[str, Any]:
    """Everything that shapes the features."""
    pipeline = recipe.build()
    step = network_step(pipeline)
    steps = [one.spec() for one in pipeline.steps[: step + 1]]
    phantom = config.data.source == "phantom"
    data = (
        config.data.phantom.model_dump(exclude={"train_slides", "val_slides", "test_slides"})
        if phantom
        else config.data.own.model_dump()
    )
    own = (
        {}
        if phantom
        else {"table": Path(config.data.own.table).read_text(encoding="utf-8-sig"), "seed": config.schedule.seed}
    )
    return {"data": data, "tile": config.tile.model_dump(), "steps": steps} | (generator() if phantom else own)


def _made(config: SlidesConfig, recipe: Recipe, folder: Path) -> Iterator[Errand]:
    made, job = config.data.phantom, Job(recipe, "", MppPolicy())
    for split, count in zip(SPLITS, (made.train_slides, made.val_slides, made.test_slides), strict=True):
        for number in range(count):
            name, category = f"{split}-{number:05d}", CATEGORIES[number % len(CATEGORIES)]
            slide = Made(made.seed * 100_000 + number, REGIMES[split], made.size_px)
            yield Errand(job, Source(""), name, split, name, category, str(folder), slide)


def _own(config: SlidesConfig, recipe: Recipe, folder: Path) -> Iterator[Errand]:
    own = config.data.own
    if not own.table:
        raise UsageError(
            "training from slides: data.own.table names the CSV of slides, it is empty: give one",
            subject="data.own.table",
        )
    job = Job(recipe, "", MppPolicy.parse(own.mpp_policy))
    rows = read_table(Path(own.table), SLIDE_COLUMNS, shares=own.split, seed=config.schedule.seed)
    for number, row in enumerate(rows):
        source = Source(str(row.path), row.mpp, row.case_id)
        yield Errand(job, source, f"{number:05d}", row.split, row.case_id, row.category, str(folder))


def _card(
    config: SlidesConfig, fitted: Fitted, slides: Sequence[SlideFeatures], scores: Mapping[str, Mapping[str, float]]
) -> Card:
    phantom = config.data.source == "phantom"
    made = provenance(fitted.progress, fitted.task.how, config.schedule.seed)
    made |= generator() if phantom else {}
    made |= {"scores": scores, "config": identity(config), "tile_weights": config.tile_weights}
    made["slides"] = {split: len(of_split(slides, split)) for split in SPLITS}
    width = fitted.task.train[0].features.shape[1]
    kind = "made gastric slides, regime train" if phantom else "slides of a laboratory"
    settings = gcn_config(config.graph, width).model_dump(mode="json")
    return Card(
        name=config.name, architecture=Architecture(name="gcn", config=settings), mpp=config.tile.mpp,
        tile_px=config.tile.size, made=made, training_data=f"{len(fitted.task.train)} {kind}",
        notice=PHANTOM_NOTICE if phantom else OWN_NOTICE,
    )  # fmt: skip
