"""The one door to dask: a pool that runs functions in worker processes, or in threads of this one.

Enters: functions with small arguments. Leaves: their answers, in the order in which they come. Next room:
`wsipipe.run.batch`.

Workers start by spawn (dask's default): Zarr, OpenSlide and torch deadlock in forked children. A worker takes
one task per thread; the rest waits in `wsipipe.run.batch`, so the graph that dask sees stays small.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import dask
from distributed import Client, Future, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from wsipipe.errors import UnitError, WsipipeError

CLOSE_S = 20.0
"""Time-out for closing the cluster."""

SETTINGS = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
}


@dataclass(frozen=True)
class Failure:
    """An error that a task ended with, as values that every process can read."""

    error: WsipipeError
    trace: str = ""


def guarded(function: Callable[..., Any], *args: Any) -> Any:
    """Run a task; an error becomes a `Failure`, so that one unit never stops a batch.

    This is the one broad `except` of the package: whatever a decoder, a codec or a network raises is recorded
    with its traceback.
    """
    _single_threaded()
    try:
        return function(*args)
    except WsipipeError as error:
        return Failure(error, traceback.format_exc())
    except Exception as error:  # noqa: BLE001 (the one place: a worker records a failed unit)
        return Failure(UnitError(f"{type(error).__name__}: {_one_line(error)}"), traceback.format_exc())


class Pool:
    """Workers, and the tasks that are with them.

    Parameters
    ----------
    workers : int
        Processes; 0 runs in threads of this process.
    threads : int
        Threads of each.

    Use it as a context manager: the cluster is closed explicitly, with a time-out.
    """

    def __init__(self, *, workers: int, threads: int) -> None:
        self.slots = max(1, workers) * threads
        self._running: dict[Future, Any] = {}
        with dask.config.set(SETTINGS):
            self._cluster = LocalCluster(
                n_workers=max(1, workers),
                threads_per_worker=threads,
                processes=workers > 0,
                memory_limit=0,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # its HTTP server: any free port, this machine
                silence_logs=50,
            )
            self._client = Client(self._cluster)
        self._done = as_completed(raise_errors=False)

    @property
    def running(self) -> int:
        """Tasks handed over and not yet answered."""
        return len(self._running)

    def submit(self, token: Any, function: Callable[..., Any], *args: Any) -> None:
        """Hand over a task; `token` comes back with its answer."""
        future = self._client.submit(guarded, function, *args, pure=False)
        self._running[future] = token
        self._done.add(future)

    def answers(self) -> Iterator[tuple[Any, Any]]:
        """``(token, answer)`` of one finished task at a time; an answer may be a `Failure`."""
        while self._running:
            future = next(self._done)
            yield self._running.pop(future), _answer(future)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(TimeoutError):  # on a starved machine; the answers are in, workers die with us
            self._client.close(timeout=CLOSE_S)
        with contextlib.suppress(TimeoutError):
            self._cluster.close(timeout=CLOSE_S)


def _answer(future: Future) -> Any:
    if future.status == "finished":
        return future.result()
    error = future.exception()
    if isinstance(error, KilledWorker):
        return Failure(
            UnitError(
                "the worker process died (a native library crashed, or memory ran out): run this slide alone with "
                "--workers 1, or with fewer workers"
            )
        )
    return Failure(UnitError(f"{type(error).__name__}: {_one_line(error)}"))


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())[:500]


def _single_threaded() -> None:
    """OpenCV's own threads would fight the pool's."""
    import cv2  # deferred: only workers need it

    cv2.setNumThreads(1)
