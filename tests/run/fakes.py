"""A pipeline of one step whose units do nothing, so that tests and benchmarks see the batch alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from wsipipe.run import batch
from wsipipe.run.job import Job, Recipe
from wsipipe.run.pool import Failure
from wsipipe.run.running import Row, Running
from wsipipe.run.source import Source
from wsipipe.run.work import Opened, Report

STEP = "tiles"


@dataclass(frozen=True)
class Plan:
    """How many units each slide has, how long one sleeps, and which ones raise how often (by slide name)."""

    units: int = 4
    sleep_s: float = 0.0
    wrong: dict[str, dict[int, int]] = field(default_factory=dict)


class FakeRecipe(Recipe):
    """A recipe whose pipeline is a list of names."""

    def build(self) -> Any:
        return SimpleNamespace(steps=[SimpleNamespace(name=STEP)], scale=None)


@dataclass(frozen=True)
class FakeWork:
    """What a prepared slide is to a batch."""

    plan: Plan
    job: Job
    id: str
    fingerprint: str
    folder: str
    keys: tuple[str, ...] = ("key",)
    missing: tuple[Any, ...] = ()

    @property
    def frame(self) -> Any:
        return SimpleNamespace(mpp=0.5)

    def without(self, step: int, units: tuple[int, ...]) -> FakeWork:
        return replace(self, missing=(*self.missing, (step, units)))


def job(plan: Plan, folder: Path) -> Any:
    """A job that says what its slides do."""
    return SimpleNamespace(recipe=FakeRecipe("fake:build", "{}"), plan=plan, results=str(folder))


def slides(folder: Path, sizes: dict[str, int]) -> list[Source]:
    """Files of these sizes, in this order; a slide's content is its size."""
    folder.mkdir(exist_ok=True)
    for name, size in sizes.items():
        (folder / name).write_bytes(b"\0" * size)
    return [Source(str(folder / name)) for name in sizes]


def prepare(job: Any, source: Source) -> FakeWork:
    path = Path(source.path)
    return FakeWork(job.plan, job, path.stem, f"{path.stat().st_size:012d}", job.results)


def begin_step(work: FakeWork, step: int) -> Opened:
    return Opened(list(range(work.plan.units)), work.plan.units)


def do_unit(work: FakeWork, step: int, unit: int) -> Report:
    time.sleep(work.plan.sleep_s)
    times = work.plan.wrong.get(work.id, {}).get(unit, 0)
    tried = len(list(Path(work.folder).glob(f"{work.id}-{unit}-*.tried"))) if times else 0
    if tried < times:
        (Path(work.folder) / f"{work.id}-{unit}-{tried}.tried").touch()
        raise OSError("made for a test")
    return Report(STEP, 0.0, 1)


def close_step(work: FakeWork, step: int) -> Report:
    return Report(STEP, record={"closed_without": list(work.missing)})


@contextmanager
def in_place() -> Iterator[None]:
    """The batch with these functions instead of those that open slides and write stores."""
    named = {one.__name__: one for one in (prepare, begin_step, do_unit, close_step)}
    with mock.patch.multiple(batch.work, **named):
        yield


@dataclass
class Heard:
    """An observer that remembers."""

    started: list[str] = field(default_factory=list)
    failed: list[tuple[str, int, bool]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    done: int = 0

    def slide_started(self, slide: Running) -> None:
        self.started.append(slide.prepared.id)

    def step_started(self, slide: Running, units: int) -> None:
        pass

    def task_done(self, slide: Running, report: Report) -> None:
        self.done += report.tiles

    def task_failed(self, slide: Running, task: batch.Task, failure: Failure, *, again: bool) -> None:
        self.failed.append((Path(slide.source.path).stem, task.unit, again))

    def slide_ended(self, row: Row) -> None:
        self.rows.append(row)
