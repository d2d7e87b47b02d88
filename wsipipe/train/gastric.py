"""Training of the two gastric networks from start to card: gather, fit, judge, save, report.

Enters: settings, the pipeline that will use the network, an output folder. Leaves there ``NAME.safetensors`` and
``NAME.json``, checkpoints, logs and a report. Next: `wsipipe.models.weights` finds them by path; ``--install``
puts them where they are found by name.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from wsipipe import __version__
from wsipipe.errors import UsageError, WeightsError
from wsipipe.lesion.gate import feature_distance, fit_statistics
from wsipipe.models.architecture import VNET, VNET_PRESETS
from wsipipe.models.card import Card, FeatureStatistics
from wsipipe.models.device import Execution, execution
from wsipipe.models.vnet import VNet, gflop
from wsipipe.models.weights import FOLDER, save
from wsipipe.run.job import Recipe
from wsipipe.train.checkpoint import Progress
from wsipipe.train.config import MachineSection, TilesConfig, identity
from wsipipe.train.judge import tiles_report
from wsipipe.train.log import Log
from wsipipe.train.loop import BEST, CHECKPOINT, Plan, fit
from wsipipe.train.source import gather, generator
from wsipipe.train.tiles import Said, TilesTask, colour_statistics, say
from wsipipe.train.tileset import TileSet

MOST_BYTES = 25 * 2**20
PHANTOM_NOTICE = "trained on phantom slides; not for clinical use"
OWN_NOTICE = "trained on a laboratory's own slides, not validated; not for clinical use"


@dataclass(frozen=True)
class Outcome:
    """What a training left: the weights' path, their card, and the measures of each split."""

    weights: Path
    card: Card
    scores: Mapping[str, Mapping[str, float]]


def train_tiles(config: TilesConfig, recipe: Recipe, out: Path, *, fresh: bool = False, quiet: bool = False) -> Outcome:
    """Train network one.

    Parameters
    ----------
    config : TilesConfig
    recipe : Recipe
        Of the pipeline whose steps before the tile network the tiles go through.
    out : Path
        Folder; an interrupted training in it goes on.
    fresh : bool
        Begin anew instead.
    quiet : bool
        No bar and no lines.

    Raises
    ------
    UsageError, ConfigError, StoreError, WsipipeError
        See `wsipipe.train.source` and `wsipipe.train.loop`.
    """
    how = ready(out, config.machine, config.numbers.dtype, config.numbers.memory_format, fresh=fresh)
    with Log(out, quiet=quiet) as log:
        cache = Path(config.machine.cache) if config.machine.cache else out / "cache"
        folder = gather(config, recipe, cache, told=log.gathered)
        task = tiles_task(config, folder, how)
        plan = Plan(config.schedule, identity(config) | {"tiles": folder.name}, out, config.machine.checkpoint_s)
        progress = fit(task, plan, log)
    said = {split: say(task.module, tiles, task.card, how) for split, tiles in _judged(folder, task).items()}
    known = fit_statistics(said["val"].features, said["val"].label)
    card = _tiles_card(config, task, progress, said, known)
    card = save(out / f"{config.name}.safetensors", task.module, card, known=known)
    check_size(out / f"{config.name}.safetensors")
    tiles_report(
        out / "report",
        progress.history,
        said,
        {name: getattr(task, name, None) or TileSet.of(folder, name) for name in said},
    )
    return Outcome(out / f"{config.name}.safetensors", card, card.made["scores"])


def ready(out: Path, machine: MachineSection, dtype: str, memory_format: str, *, fresh: bool) -> Execution:
    """The folder, the device, the threads."""
    if out.exists() and not out.is_dir():
        raise UsageError("--out is a folder, this is a file: give another path", subject=str(out))
    out.mkdir(parents=True, exist_ok=True)
    if fresh:
        for name in (CHECKPOINT, BEST):
            (out / name).unlink(missing_ok=True)
    how = execution(machine.device, dtype, memory_format, machine.threads or os.cpu_count() or 1)
    torch.set_num_threads(how.threads)
    torch.use_deterministic_algorithms(how.device == "cpu")
    return how


def tiles_task(config: TilesConfig, folder: Path, how: Execution) -> TilesTask:
    """The task of a configuration: a new network, made from the seed."""
    train, val = TileSet.of(folder, "train"), TileSet.of(folder, "val")
    mean, std = colour_statistics(train)
    card = Card(
        name=config.name, architecture=VNET[config.network], mpp=config.tile.mpp, tile_px=config.tile.size,
        mean=_triple(mean), std=_triple(std),
    )  # fmt: skip
    torch.manual_seed(config.schedule.seed)
    module = VNet(VNET_PRESETS[config.network]).to(how.device)
    module = module.to(memory_format=how.layout())  # type: ignore[call-overload]  # torch's stubs lack it
    return TilesTask(config, module, card, how, train, val)


def provenance(progress: Progress, how: Execution, seed: int) -> dict[str, Any]:
    """What made a network, for its card."""
    return {
        "seed": seed, "epochs": progress.epoch, "best_epoch": progress.best_epoch + 1, "steps": progress.done,
        "seconds": round(progress.seconds, 1), "device": device_name(how), "threads": torch.get_num_threads(),
        "dtype": how.dtype, "torch": version("torch"), "wsipipe": __version__,
    }  # fmt: skip


def device_name(how: Execution) -> str:
    """The processor in words."""
    if how.device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    return f"{names[0] if names else platform.processor() or platform.machine()}, {len(names) or '?'} threads"


def check_size(path: Path) -> None:
    """Weights that ship stay small.

    Raises
    ------
    WeightsError
        Where the file is larger than 25 MB.
    """
    if path.stat().st_size > MOST_BYTES:
        raise WeightsError(
            f"saving weights: a file has at most 25 MB, this has {path.stat().st_size / 2**20:.1f}: choose a smaller "
            "network",
            subject=path.name,
        )


def install(weights: Path) -> Path:
    """Copy weights and card to the package's own folder, where they are found by name."""
    FOLDER.mkdir(exist_ok=True)
    for path in (weights, weights.with_suffix(".json")):
        shutil.copyfile(path, FOLDER / path.name)
    return FOLDER / weights.name


def _judged(folder: Path, task: TilesTask) -> dict[str, TileSet]:
    found = {"val": task.val}
    try:
        return found | {"test": TileSet.of(folder, "test")}
    except UsageError:  # no test part, or a class is missing there: it is only reported
        return found


def _tiles_card(
    config: TilesConfig, task: TilesTask, progress: Progress, said: Mapping[str, Said], known: FeatureStatistics
) -> Card:
    made = provenance(progress, task.how, config.schedule.seed)
    phantom = config.data.source == "phantom"
    made |= generator() if phantom else {}
    made["scores"] = {name: {k: round(v, 4) for k, v in one.measures().items()} for name, one in said.items()}
    made["feature_distance"] = {
        name: {
            "median": round(float(torch.tensor(d).median()), 3),
            "p95": round(float(torch.tensor(d).quantile(0.95)), 3),
        }
        for name, one in said.items()
        for d in [feature_distance(one.features, known).tolist()]
    }
    made["tiles"] = {"train": len(task.train)} | {name: len(one.label) for name, one in said.items()}
    made["config"] = identity(config)
    return task.card.model_copy(
        update={
            "made": made,
            "gflop_per_tile": round(gflop(VNET_PRESETS[config.network], config.tile.size), 3),
            "training_data": _data_line(config, len(task.train)),
            "notice": PHANTOM_NOTICE if phantom else OWN_NOTICE,
        }
    )


def _data_line(config: TilesConfig, tiles: int) -> str:
    if config.data.source != "phantom":
        return f"{tiles} tiles of {'a laboratory' if config.data.source == 'slides' else 'a tile set'}"
    told = generator()
    slides = config.data.phantom.train_slides
    made = f"wsipipe.phantom {told['version']}, generator {told['generator']}"
    return f"{tiles} tiles of {slides} made gastric slides ({made}), regime train"


def _triple(values: tuple[float, ...]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]
