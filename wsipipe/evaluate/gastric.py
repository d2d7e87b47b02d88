"""The evaluation of the gastric networks from start to tables.

Enters: settings, trained weights. Leaves in a folder: ``slides.md`` (variants and baselines), ``shipped.md`` (the
pipeline as it ships), ``tiles.md``, ``gate.md``, ``degradation.png``; all figures also as CSV and JSON. Next: people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wsipipe.evaluate import gastric_plots, gastric_tiles
from wsipipe.evaluate.gastric_config import EvaluateGastricConfig
from wsipipe.evaluate.gastric_gate import gate_table, passed
from wsipipe.evaluate.gastric_slides import Cohort, Observed, observe_all, observe_files
from wsipipe.evaluate.gastric_variants import (
    REPLACED,
    Fits,
    Labels,
    accuracy,
    categories,
    macro_f1,
    replaced_method,
    said_by,
    variant_table,
    variants,
)
from wsipipe.evaluate.interval import difference, interval, mean
from wsipipe.evaluate.progress import Steps
from wsipipe.evaluate.table import Table
from wsipipe.models.device import Execution
from wsipipe.phantom import Alteration
from wsipipe.phantom.pyramid_file import write_pyramid
from wsipipe.pipelines import gastric as page
from wsipipe.run.job import Job
from wsipipe.run.source import MppPolicy
from wsipipe.train.gastric import ready
from wsipipe.train.gastric_slides import gather_features
from wsipipe.train.metric import pooled_dice
from wsipipe.train.source import generator

PLAIN, SHIFTED, RAW = "test", "shifted", "shifted, not normalised"
SHIPPED = ("slides", "number", "macro-F1", "accuracy", "lesion Dice", "gate passed")
REAL = {
    "kidney, immunohistochemistry": "slides/kidney-48-5.tif",
    "CMU region (not stomach)": "slides/cmu-1-small-region.svs",
    "TCGA slide (not stomach)": "slides/tcga-cr-7395-01a-01-ts1.svs",
}


@dataclass
class Evaluation:
    """One evaluation: settings, where it writes, who is told."""

    config: EvaluateGastricConfig
    out: Path
    data: Path
    steps: Steps
    how: Execution
    tables: list[Table] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        """Where slides that were looked at are kept."""
        given = self.config.training.machine.cache
        return Path(given) if given else self.out / "cache"

    @property
    def workers(self) -> int:
        """Processes; one owns a GPU."""
        return 1 if self.how.device == "cuda" else self.config.training.machine.workers

    def keep(self, table: Table, name: str) -> Table:
        """Write a table and remember it."""
        table.write(self.out, name)
        self.tables.append(table)
        return table


def evaluate_gastric(config: EvaluateGastricConfig, out: Path, data: Path, *, quiet: bool = False) -> list[Table]:
    """Measure the networks that ship, and everything that they are compared with.

    Parameters
    ----------
    config : EvaluateGastricConfig
    out : Path
        Folder of tables, plots and what was looked at; an interrupted evaluation in it goes on.
    data : Path
        Real pictures that the gate must stop; those that are not there are left out, and the table says so.
    quiet : bool
        No bars.

    Raises
    ------
    UsageError, WeightsError
        For wrong settings or weights.
    """
    training = config.training
    how = ready(out, training.machine, training.numbers.dtype, training.numbers.memory_format, fresh=False)
    with Steps(quiet=quiet) as steps:
        work = Evaluation(config, out, data, steps, how)
        seen = _cohorts(work)
        _shipped(work, seen)
        _gate(work, seen)
        _variants(work, seen)
        _tiles(work)
    gastric_plots.draw(out / "degradation.png", seen[PLAIN], _by("blur", seen), _by("stain", seen))
    (out / "evaluation.json").write_text(json.dumps(_told(work), indent=1) + "\n", encoding="utf-8")
    return work.tables


def _cohorts(work: Evaluation) -> dict[str, list[Observed]]:
    """All made slides, looked at once per condition."""
    asked = work.config.test
    plan = {
        PLAIN: (Cohort("test", "test", asked.seed, asked.slides, asked.size_px, Alteration()), {}),
        SHIFTED: (Cohort("shifted", "shifted", asked.seed, asked.shifted, asked.size_px, Alteration()), {}),
        RAW: (
            Cohort("shifted", "shifted", asked.seed, asked.shifted, asked.size_px, Alteration()),
            {"stain.method": "none"},
        ),
    }
    plan |= {name: (cohort, {}) for name, cohort in _worse(work.config)}
    return {
        name: observe_all(
            cohort, _job(work, sets), work.cache, workers=work.workers, told=work.steps.of(f"slides: {name}")
        )
        for name, (cohort, sets) in plan.items()
    }


def _worse(config: EvaluateGastricConfig) -> Iterator[tuple[str, Cohort]]:
    asked, seed = config.worse, config.test.seed + 1
    ways = [Alteration(), *(Alteration(blur_um=b) for b in asked.blur_um)]
    ways += [Alteration(stain_deg=d) for d in asked.stain_deg if d]
    for way in ways:
        name = f"blur {way.blur_um:g} um" if way.blur_um else f"stain {way.stain_deg:+g} deg" if way.stain_deg else ""
        yield name or "neither", Cohort("worse", "test", seed, asked.slides, asked.size_px, way)


def _by(kind: str, seen: Mapping[str, list[Observed]]) -> dict[float, list[Observed]]:
    """Cohorts of one kind of alteration, by how strong it is; 0 is the one with neither."""
    found = {float(name.split()[1]): slides for name, slides in seen.items() if name.startswith(kind)}
    return {0.0: seen["neither"]} | found


def _job(work: Evaluation, sets: Mapping[str, str]) -> Job:
    """The pipeline as it ships, with the weights that are evaluated."""
    training = work.config.training
    sections = {name: getattr(training, name).model_dump(mode="json") for name in ("tile", "tissue", "stain")}
    told = {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}
    told |= {
        "network.weights": training.tile_weights, "graph.weights": work.config.graph_weights,
        "network.device": work.how.device, "network.dtype": training.numbers.dtype,
        "topk.k": training.graph.k, "topk.order": training.graph.order, "graph.threshold": training.graph.threshold,
    } | dict(sets)  # fmt: skip
    untrained = training.tile_weights.startswith("untrained")  # for tests of the mechanics
    given = [f"{key}={json.dumps(value)}" for key, value in told.items()]
    recipe = page.launch(None, given, untrained=untrained).recipe
    return Job(recipe, "", MppPolicy.parse("assume:0.5"))


def _shipped(work: Evaluation, seen: Mapping[str, list[Observed]]) -> None:
    """The pipeline with the weights that ship, cohort by cohort."""
    table = Table(
        "The pipeline as it ships", ("slides", "number", "macro-F1", "accuracy", "lesion Dice", "gate passed")
    )
    for name in (PLAIN, SHIFTED, RAW):
        slides = _with_tiles(seen[name])
        said, truth = _said(slides), categories([one.slide for one in slides])
        pixels = np.stack([one.pixels for one in slides])
        table.add(
            name, len(slides), interval(macro_f1, said, truth), accuracy(said, truth),
            interval(pooled_dice, pixels), mean(passed(slides)),
        )  # fmt: skip
    pairs = [(a, b) for a, b in zip(seen[SHIFTED], seen[RAW], strict=True) if len(a.slide.tile_id)]
    first, second = (_said([pair[side] for pair in pairs]) for side in (0, 1))
    gain = difference(macro_f1, first, second, categories([pair[0].slide for pair in pairs]))
    table.notes += [
        f"regime shifted: macro-F1 with normalisation less without: {gain}",
        "categories are those of the largest probability, the gate left out; intervals: 95 %, bootstrap over slides",
    ]
    work.keep(table, "shipped")


def _gate(work: Evaluation, seen: Mapping[str, list[Observed]]) -> None:
    paths = {name: work.data / place for name, place in REAL.items() if (work.data / place).is_file()}
    paths |= {"a blank slide": _blank(work.cache)}
    real = observe_files(
        list(paths.values()), _job(work, {}), work.cache, workers=1, told=work.steps.of("real pictures")
    )
    table = gate_table(
        {name: slides for name, slides in seen.items() if name != RAW}, dict(zip(paths, real, strict=True))
    )
    if absent := sorted(set(REAL) - set(paths)):
        table.notes.append(f"not there: {', '.join(absent)}")
    share = float(np.mean(passed(seen[PLAIN])))
    verdict = "reached" if share >= work.config.min_share else "NOT reached"
    table.notes.append(f"in scope, unseen regime: {share:.1%} pass, {work.config.min_share:.0%} asked: {verdict}")
    work.keep(table, "gate")


def _variants(work: Evaluation, seen: Mapping[str, list[Observed]]) -> None:
    training = work.config.training
    known = gather_features(
        training, _job(work, {}).recipe, work.cache, workers=work.workers, told=work.steps.of("training slides")
    )
    tested = {name: [one.slide for one in _with_tiles(seen[name])] for name in (PLAIN, SHIFTED)}
    fits = Fits(work.config.variants.seeds, work.out / "fits", work.how, work.steps.of("fitting variants"))
    answers = said_by(variants(training.graph, work.config.variants), known, tested, training, fits)
    answers[REPLACED] = replaced_method(known, tested)
    truth = {name: categories(slides) for name, slides in tested.items()}
    work.keep(variant_table(answers, truth, len(work.config.variants.seeds)), "slides")


def _tiles(work: Evaluation) -> None:
    asked, training = work.config.tiles, work.config.training
    found = {}
    for regime in gastric_tiles.REGIMES:
        for way, sets in zip(gastric_tiles.WAYS, ({}, {"stain.method": "none"}), strict=True):
            cut = gastric_tiles.tile_sets(
                asked, _job(work, sets), regime, work.cache, workers=work.workers,
                told=work.steps.of(f"tiles: {regime}, {way} normalisation"),
            )  # fmt: skip
            for weights in (training.tile_weights, *asked.networks):
                found[Path(weights).stem, regime, way] = gastric_tiles.judge(weights, cut, work.how)
    order = sorted(found, key=lambda key: (key[0], gastric_tiles.REGIMES.index(key[1])))
    work.keep(gastric_tiles.tile_table({key: found[key] for key in order}), "tiles")


def _blank(folder: Path) -> Path:
    """A slide of clear glass with the grain of a sensor."""
    path = folder / "blank.tif"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        grain = np.random.default_rng(0).normal(0, 1.5, (2048, 2048, 3))
        glass = cv2.GaussianBlur(grain, (0, 0), 0.7) + np.array((243, 243, 245))
        write_pyramid(path, iter([np.rint(glass).astype(np.uint8)]), (2048, 2048), 0.5, quality=85)
    return path


def _with_tiles(slides: Sequence[Observed]) -> list[Observed]:
    return [one for one in slides if len(one.slide.tile_id)]


def _said(slides: Sequence[Observed]) -> Labels:
    """Categories (slides, 1) of the largest probability; without tiles, none, which counts as the first."""
    return np.array([[int(np.nan_to_num(one.category_prob).argmax())] for one in slides], np.int64)


def _told(work: Evaluation) -> dict[str, Any]:
    return {
        "phantom": generator(),
        "config": work.config.model_dump(mode="json"),
        "tables": [table.told() for table in work.tables],
    }
