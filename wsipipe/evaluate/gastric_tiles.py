"""Network one by itself: lesion masks and tile classes on regimes that it has not seen, with and without normalisation.

Enters: weights, made slides. Leaves: a table with intervals over slides. Next: `wsipipe.evaluate.gastric`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.evaluate.gastric_config import TileTestSection
from wsipipe.evaluate.interval import Interval, difference, interval
from wsipipe.evaluate.table import Table
from wsipipe.lesion.network import TileNetwork
from wsipipe.models.architecture import VNET
from wsipipe.models.card import CATEGORIES
from wsipipe.models.device import Execution
from wsipipe.models.weights import find
from wsipipe.run.job import Job
from wsipipe.run.source import Source
from wsipipe.stage import digest
from wsipipe.train.cut import Made, Order, before_network, network_step
from wsipipe.train.metric import confused, counted_f1, pooled_dice
from wsipipe.train.source import Told, cut_all, generator
from wsipipe.train.tiles import Said, say
from wsipipe.train.tileset import Shard, TileSet

REGIMES = ("test", "shifted")
WAYS = ("with", "without")
Counts = NDArray[np.int64]


def tile_sets(asked: TileTestSection, job: Job, regime: str, cache: Path, *, workers: int, told: Told) -> list[TileSet]:
    """Tiles of `asked.slides` made slides of a regime, one set per slide; those in the cache are not cut again."""
    pipeline = job.recipe.build()
    step = network_step(pipeline)
    steps = [one.spec() for one in (*pipeline.steps[:step], *before_network(pipeline.steps[step]))]
    shaped = asked.model_dump(exclude={"networks", "slides"}) | {"regime": regime, "steps": steps} | generator()
    folder = cache / f"tile-test-{digest(shaped)}"
    folder.mkdir(parents=True, exist_ok=True)
    orders = [_order(asked, job, regime, folder, number) for number in range(asked.slides)]
    shards = cut_all(orders, workers=workers, told=told)
    return [TileSet(folder, [shard]) for shard in shards if shard.label]


def judge(weights: str, sets: Sequence[TileSet], how: Execution) -> tuple[Counts, Counts]:
    """What a network says of each slide's tiles.

    Returns
    -------
    lesion : (slides, 3) int64
        Pixels that are both lesion and called so, true, called so.
    classes : (slides, 4, 4) int64
        Tiles by true class (rows) and said class.
    """
    network = TileNetwork(find(weights, VNET), how, 8, "any", 1)
    each = [say(network.module(), one, network.file.card, how) for one in sets]
    return np.array([_lesion(one) for one in each]), np.array(
        [confused(one.label, one.prob.argmax(axis=1)) for one in each]
    )


def macro_f1(classes: Counts) -> float:
    """Macro-F1 of tile classes (slides, 4, 4) of all slides together."""
    return counted_f1(classes.sum(axis=0))


def tile_table(found: dict[tuple[str, str, str], tuple[Counts, Counts]]) -> Table:
    """Every network on every regime, with normalisation, without, and the difference.

    Parameters
    ----------
    found : dict
        (network, regime, way) to what `judge` gave.
    """
    table = Table("Network one on tiles of unseen regimes", ("network", "regime", "stain", "lesion Dice", "macro-F1"))
    for (network, regime, way), (lesion, classes) in found.items():
        row: tuple[Any, ...] = (interval(pooled_dice, lesion), interval(macro_f1, classes))
        table.add(network, regime, f"{way} normalisation", *row)
        if way == WAYS[1]:
            table.add(network, regime, "with, less without", *_gaps(found, network, regime))
    slides = {regime: len(lesion) for (_, regime, _), (lesion, _) in found.items()}
    counted = ", ".join(f"{count} slides of regime {regime}" for regime, count in slides.items())
    table.notes.append(f"{counted}; intervals: 95 %, bootstrap over slides, differences paired")
    return table


def _gaps(
    found: dict[tuple[str, str, str], tuple[Counts, Counts]], network: str, regime: str
) -> tuple[Interval | None, Interval | None]:
    """With normalisation less without, of Dice and of F1; none where a slide gave no tile in one of the two ways."""
    a, b = (found[network, regime, way] for way in WAYS)
    if len(a[0]) != len(b[0]):
        return None, None
    return difference(pooled_dice, a[0], b[0]), difference(macro_f1, a[1], b[1])


def _lesion(said: Said) -> list[int]:
    return [int(said.overlap.both[-1]), int(said.overlap.true[-1]), int(said.overlap.said[-1])]


def _order(asked: TileTestSection, job: Job, regime: str, folder: Path, number: int) -> Order:
    name, seed = f"{regime}-{number:04d}", asked.seed * 100_000 + number
    shard = Shard(name, "test", name, CATEGORIES[number % len(CATEGORIES)], ())
    made = Made(seed, regime, asked.size_px)
    return Order(job, Source(""), shard, str(folder), made=made, most=asked.tiles_per_slide, seed=seed)
