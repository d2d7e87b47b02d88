"""Cross-validation of the segmentation branch on real tissue: glands, or whatever the masks of a folder outline.

Enters: a folder of pictures and masks, settings. Leaves: ``masks/NAME.png`` said by the network that has not seen
the picture, ``table.md`` with intervals over pictures, ``scores.csv``, a sheet of the worst. Next: people.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.evaluate.interval import interval, mean
from wsipipe.evaluate.table import Table
from wsipipe.models.device import Execution
from wsipipe.train.config import identity
from wsipipe.train.gastric import ready
from wsipipe.train.glands import GlandsConfig, Sample, glands_task, read_samples, segment
from wsipipe.train.log import Log
from wsipipe.train.loop import Plan, fit
from wsipipe.train.metric import pooled_dice
from wsipipe.train.report import worst_sheet

Mask = NDArray[np.bool_]


def evaluate_glands(config: GlandsConfig, folder: Path, out: Path, *, quiet: bool = False) -> Table:
    """Train one network per fold, segment every picture by the one that has not seen it, and count.

    Parameters
    ----------
    config : GlandsConfig
    folder : Path
        Holds ``images/NAME.png`` and ``masks/NAME.png``.
    out : Path
        An interrupted evaluation in it goes on, in the fold and step where it stopped.
    quiet : bool
        No bars.

    Raises
    ------
    UsageError
        For wrong pictures or masks, or fewer pictures than folds.
    WsipipeError
        See `wsipipe.train.loop`.
    """
    samples = read_samples(folder)
    parts = folds([one.name for one in samples], config.folds, seed=config.schedule.seed)
    how = ready(out, config.machine, config.numbers.dtype, config.numbers.memory_format, fresh=False)
    (out / "masks").mkdir(exist_ok=True)
    said: dict[str, Mask] = {}
    for number, names in enumerate(parts):
        tested = [one for one in samples if one.name in names]
        others = [one for one in samples if one.name not in names]
        said |= _fold(config, others, tested, out / f"fold-{number}", how, quiet=quiet)
        for name in names:
            cv2.imwrite(str(out / "masks" / f"{name}.png"), said[name].astype(np.uint8) * 255)
    return _judged(samples, said, out, len(parts))


def folds(names: Sequence[str], count: int, *, seed: int) -> list[set[str]]:
    """Names in `count` groups of like size, drawn by `seed`.

    Raises
    ------
    UsageError
        Where there are fewer names than groups.
    """
    if len(names) < count:
        raise UsageError(f"cross-validation: {count} folds need as many pictures, there are {len(names)}: fewer folds")
    order = np.random.default_rng(seed).permutation(sorted(names)).tolist()
    return [set(order[number::count]) for number in range(count)]


def counts(truth: Mask, said: Mask) -> tuple[int, int, int]:
    """Pixels that are both, true, said."""
    return int((truth & said).sum()), int(truth.sum()), int(said.sum())


def _fold(
    config: GlandsConfig, others: Sequence[Sample], tested: Sequence[Sample], out: Path, how: Execution, *, quiet: bool
) -> dict[str, Mask]:
    order = np.random.default_rng([config.schedule.seed, 1]).permutation(len(others)).tolist()
    held = max(1, round(config.validation * len(others)))
    val, train = ([others[i] for i in rows] for rows in (order[:held], order[held:]))
    task = glands_task(config, train, val, how)
    told = identity(config) | {"pictures": sorted(one.name for one in train)}
    out.mkdir(exist_ok=True)
    with Log(out, quiet=quiet) as log:
        fit(task, Plan(config.schedule, told, out, config.machine.checkpoint_s), log)
    return {one.name: segment(task.module, one.rgb, task.card, how) for one in tested}


def _judged(samples: Sequence[Sample], said: dict[str, Mask], out: Path, parts: int) -> Table:
    each = np.array([counts(one.mask > 0, said[one.name]) for one in samples])
    dice = np.array([pooled_dice(row[None]) for row in each])
    table = Table("Segmentation of pictures that the network has not seen", ("measure", "value"))
    table.add("Dice, mean over pictures", mean(dice))
    table.add("pixel F1, all pictures together", interval(pooled_dice, each))
    table.add("IoU, mean over pictures", mean(dice / (2 - dice)))
    table.add("worst picture's Dice", float(np.nanmin(dice)))
    table.notes.append(f"{len(samples)} pictures, {parts} folds; intervals: 95 %, bootstrap over pictures")
    table.write(out, "table")
    rows = [f"{one.name},{value:.4f}" for one, value in zip(samples, dice.tolist(), strict=True)]
    (out / "scores.csv").write_text("name,dice\n" + "\n".join(rows) + "\n", encoding="utf-8")
    worst = np.argsort(dice)[:12].tolist()
    worst_sheet(
        out / "worst.png", [samples[i].rgb for i in worst], [f"{samples[i].name}\ndice {dice[i]:.2f}" for i in worst],
        masks=[(samples[i].mask > 0, said[samples[i].name]) for i in worst], columns=4,
    )  # fmt: skip
    return table
