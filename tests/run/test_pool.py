"""The pool: who is to blame when a worker dies or hangs, and that nobody else is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.run import tasks
from wsipipe.errors import ClusterError, StoppedError, UnitError, UnitTimeoutError, WorkerLostError
from wsipipe.run import cluster
from wsipipe.run.cluster import Crew
from wsipipe.run.pool import Errand, Failure, Pool

pytestmark = pytest.mark.timeout(180)


def answers(pool: Pool) -> dict[Any, Any]:
    return dict(pool.answers())


class Given:
    """Errands that a pool takes one by one."""

    def __init__(self, errands: list[Errand]) -> None:
        self.errands = errands

    def left(self) -> bool:
        return bool(self.errands)

    def next(self) -> Errand | None:
        return self.errands.pop(0) if self.errands else None


def test_a_task_that_kills_two_workers_is_quarantined_and_its_neighbours_are_done(tmp_path: Path) -> None:
    told: list[str] = []
    with Pool(workers=2, threads=1, notice=told.append) as pool:
        pool.submit("bad", tasks.die)
        pool.submit("once", tasks.die_once, str(tmp_path / "flag"))
        for number in range(12):
            pool.submit(number, tasks.double, number)
        found = answers(pool)
    assert {token: answer for token, answer in found.items() if isinstance(token, int)} == {n: 2 * n for n in range(12)}
    assert isinstance(found["bad"], Failure)
    assert isinstance(found["bad"].error, WorkerLostError)
    assert "died twice" in found["bad"].error.message
    assert found["once"] == "answered"
    assert sum("died" in line for line in told) >= 3


def test_a_late_task_is_ended_with_its_worker_alone() -> None:
    with Pool(workers=2, threads=1) as pool:
        errands = [Errand("late", tasks.hang, (60.0,), limit_s=1.0)]
        errands += [Errand(number, tasks.slow, (0.1, number), limit_s=30.0) for number in range(10)]
        started = time.monotonic()
        found = dict(pool.answers(Given(errands)))
        assert time.monotonic() - started < 45
    assert isinstance(found.pop("late").error, UnitTimeoutError)
    assert found == {number: number for number in range(10)}


def test_errors_come_back_with_their_trace() -> None:
    with Pool(workers=0, threads=2) as pool:
        pool.submit("wrong", int, "no number")
        pool.submit("right", int, "7")
        found = answers(pool)
    assert found["right"] == 7
    assert isinstance(found["wrong"].error, UnitError)
    assert "ValueError: invalid literal" in found["wrong"].error.message
    assert "Traceback" in found["wrong"].trace


def test_stopping_drops_what_hangs_and_leaves_no_process() -> None:
    with Pool(workers=2, threads=1) as pool:
        for number in range(4):
            pool.submit(number, tasks.hang, 120.0)
        time.sleep(3)
        started = time.monotonic()
        pool.stop()
        found = answers(pool)
        workers = psutil.Process().children(recursive=True)
    assert time.monotonic() - started < 20
    assert all(isinstance(answer.error, StoppedError) for answer in found.values())
    _, alive = psutil.wait_procs([one for one in workers if "spawn_main" in " ".join(_words(one))], timeout=15)
    assert alive == []


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_a_cluster_whose_worker_dies_while_it_starts_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[Crew] = []

    def start(crew: Crew) -> Any:
        starts.append(crew)
        if len(starts) < cluster.MOST_STARTS:
            raise RuntimeError("Nanny failed to start.")
        return real(crew)

    real = cluster._local
    monkeypatch.setattr(cluster, "_local", start)
    with Pool(workers=1) as pool:
        pool.submit(1, tasks.double, 1)
        assert answers(pool) == {1: 2}
    assert len(starts) == cluster.MOST_STARTS


def test_a_cluster_that_never_starts_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Crew) -> Any:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(cluster, "_local", fail)
    with pytest.raises(ClusterError, match="starting 1 workers: RuntimeError: Nanny failed"):
        Pool(workers=1)
