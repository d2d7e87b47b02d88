"""Which part of the dual-branch network earns its place: the source's Table 1, with seeds, intervals and paired gains.

Enters: a configuration of `wsipipe train retina`. Leaves: a folder per trained network (weights, ``records.json``), and
tables. Next: `wsipipe.cli.evaluate_retina_ablation` shows them.

All rows share one split, one number of steps, one start. An experiment that has its ``records.json`` is not repeated,
so several processes may share a folder (`part`), and what is there can be told at any time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.config import load
from wsipipe.evaluate.interval import mean
from wsipipe.evaluate.retina import (
    PLAIN,
    Asked,
    Record,
    Segment,
    Shown,
    as_json,
    by_network,
    evaluate,
    from_json,
    shown,
)
from wsipipe.evaluate.retina_table import GROUPS, MEASURES, by_picture, gain, per_cent
from wsipipe.evaluate.table import Table
from wsipipe.models.device import Execution, execution
from wsipipe.models.retina_settings import REFINED
from wsipipe.train.retina_config import RetinaConfig
from wsipipe.vessel.colour import alike
from wsipipe.vessel.network import forward, vessel_network

RECORDS = "records.json"
ALONE = "segmentation only"
REFINEMENT = "network=refined"
"""The preset that is the configuration's own with refinement."""
ROWS: dict[str, tuple[str, ...]] = {
    ALONE: ("loss.rec=0", "loss.ssim=0", "loss.mask=0"),
    "+ rec": ("loss.ssim=0", "loss.mask=0"),
    "+ rec + ssim": ("loss.mask=0",),
    "+ rec + mask": ("loss.ssim=0",),
    "all, mask 0.4": (),
    "all, mask 0.1": ("loss.mask=0.1",),
    "all, mask 1.0": ("loss.mask=1.0",),
    "enhance, then segment": ("loss.rec=0", "loss.ssim=0", "loss.mask=0"),
    "segmentation only, trained on clean pictures": (
        "loss.rec=0", "loss.ssim=0", "loss.mask=0", "schedule.degraded=0",
    ),
    "all, mask 0.4, with refinement": (REFINEMENT,),
    "segmentation only, with refinement": (REFINEMENT, "loss.rec=0", "loss.ssim=0", "loss.mask=0"),
}  # fmt: skip
"""Rows by name, and what each sets; the first five and the eighth are the source's."""
FIRST_STAGE = ("loss.segment=0", "loss.mask=0")
"""What the enhancement network of enhance-then-segment sets."""
BASE = {
    "segmentation only, with refinement": ALONE,
    "all, mask 0.4, with refinement": "segmentation only, with refinement",
}
"""What a row's gain is taken over, where that is not `ALONE`."""


@dataclass(frozen=True)
class Experiment:
    """One network to be trained and counted on the pictures that it was not trained on."""

    row: str
    seed: int
    sets: tuple[str, ...] = ()
    first: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """Its folder."""
        words = "".join(letter if letter.isalnum() or letter == "." else "-" for letter in self.row)
        return f"{'-'.join(word for word in words.split('-') if word)}-s{self.seed}"


@dataclass(frozen=True)
class Bench:
    """Where and how experiments are done.

    ``asked`` is what is counted on held-out pictures, ``seconds`` when no new experiment is begun any more.
    """

    config: Path | None
    out: Path
    sets: tuple[str, ...] = ()
    asked: Asked = field(default_factory=lambda: Asked(repaired=False, topology=False, cldice=False))
    part: tuple[int, int] = (0, 1)
    seconds: float = float("inf")
    flips: bool = True
    scales: tuple[float, ...] = ()
    shown: dict[tuple[Any, ...], list[Shown]] = field(default_factory=dict)


def ablation(rows: Sequence[str], seeds: int) -> list[Experiment]:
    """Experiments, seed by seed, so that what is done when the time is over is fair to all rows."""
    return [
        Experiment(row, seed, ROWS[row], FIRST_STAGE if row.startswith("enhance") else ())
        for seed in range(seeds)
        for row in rows
    ]


def folds(count: int, seed: int = 0) -> list[Experiment]:
    """Cross-validation of one configuration: each picture is counted by the network that did not see it."""
    return [
        Experiment(f"fold {fold} of {count}", seed, (f"data.folds={count}", f"data.fold={fold}"))
        for fold in range(count)
    ]


def run(experiments: Sequence[Experiment], bench: Bench, *, told: Callable[[str], None] = lambda _: None) -> int:
    """Train and count what is not there yet; returns how many were done.

    Raises
    ------
    UsageError, ConfigError, SlideError, StoreError, WeightsError, WsipipeError
        See `wsipipe.train.retina`.
    """
    began, done = time.monotonic(), 0
    first, parts = bench.part
    for experiment in experiments[first::parts]:
        if time.monotonic() - began > bench.seconds:
            told(f"the time is over, {experiment.row} (seed {experiment.seed}) is left out")
            break
        folder = bench.out / experiment.slug
        if (folder / RECORDS).is_file():
            continue
        records = _one(experiment, bench, folder)
        (folder / RECORDS).write_text(json.dumps(as_json(records)) + "\n", encoding="utf-8")
        done += 1
        told(f"{experiment.row} (seed {experiment.seed}): {time.monotonic() - began:.0f} s")
    return done


def collect(experiments: Sequence[Experiment], out: Path) -> dict[str, dict[int, list[Record]]]:
    """What is there: row to seed to records."""
    found: dict[str, dict[int, list[Record]]] = {}
    for experiment in experiments:
        path = out / experiment.slug / RECORDS
        if path.is_file():
            found.setdefault(experiment.row, {})[experiment.seed] = from_json(json.loads(path.read_bytes()))
    return found


def ablation_table(found: Mapping[str, Mapping[int, list[Record]]], *, title: str, notes: Sequence[str] = ()) -> Table:
    """One row per row of the ablation and group of conditions, with its paired gain in S and G accuracy.

    Pictures are means over seeds first; intervals are over pictures, so they say nothing of another training, whose
    spread over seeds stands beside.
    """
    columns = (
        "row",
        "condition",
        "seeds",
        "S Acc",
        "S Sen",
        "S Spec",
        "G Acc",
        "recall",
        "Dice",
        "seeds' spread of S Acc",
    )
    table = Table(title, (*columns, "over", "gain S Acc", "gain G Acc", "gain recall"))
    for name, parts in GROUPS.items():
        means = {row: _over_seeds(seeds, parts) for row, seeds in found.items()}
        for row, pictures in means.items():
            if not pictures:
                continue
            base = BASE.get(row, ALONE)
            columns_of = np.array(list(pictures.values()))
            told = [per_cent(mean(columns_of[:, MEASURES.index(one)])) for one in _TOLD]
            theirs = {} if row == base else means.get(base) or {}
            gains = [gain(pictures, theirs, one) if theirs else None for one in ("s_acc", "g_acc", "recall")]
            table.add(row, name, len(found[row]), *told, _spread(found[row], parts), base if theirs else None, *gains)
    table.notes += [
        "Per cent; intervals are 95 % bootstrap intervals over held-out pictures, gains are paired.",
        *notes,
    ]
    return table


_TOLD = ("s_acc", "s_sen", "s_spec", "g_acc", "recall", "dice")


def _over_seeds(seeds: Mapping[int, list[Record]], conditions: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    each = [by_picture(records, conditions, PLAIN) for records in seeds.values()]
    names = set.intersection(*(set(one) for one in each)) if each else set()
    return {name: np.mean([one[name] for one in each], axis=0) for name in sorted(names)}


def _spread(seeds: Mapping[int, list[Record]], conditions: Sequence[str]) -> float:
    """Standard deviation over seeds of the mean S accuracy; NaN for one seed."""
    each = [[row[0] for row in by_picture(records, conditions, PLAIN).values()] for records in seeds.values()]
    means = [float(np.mean(some)) for some in each if some]
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def _one(experiment: Experiment, bench: Bench, folder: Path) -> list[Record]:
    from wsipipe.train.retina import train_retina  # deferred: torch

    config = _config(experiment, bench)
    first = None
    if experiment.first:
        enhancing = _config(replace(experiment, sets=experiment.first), bench)
        first = train_retina(enhancing, folder / "first", quiet=True).weights
        config = config.model_copy(update={"before": str(first)})
    weights = train_retina(config, folder, quiet=True).weights
    how = execution(config.machine.device, config.numbers.dtype, threads=config.machine.threads or 1)
    return evaluate(_shown(config, bench), _segment(weights, first, how, bench), bench.asked)


def _shown(config: RetinaConfig, bench: Bench) -> list[Shown]:
    """The held-out pictures under all conditions, made once per split."""
    from wsipipe.train.retina_data import split  # deferred: torch

    data = config.data
    key = (*(folder.path for folder in data.folders), data.folds, data.fold)
    if key not in bench.shown:
        held = [case for _, judged in split(data) for case in judged]
        bench.shown[key] = list(shown(held, bench.asked))
    return bench.shown[key]


def _config(experiment: Experiment, bench: Bench) -> RetinaConfig:
    own = [one for one in experiment.sets if one != REFINEMENT]
    made = load(RetinaConfig, bench.config, [*bench.sets, f"schedule.seed={experiment.seed}", *own])
    if len(own) == len(experiment.sets):
        return made
    return made.model_copy(update={"network": REFINED.get(made.network, made.network)})


def _segment(weights: Path, first: Path | None, how: Execution, bench: Bench) -> Segment:
    """The trained network; after the enhancement of another where there is one."""
    segment = by_network(vessel_network(str(weights), how=how, flips=bench.flips, scales=bench.scales))
    if first is None:
        return segment
    enhancer = vessel_network(str(first), how=how, enhance=True)
    colours = enhancer.file.card.mean, enhancer.file.card.std

    def after(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        made = forward(enhancer, alike(picture, *colours)[None])[1]
        return segment(picture if made is None else made[0])

    return after
