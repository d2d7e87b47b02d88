"""The graph network beside what could stand in its place: other k, thresholds, orders, heads, and no graph at all.

Enters: features of training, validation and test slides. Leaves: what each variant says of each test slide, and a
table with intervals and paired differences. Next: `wsipipe.evaluate.gastric`.

Every variant is trained anew with every seed, on the same features, by the training that the shipped one had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.evaluate.gastric_config import VariantSection
from wsipipe.evaluate.interval import Interval, difference, interval
from wsipipe.evaluate.table import Table
from wsipipe.graph.baseline import by_share, fit_thresholds, shares
from wsipipe.models.device import Execution
from wsipipe.train.config import GraphNetSection, SlidesConfig, identity
from wsipipe.train.features import SlideFeatures, of_split
from wsipipe.train.gastric_slides import fit_graph
from wsipipe.train.graphs import say_slides
from wsipipe.train.log import Log
from wsipipe.train.metric import confused, counted_f1

OURS = "graph network"
REPLACED = "share of tiles per class (the method that the source replaces)"
ALL = 256
"""A k that keeps every tile of a slide."""
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Variant:
    """A name for people, and the settings of the graph and the network on it."""

    name: str
    graph: GraphNetSection


def variants(base: GraphNetSection, asked: VariantSection) -> list[Variant]:
    """Ours first, then everything that it is compared with."""

    def other(name: str, **changed: Any) -> Variant:
        return Variant(name, base.model_copy(update=changed))

    found = [Variant(f"{OURS}, k = {base.k}, t = {base.threshold:g}", base)]
    found += [other(f"k = {k}", k=k) for k in asked.k if k != base.k]
    found += [other(f"t = {t:g}", threshold=t) for t in asked.threshold if t != base.threshold]
    found += [
        other(f"ordered read-out, {order}", readout="ordered", order=order)
        for order in ("descending", "ascending", "random")
    ]
    found += [
        other("without edges", edges=False),
        other(f"attention MIL, top {base.k}", layers=0, edges=False, readout="attention"),
        other("attention MIL, all tiles", layers=0, edges=False, readout="attention", k=ALL),
        other(f"mean pooling, top {base.k}", layers=0, edges=False, readout="mean"),
        other("mean pooling, all tiles", layers=0, edges=False, readout="mean", k=ALL),
    ]
    return found


@dataclass(frozen=True)
class Fits:
    """How variants are trained: seeds, where checkpoints go (an interrupted evaluation goes on), who is told."""

    seeds: Sequence[int]
    out: Path
    how: Execution
    told: Callable[[int, int], None]


def said_by(
    asked: Sequence[Variant],
    known: Sequence[SlideFeatures],
    tested: Mapping[str, Sequence[SlideFeatures]],
    config: SlidesConfig,
    fits: Fits,
) -> dict[str, dict[str, Labels]]:
    """Fit every variant with every seed.

    Parameters
    ----------
    asked : sequence of Variant
    known : sequence of SlideFeatures
        Of splits ``train`` and ``val``.
    tested : mapping
        Cohort to its slides with tiles.
    config : SlidesConfig
        Its schedule is that of every training.
    fits : Fits

    Returns
    -------
    dict
        Variant to cohort to categories (slides, seeds).
    """
    answers: dict[str, dict[str, list[Labels]]] = {}
    jobs = [(variant, seed) for variant in asked for seed in fits.seeds]
    for done, (variant, seed) in enumerate(jobs):
        fits.told(done, len(jobs))
        schedule = config.schedule.model_copy(update={"seed": seed})
        mine = config.model_copy(update={"graph": variant.graph, "schedule": schedule})
        folder = fits.out / f"{asked.index(variant):02d}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        with Log(folder, quiet=True) as log:
            fitted = fit_graph(mine, known, folder, fits.how, watcher=log, told=identity(mine))
        per_cohort = answers.setdefault(variant.name, {})
        for cohort, slides in tested.items():
            prob = say_slides(fitted.module, slides, variant.graph, fits.how)
            per_cohort.setdefault(cohort, []).append(prob.argmax(axis=1))
    fits.told(len(jobs), len(jobs))
    return {name: {cohort: np.stack(each, axis=1) for cohort, each in found.items()} for name, found in answers.items()}


def replaced_method(known: Sequence[SlideFeatures], tested: Mapping[str, Sequence[SlideFeatures]]) -> dict[str, Labels]:
    """Cohort to categories (slides, 1): shares of tiles per class against thresholds fitted on validation."""
    val = of_split(known, "val")
    limits = fit_thresholds(np.stack([shares(one.class_prob) for one in val]), categories(val))
    return {
        cohort: np.array([[by_share(shares(one.class_prob), limits) or 0] for one in slides], np.int64)
        for cohort, slides in tested.items()
    }


def categories(slides: Sequence[SlideFeatures]) -> Labels:
    """True category of each slide."""
    return np.array([slide.category for slide in slides], np.int64)


def macro_f1(said: Labels, truth: Labels) -> float:
    """Mean over seeds of the macro-F1 of categories (slides, seeds)."""
    return float(np.mean([counted_f1(confused(truth, column)) for column in said.T]))


def accuracy(said: Labels, truth: Labels) -> float:
    """Mean over seeds of the share of slides that are right."""
    return float((said == truth[:, None]).mean())


def variant_table(answers: Mapping[str, Mapping[str, Labels]], truth: Mapping[str, Labels], seeds: int) -> Table:
    """Every variant on every cohort; the first is ours."""
    ours, *others = answers
    cohorts = list(truth)
    columns = ["method"]
    for cohort in cohorts:
        columns += [f"{cohort}: macro-F1", f"{cohort}: less ours", f"{cohort}: accuracy"]
    table = Table("Slide categories", columns)
    for name in (ours, *others):
        cells: list[Any] = [name]
        for cohort in cohorts:
            said, true = answers[name][cohort], truth[cohort]
            cells += [
                interval(macro_f1, said, true),
                None if name == ours else _gap(said, answers[ours][cohort], true),
                accuracy(said, true),
            ]
        table.add(*cells)
    counted = ", ".join(f"{len(true)} slides of regime {cohort}" for cohort, true in truth.items())
    table.notes.append(
        f"{counted}; mean of {seeds} trainings per method; intervals: 95 %, bootstrap over slides, differences paired"
    )
    return table


def _gap(said: Labels, ours: Labels, truth: Labels) -> Interval:
    return difference(macro_f1, said, ours, truth)
