"""Checkpoints: everything that a killed training needs to go on as if nothing had happened, in one file.

Enters: network, optimiser, `Progress`, and what configuration they belong to. Leaves: ``checkpoint.safetensors``,
whose header holds the numbers as JSON; nothing is pickled. The rate schedule, the order of the examples and
their augmentation are pure functions of (seed, epoch, step), so the position is all that must be kept of them.
Next: `wsipipe.train.loop`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode
from torch import Tensor, nn
from torch.optim import Optimizer

from wsipipe.errors import ConfigError, StoreError
from wsipipe.stage import canonical
from wsipipe.train.file import put

VERSION = 1


@dataclass
class Progress:
    """How far a training has come.

    ``epoch`` and ``step`` are of the next step to do; ``done`` counts all steps. ``sums`` are this epoch's
    losses so far, ``history`` one dict per finished epoch, ``seconds`` the time worked, pauses left out.
    """

    epoch: int = 0
    step: int = 0
    done: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = float("-inf")
    best_epoch: int = -1
    seconds: float = 0.0


def save(path: Path, module: nn.Module, optimizer: Optimizer, progress: Progress, identity: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    Raises
    ------
    StoreError
        Where it cannot be written (a full disk); the checkpoint that stood there before is kept.
    """
    told = asdict(progress) | {"best_score": repr(progress.best_score)}
    header = {"version": str(VERSION), "progress": json.dumps(told), "identity": canonical(identity)}
    put(path, encode(_tensors(module, optimizer), header), what="the checkpoint")


def load(path: Path, module: nn.Module, optimizer: Optimizer, identity: Mapping[str, Any]) -> Progress:
    """Put network, optimiser and torch's generator back; returns how far they had come.

    Raises
    ------
    ConfigError
        Where it belongs to another configuration; the keys that differ are named.
    StoreError
        Where it cannot be read.
    """
    header, tensors = _read(path)
    _same(json.loads(header["identity"]), json.loads(canonical(identity)), path)
    module.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    optimizer.load_state_dict(_optimizer_state(optimizer, tensors))
    torch.set_rng_state(tensors["generator"])
    told = json.loads(header["progress"])
    return Progress(**told | {"best_score": float(told["best_score"])})


def _tensors(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    found = {f"model.{name}": value for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    found["generator"] = torch.get_rng_state()
    return {name: value.detach().cpu().contiguous() for name, value in found.items()}


def _optimizer_state(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"resuming: the checkpoint cannot be read ({error}); delete it to begin anew", subject=path.name
        ) from error
    if header.get("version") != str(VERSION) or not {"progress", "identity"} <= header.keys():
        raise StoreError(
            f"resuming: a checkpoint of version {VERSION} is needed, got {header.get('version', 'none')}; "
            "delete it to begin anew",
            subject=path.name,
        )
    return header, tensors


def _same(stored: Mapping[str, Any], asked: Mapping[str, Any], path: Path) -> None:
    old, new = _flat(stored), _flat(asked)
    differ = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if differ:
        told = ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in differ[:4])
        more = f" and {len(differ) - 4} more" if len(differ) > 4 else ""
        raise ConfigError(
            f"resuming: the checkpoint belongs to another configuration ({told}{more}): give the old "
            "configuration, another --out, or --fresh to begin anew",
            subject=path.name,
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
