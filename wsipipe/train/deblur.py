"""Training of the deblurring network from pictures to card: read, fit, judge, save.

Enters: settings, an output folder. Leaves there ``NAME.safetensors`` and ``NAME.json``, checkpoints and logs. Next:
`wsipipe.models.weights` finds the weights by path; ``--install`` puts them where they are found by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsipipe.deblur.network import deblurring
from wsipipe.errors import WeightsError
from wsipipe.models.architecture import Architecture
from wsipipe.models.card import Card
from wsipipe.models.deblur_config import DEBLUR
from wsipipe.models.deblurring import DeblurNet, build
from wsipipe.models.device import Execution
from wsipipe.models.weights import find, load, save
from wsipipe.stage import digest
from wsipipe.train.checkpoint import Progress
from wsipipe.train.config import identity
from wsipipe.train.deblur_config import DeblurTraining
from wsipipe.train.deblur_decide import decide, gather
from wsipipe.train.deblur_degrade import RIM
from wsipipe.train.deblur_limits import limits
from wsipipe.train.deblur_pictures import Pictures, read
from wsipipe.train.deblur_task import VALID_SIDE, DeblurTask
from wsipipe.train.gastric import Outcome, check_size, provenance, ready
from wsipipe.train.log import Log
from wsipipe.train.loop import Plan, fit

DECIDED, LARGE_PX = 240, 304
"""Sharp crops from which the kind's decision is fitted (as many as steps, if fewer); side of the large ones."""
ABOUT = "ABOUT.txt"
"""In the folder of pictures: where they are from and under which licence; told by the card."""
NOTICE = "trained on made blur of few pictures; not for clinical use"


def train_deblur(config: DeblurTraining, out: Path, *, fresh: bool = False, quiet: bool = False) -> Outcome:
    """Train the deblurring network.

    Parameters
    ----------
    config : DeblurTraining
    out : Path
        Folder; an interrupted training in it goes on.
    fresh : bool
        Begin anew instead.
    quiet : bool
        No bar and no lines.

    Raises
    ------
    UsageError, ConfigError, StoreError, WsipipeError
        See `wsipipe.train.deblur_pictures` and `wsipipe.train.loop`.
    """
    how = ready(out, config.machine, config.numbers.dtype, config.numbers.memory_format, fresh=fresh)
    seed, side = config.schedule.seed, config.schedule.crop_px + 2 * RIM
    learnt, names = read(config.data, "train", side, seed=seed)
    kept, kept_names = read(config.data, "val", VALID_SIDE + 2 * RIM, seed=seed)
    task = task_of(config, how, Pictures.of(learnt, names, how.device), Pictures.of(kept, kept_names, how.device))
    pictures = digest([[name, int(np.asarray(rgb, np.uint64).sum())] for rgb, name in zip(learnt, names, strict=True)])
    # nothing here reads memory before it is written; filling it takes a tenth of the time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch's stubs lack it
    with Log(out, quiet=quiet) as log:
        plan = Plan(
            config.schedule, identity(config) | {"pictures": pictures}, out, config.machine.checkpoint_s,
            seconds=config.schedule.seconds,
        )  # fmt: skip
        progress = fit(task, plan, log)
    path = out / f"{config.name}.safetensors"
    task.module.eval()
    made = {"pictures": names, "decided": _decide(task, progress)}
    card = save(path, task.module, _card(config, task, progress, made))
    check_size(path)
    found = limits(deblurring(weights=str(path), guard=False, device=how.device), kept, seed=seed)
    card = save(path, task.module, _card(config, task, progress, made | {"limits": found}))
    _report(out / "report", progress, card)
    return Outcome(path, card, card.made["scores"])


def task_of(config: DeblurTraining, how: Execution, train: Pictures, val: Pictures) -> DeblurTask:
    """The task of a configuration: a new network, made from the seed or from other weights."""
    torch.manual_seed(config.schedule.seed)
    module = DeblurNet(config.architecture())
    if config.init:
        _begin(module, config.init)
    module = module.to(how.device)
    module = module.to(memory_format=how.layout())  # type: ignore[call-overload]  # torch's stubs lack it
    return DeblurTask(config, module, how, train, val)


def _begin(module: DeblurNet, weights: str) -> None:
    """Take over all tensors of other weights, which must have the same form."""
    file = find(weights, DEBLUR)
    given = load(file, build)
    if given.config != module.config:
        raise WeightsError("init has another form than this configuration: give weights of the same", subject=weights)
    module.load_state_dict(given.state_dict())


def _decide(task: DeblurTask, progress: Progress) -> dict[str, float]:
    """Fit how the kind is decided, on small and large crops of the training pictures; the share that is right."""
    sides = (task.config.schedule.crop_px, LARGE_PX)
    fits = [side for side in sides if bool((task.train.places[:, 1:].amin(dim=1) >= side + 2 * RIM).any())]
    parts = []
    for side in fits:
        large = task.train.at_least(side + 2 * RIM)
        count = max(1, min(DECIDED, progress.done) // len(fits))
        parts.append(
            gather(task.module, large, side, count, task.config.blurs, task.how, task.config.schedule.seed + side)
        )
    seen, kinds = (torch.cat(each) for each in zip(*parts, strict=True))
    return {"crops": len(kinds), "right": round(decide(task.module, seen, kinds), 4)}


def _card(config: DeblurTraining, task: DeblurTask, progress: Progress, found: Mapping[str, Any]) -> Card:
    made = provenance(progress, task.how, config.schedule.seed)
    best = {name: round(value, 4) for name, value in progress.history[progress.best_epoch].items()}
    settings = identity(config)
    settings["data"]["folder"] = Path(config.data.folder).name  # where it lay on this machine is nobody's business
    settings["init"] = Path(config.init).name.removesuffix(".safetensors")
    made |= {"scores": {"val": best}, **found, "config": settings}
    about = Path(config.data.folder, ABOUT)
    source = "pictures named under made.pictures" if config.data.folder else "made tiles (wsipipe.phantom)"
    told = f": {' '.join(about.read_text(encoding='utf-8').split())}" if config.data.folder and about.is_file() else ""
    return Card(
        name=config.name,
        architecture=Architecture(name="deblur", config=task.module.config.model_dump(mode="json")),
        tile_px=config.schedule.crop_px,
        categories=(),
        training_data=f"{len(task.train.names)} {source}, blurred by wsipipe{told}",
        notice=NOTICE,
        made=made,
    )


def _report(folder: Path, progress: Progress, card: Card) -> None:
    """A page with the measures of every epoch and the limits that were found."""
    folder.mkdir(exist_ok=True)
    names = list(progress.history[0])
    lines = [f"# {card.name}", "", card.notice, "", "| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(f"{row[name]:.4g}" for name in names) + " |" for row in progress.history]
    lines += ["", f"Best epoch {progress.best_epoch + 1}, {progress.done} steps in {progress.seconds:.0f} s. Gains are "
              "decibels over the blurred picture.", "", f"Limits: {json.dumps(card.made['limits'])}"]  # fmt: skip
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
