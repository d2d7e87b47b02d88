"""Training of the dual-branch network from start to card: gather, fit, save.

Enters: settings, an output folder. Leaves there ``NAME.safetensors`` (16-bit floats) and ``NAME.json``, a checkpoint,
logs. Next: `wsipipe.models.weights` finds them by path, `wsipipe evaluate retina` counts them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from wsipipe.errors import WeightsError
from wsipipe.models.architecture import Architecture, settings
from wsipipe.models.card import Card
from wsipipe.models.device import Execution
from wsipipe.models.dual_branch import CHANNELS, DualBranch, deployment, gflop, load_encoder
from wsipipe.models.retina_settings import DUAL_BRANCH, DUAL_BRANCH_PRESETS, DualBranchConfig
from wsipipe.models.weights import find, load, save
from wsipipe.phantom.fundus import MICRONS
from wsipipe.phantom.fundus import VERSION as GENERATOR
from wsipipe.train.checkpoint import Progress
from wsipipe.train.config import identity
from wsipipe.train.gastric import Outcome, check_size, provenance, ready
from wsipipe.train.log import Log
from wsipipe.train.retina_config import RetinaConfig
from wsipipe.train.retina_data import Pool, Source, colour_statistics, pool, split
from wsipipe.train.retina_loop import StepPlan, fit_steps
from wsipipe.train.retina_made import made_cases
from wsipipe.train.retina_task import Before, RetinaTask, weights_of
from wsipipe.vessel.network import WORKING_FIELD_PX


def train_retina(config: RetinaConfig, out: Path, *, fresh: bool = False, quiet: bool = False) -> Outcome:
    """Train the dual-branch network.

    Parameters
    ----------
    config : RetinaConfig
    out : Path
        Folder; an interrupted training in it goes on.
    fresh : bool
        Begin anew instead.
    quiet : bool
        No bar and no lines.

    Returns
    -------
    Outcome
        Its scores are the last losses; `wsipipe evaluate retina` counts pictures.

    Raises
    ------
    UsageError, ConfigError, SlideError, StoreError, WeightsError, WsipipeError
        See `retina_data`, `retina_loop` and `wsipipe.models.weights`.
    """
    numbers = config.numbers
    how = ready(out, config.machine, numbers.dtype, numbers.memory_format, fresh=fresh)
    # nothing here reads memory before it is written; filling it takes a tenth of the time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch's stubs lack it
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = how.device == "cuda", how.device != "cuda"
    real, made = _pools(config, how)
    task = _task(config, Source(real, made, config), how)
    plan = StepPlan(config.schedule, identity(config), out, config.machine.checkpoint_s)
    with Log(out, quiet=quiet) as log:
        network, progress = fit_steps(task, plan, log)
    path = out / f"{config.name}.safetensors"
    card = save(path, network.half(), _card(config, task, progress, _told(config, real, made)))
    check_size(path)
    return Outcome(path, card, {"train": _last(progress)})


def build(card: Card) -> DualBranch:
    """The untrained network of a card."""
    return DualBranch(settings(card.architecture, "dual_branch", DualBranchConfig))


def _pools(config: RetinaConfig, how: Execution) -> tuple[list[Pool], Pool | None]:
    parts = split(config.data)
    made, colour = config.data.made, config.data.colour
    real = [
        pool(kept, folder.weight, how.device, colour=colour)
        for (kept, _), folder in zip(parts, config.data.folders, strict=True)
    ]
    if not made.pictures or (real and not made.first_share and not made.later_share):
        return real, None
    return real, pool(made_cases(made, config.machine.workers), 1.0, how.device, colour=colour)


def _task(config: RetinaConfig, source: Source, how: Execution) -> RetinaTask:
    weights = weights_of(config.loss)
    torch.manual_seed(config.schedule.seed)
    network, card = _network(config, source, enhances=weights.enhances)
    network = network.to(how.device).to(memory_format=how.layout())  # type: ignore[call-overload]  # torch's stubs lack it
    before = None
    if config.before:
        file = find(config.before)
        first = load(file, build).to(how.device).requires_grad_(False)
        before = Before(first, file.card)
    return RetinaTask(network, card, source, weights, how, before)


def _network(config: RetinaConfig, source: Source, *, enhances: bool) -> tuple[DualBranch, Card]:
    """A network from the seed, from other weights, or from a published encoder; its card so far."""
    shape = DUAL_BRANCH_PRESETS[config.network]
    network = DualBranch(shape if enhances else shape.model_copy(update={"enhancer": ()}))
    pools = [*source.real, *([source.made] if source.made else [])]
    mean, std = colour_statistics(pools)
    card = Card(name=config.name, architecture=DUAL_BRANCH[config.network], mpp=MICRONS, mean=mean, std=std)
    if config.encoder:
        load_encoder(network, load_file(config.encoder))
    if config.init:
        file = find(config.init)
        _begin(network, load(file, build), file.card)
        card = card.model_copy(update={"mean": file.card.mean, "std": file.card.std})
    architecture = Architecture(name="dual_branch", config=network.config.model_dump(mode="json"))
    return network, card.model_copy(update={"architecture": architecture})


def _begin(network: DualBranch, given: DualBranch, card: Card) -> None:
    """Take over every tensor that fits; the encoder and the segmentation decoder's first pass must."""
    own = network.state_dict()
    fitting = {
        name: value for name, value in given.state_dict().items() if name in own and own[name].shape == value.shape
    }
    needed = [name for name in own if name.startswith(("encoder.", "segmentation.decoder.")) and name not in fitting]
    if needed:
        raise WeightsError(
            f"these weights are of another shape ({len(needed)} tensors, first: {needed[0]}): give init the weights of "
            "a network of the same preset",
            subject=card.name,
        )
    network.load_state_dict(fitting, strict=False)


def _card(config: RetinaConfig, task: RetinaTask, progress: Progress, data: str) -> Card:
    made: dict[str, Any] = provenance(progress, task.how, config.schedule.seed)
    made |= {"config": _portable(config), "losses": {name: round(value, 4) for name, value in _last(progress).items()}}
    made |= {"working_field_px": WORKING_FIELD_PX, "begun_from": _stem(config.init or config.encoder) or "its seed"}
    cost = gflop(deployment(task.module).config, 584, 565)
    return task.card.model_copy(
        update={
            "made": made, "training_data": data, "notice": config.notice, "categories": CHANNELS,
            "gflop_per_tile": round(cost, 2), "tile_px": config.schedule.crop_px,
        }
    )  # fmt: skip


def _portable(config: RetinaConfig) -> dict[str, Any]:
    """The settings with names instead of this machine's paths."""
    made = identity(config)
    data = dict(made["data"])
    data["folders"] = [{**folder, "path": Path(folder["path"]).name} for folder in data["folders"]]
    return made | {"data": data} | {name: _stem(made[name]) for name in ("init", "encoder", "before")}


def _stem(name_or_path: str) -> str:
    """The weights' name."""
    return Path(name_or_path).name.removesuffix(".safetensors")


def _told(config: RetinaConfig, real: list[Pool], made: Pool | None) -> str:
    """The pictures in words, with the attribution that each folder's configuration gives."""
    lines = [
        f"{len(one.maps)} pictures of {folder.told or Path(folder.path).name}"
        for one, folder in zip(real, config.data.folders, strict=True)
    ]
    if made is not None:
        lines.append(f"{len(made.maps)} made fundus pictures (wsipipe.phantom, generator {GENERATOR})")
    if config.init:
        lines.append(f"after {find(config.init).card.training_data or _stem(config.init)}")
    return "; ".join(lines)


def _last(progress: Progress) -> dict[str, float]:
    row = progress.history[-1] if progress.history else {}
    return {name.removeprefix("train_"): value for name, value in row.items() if name.startswith("train_")}
