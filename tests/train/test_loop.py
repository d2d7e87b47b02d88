"""The loop: what is resumed is what would have been; what goes wrong says so and keeps the last good checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from wsipipe.config import load
from wsipipe.errors import ConfigError, StoreError, WsipipeError
from wsipipe.models.device import execution
from wsipipe.train import checkpoint
from wsipipe.train.checkpoint import Progress
from wsipipe.train.config import ScheduleSection, TilesConfig, identity
from wsipipe.train.gastric import tiles_task
from wsipipe.train.log import Log
from wsipipe.train.loop import BEST, CHECKPOINT, Plan, fit, make_optimizer, one_cycle

TINY = Path(__file__).parents[2] / "configs" / "gastric-tiles.tiny.yaml"


class Killed(Exception):
    pass


class Watch:
    """Tells nobody; dies after some steps of this process, as a kill would."""

    def __init__(self, die_after: int | None = None) -> None:
        self.left = die_after

    def began(self, progress: Progress, epochs: int, steps: int) -> None:
        pass

    def stepped(self, progress: Progress, parts: Mapping[str, float]) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Killed

    def epoch_ended(self, progress: Progress) -> None:
        pass


def config(**sets: Any) -> TilesConfig:
    small = {"tile.size": 64, "schedule.crop_px": 32} | sets
    return load(TilesConfig, TINY, [f"{key}={json.dumps(value)}" for key, value in small.items()])


def train(
    folder: Path, out: Path, *, watch: Any = None, settings: TilesConfig | None = None, every_s: float = 0.0
) -> Any:
    settings = settings or config()
    out.mkdir(exist_ok=True)
    task = tiles_task(settings, folder, execution("cpu"))
    plan = Plan(settings.schedule, identity(settings), out, every_s)
    return task, fit(task, plan, watch or Watch())


def digest(module: torch.nn.Module) -> str:
    whole = hashlib.sha256()
    for name, value in module.state_dict().items():
        whole.update(name.encode() + value.numpy().tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("kills", [(1,), (9,), (3, 4, 5)])
def test_killed_and_resumed_gives_the_same_weights(tiles_folder: Path, tmp_path: Path, kills: tuple[int, ...]) -> None:
    task, whole = train(tiles_folder, tmp_path / "whole")
    for steps in kills:
        with pytest.raises(Killed):
            train(tiles_folder, tmp_path / "parts", watch=Watch(steps))
    again, resumed = train(tiles_folder, tmp_path / "parts")
    assert digest(again.module) == digest(task.module)
    assert (tmp_path / "parts" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()
    assert resumed.history == whole.history
    assert resumed.done == whole.done == 8 + 8


def test_a_finished_training_is_not_done_again(tiles_folder: Path, tmp_path: Path) -> None:
    _, first = train(tiles_folder, tmp_path)
    before = (tmp_path / CHECKPOINT).read_bytes()
    _, second = train(tiles_folder, tmp_path, watch=Watch(1))
    assert second == first
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_checkpoint_of_another_configuration_is_refused(tiles_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tiles_folder, tmp_path, watch=Watch(3))
    with pytest.raises(ConfigError, match=r"another configuration \(schedule\.learning_rate was 0\.002, is 0\.1\)"):
        train(tiles_folder, tmp_path, settings=config(**{"schedule.learning_rate": 0.1}))


def test_the_machine_may_change(tiles_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tiles_folder, tmp_path, watch=Watch(3))
    _, progress = train(tiles_folder, tmp_path, settings=config(**{"machine.workers": 7}))
    assert progress.epoch == 2


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tiles_folder: Path, tmp_path: Path) -> None:
    settings = config(**{"schedule.learning_rate": 1e30, "schedule.clip": 1e30})
    with pytest.raises(WsipipeError, match=r"training: .* (is|are) (nan|inf).*lower schedule\.learning_rate"):
        train(tiles_folder, tmp_path, settings=settings)
    task = tiles_task(settings, tiles_folder, execution("cpu"))
    optimizer = make_optimizer(task.module, settings.schedule)
    checkpoint.load(tmp_path / CHECKPOINT, task.module, optimizer, identity(settings))
    assert all(bool(torch.isfinite(value).all()) for value in task.module.state_dict().values())


def test_a_full_disk_keeps_the_last_good_checkpoint(
    tiles_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        train(tiles_folder, tmp_path, watch=Watch(4))
    good = (tmp_path / CHECKPOINT).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"No space left on device\); the last good one is kept"):
            train(tiles_folder, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == good
    assert not list(tmp_path.glob("*.partial"))
    _, progress = train(tiles_folder, tmp_path)
    assert progress.epoch == 2


def test_a_damaged_checkpoint_says_so(tiles_folder: Path, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(StoreError, match="cannot be read"):
        train(tiles_folder, tmp_path)


def test_it_stops_early_and_keeps_the_best(tiles_folder: Path, tmp_path: Path) -> None:
    settings = config(**{"schedule.epochs": 9, "schedule.patience": 2, "schedule.whole_epochs": 0})
    task = tiles_task(settings, tiles_folder, execution("cpu"))
    scores = iter([0.3, 0.5, 0.4, 0.5, 0.9])
    task.validate = lambda: {"score": next(scores)}  # type: ignore[method-assign]
    progress = fit(task, Plan(settings.schedule, {}, tmp_path), Watch())
    assert (progress.epoch, progress.best_epoch, progress.best_score) == (4, 1, 0.5)


def test_it_learns(tiles_folder: Path, tmp_path: Path) -> None:
    settings = config(
        **{"schedule.epochs": 12, "schedule.learning_rate": 0.01, "schedule.whole_batch": 8, "schedule.crop_px": 0}
    )
    _, progress = train(tiles_folder, tmp_path, settings=settings, every_s=1e9)
    assert progress.history[-1]["train_loss"] < 0.5 * progress.history[0]["train_loss"]
    assert progress.best_score > 0.8


def test_one_cycle_rises_and_falls() -> None:
    rates = [one_cycle(step, 100, peak=1.0, warm=0.2) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[20] == 1.0 == max(rates)
    assert rates[99] == pytest.approx(1e-4)
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_the_log_holds_each_epoch_once(tiles_folder: Path, tmp_path: Path) -> None:
    for steps in (10, None):
        with Log(tmp_path, quiet=True) as log:
            watch = Watch(steps)
            log.stepped = watch.stepped  # type: ignore[method-assign]
            if steps:
                with pytest.raises(Killed):
                    train(tiles_folder, tmp_path, watch=log)
            else:
                train(tiles_folder, tmp_path, watch=log)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert list((tmp_path / "events").glob("events.out.tfevents.*"))


def test_the_default_schedule_is_of_the_shipped_file() -> None:
    shipped = load(TilesConfig, TINY.with_name("gastric-tiles.yaml"))
    assert shipped == TilesConfig()
    assert isinstance(shipped.schedule, ScheduleSection)
