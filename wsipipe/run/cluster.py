"""Workers by dask: a cluster of this machine, or one that runs already.

Enters: how many processes and threads, or a scheduler's address. Leaves: addresses of workers, and tasks put on
exactly one of them. Next room: `wsipipe.run.pool`, which says what goes where.

Local workers start by spawn (Zarr, OpenSlide and torch deadlock in forked children), a nanny replaces one that dies,
and one whose parent is gone exits by itself. dask never runs a task twice by itself: `wsipipe.run.pool` knows better
which of a dead worker's tasks is to blame.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Future, LocalCluster

from wsipipe.errors import ClusterError
from wsipipe.run import heap
from wsipipe.run.reach import scheduler_workers

REACH_S, CONNECT_S = 10.0, 30.0
ANSWER_S = 15.0
"""Time-outs for reaching a scheduler, for becoming its client, and for its answer to a question."""
CLOSE_S, KILL_S = 20.0, 2.0
"""Time-outs for closing the cluster, in peace and at once."""
MOST_STARTS = 3
"""How often a local cluster is started before the run gives up."""

SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 100,
}
"""Of local clusters. Of a worker's memory only the nanny's limit is used: results stay on disk, nothing can spill.
Logs for dask's developers are short: at their own length the scheduler grows by 50 MB over the first 10,000 units."""


@dataclass(frozen=True)
class Crew:
    """Which workers a run is done by.

    Parameters
    ----------
    workers : int
        Processes of a local cluster; 0 runs in threads of this process.
    threads : int
        Threads of each.
    scheduler : str
        Address of a running scheduler (``tcp://host:8786``) or its scheduler file; empty starts a local cluster.
    memory : int
        Bytes at which a local worker is killed and replaced; 0 sets no limit.
    """

    workers: int = 1
    threads: int = 1
    scheduler: str = ""
    memory: int = 0


class Cluster:
    """A dask client, and the cluster behind it where it is ours. `close` must be called."""

    def __init__(self, crew: Crew) -> None:
        self.crew, self._local, self._tasks = crew, None, count()
        if crew.scheduler:
            self._client = _connect(crew.scheduler)
            return
        if not self.killable:
            heap.keep()
        started_with = dask.config.get("distributed.nanny.pre-spawn-environ") | heap.ENVIRONMENT
        with dask.config.set(SETTINGS | {"distributed.nanny.pre-spawn-environ": started_with}):
            self._local = _start(crew)
            self._client = Client(self._local)

    @property
    def killable(self) -> bool:
        """Whether workers are processes of their own, which can be killed without us."""
        return bool(self.crew.scheduler or self.crew.workers)

    def seats(self) -> dict[str, int]:
        """Threads of every worker by its address. Raises ClusterError where the scheduler does not answer."""
        if self._client.status == "running":
            with contextlib.suppress(OSError, TimeoutError):
                return dict(self._client.nthreads(callback_timeout=ANSWER_S))
        raise ClusterError(
            "the scheduler is lost: start the cluster again, then the same command continues where this one stopped",
            subject=self.crew.scheduler or "the local cluster",
        )

    def submit(self, address: str, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Future]:
        """Put calls of a function on one worker; a call may not move to another."""
        keys = [f"unit-{self._client.id}-{next(self._tasks)}" for _ in calls]
        columns = list(zip(*calls, strict=True))
        return list(self._client.map(function, *columns, key=keys, workers=[address], pure=False))

    def when_done(self, futures: Sequence[Future], take: Callable[[int, Any], None]) -> None:
        """Call `take` with a future's place and its answer, or the error that it ended with, as each is done.

        Nothing is told of a future whose worker is gone.
        """

        async def wait(place: int, future: Future) -> None:
            answer: Any
            (answer,) = await asyncio.gather(self._client.gather(future, asynchronous=True), return_exceptions=True)
            take(place, answer)

        async def wait_for_all() -> None:
            await asyncio.gather(*(wait(place, future) for place, future in enumerate(futures)))

        self._client.loop.add_callback(wait_for_all)

    def forget(self, future: Future) -> None:
        """Give up a task whose worker is gone or condemned."""
        future.cancel()

    def tell(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function in every worker process, beside its tasks; does not wait."""

        async def send() -> None:
            with contextlib.suppress(OSError, KeyError):  # a worker may go meanwhile
                await self._client.run(function, *args, on_error="ignore")

        self._client.loop.add_callback(send)

    def kill(self, address: str, pid: int) -> None:
        """Kill a worker process, whatever it does; its nanny, where it has one, starts another."""
        if self._local is not None:
            _kill(pid)
            return

        async def send() -> None:
            there: dict[str, Any] = {"workers": [address], "on_error": "ignore"}
            with contextlib.suppress(OSError, KeyError):  # it may be gone already
                if not await self._client.run(_kill_worker, nanny=True, **there):
                    await self._client.run(_kill_itself, **there)

        self._client.loop.add_callback(send)

    def dashboard(self) -> str:
        """Where a browser sees the cluster, in a line."""
        info = self._client.scheduler_info(n_workers=0)
        port = info.get("services", {}).get("dashboard")
        if not port:
            return ""
        base = f"http://{info['address'].split('://')[-1].rsplit(':', 1)[0]}:{port}"
        if find_spec("bokeh"):
            return f"dashboard {base}/status"
        return f"scheduler {base}/health (dask's dashboard needs bokeh: pip install bokeh)"

    def close(self, *, at_once: bool = False) -> None:
        """Let go of the cluster; a local one ends with all its processes."""
        limit = KILL_S if at_once else CLOSE_S
        if at_once:  # dask tells of every connection that ends with the processes that are killed now
            logging.getLogger("distributed").setLevel(logging.CRITICAL)
        with contextlib.suppress(TimeoutError, OSError):  # on a starved machine; workers end with us in any case
            self._client.close(timeout=limit)
        if self._local is None:
            return
        if at_once:
            for worker in self._local.workers.values():
                _kill(getattr(worker, "pid", None) or 0)
        with contextlib.suppress(TimeoutError, OSError):
            self._local.close(timeout=limit)


def _start(crew: Crew) -> LocalCluster:
    """A cluster of this machine. Raises ClusterError where its workers do not start, also when it is tried again.

    dask gives a cluster up where one worker dies while it starts.
    """
    for _ in range(MOST_STARTS - 1):
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            return _local(crew)
    try:
        return _local(crew)
    except (OSError, RuntimeError, TimeoutError) as error:
        raise ClusterError(
            f"starting {crew.workers} workers: {type(error).__name__}: {' '.join(str(error).split())}; is there enough "
            "memory? try fewer --workers; --workers 0 needs none"
        ) from error


def _local(crew: Crew) -> LocalCluster:
    return LocalCluster(
        n_workers=max(1, crew.workers),
        threads_per_worker=crew.threads,
        processes=crew.workers > 0,
        memory_limit=crew.memory,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # its HTTP server: any free port, this machine
        silence_logs=50,
    )


def _connect(scheduler: str) -> Client:
    """A client of a running scheduler. Raises ClusterError where there is none."""
    try:
        address = scheduler if "://" in scheduler else _address_in(Path(scheduler))
        _, wrong = scheduler_workers(address, REACH_S)  # knows a worker from a scheduler, and gives up sooner than dask
        if wrong:
            raise OSError(wrong)
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"reaching the scheduler: {' '.join(str(error).split())}; give --scheduler tcp://HOST:PORT or the file "
            "that `dask scheduler --scheduler-file` wrote",
            subject=scheduler,
        ) from error


def _address_in(file: Path) -> str:
    """The address that a scheduler file holds."""
    if not file.is_file():
        raise FileNotFoundError("no such scheduler file")
    told = json.loads(file.read_bytes())
    address = told.get("address") if isinstance(told, dict) else None
    if not isinstance(address, str):
        raise ValueError("the scheduler file holds no address")
    return address


def _kill(pid: int) -> None:
    if pid and pid != os.getpid():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _kill_worker(dask_worker: Any) -> None:
    """Runs in a worker's nanny."""
    _kill(dask_worker.pid or 0)


def _kill_itself() -> None:
    """Runs in a worker that has no nanny, beside the task that does not end."""
    os.kill(os.getpid(), signal.SIGKILL)
