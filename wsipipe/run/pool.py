"""Workers, and which task is with which: one task per thread, so that a worker's death is never a neighbour's fault.

Enters: functions with small arguments. Leaves: their answers, in the order in which they come. Next room:
`wsipipe.run.batch`.

When a worker dies, each of its tasks is run once more, alone on a worker. One that dies there too is to blame: it is
quarantined, and its neighbours are done. A task that takes longer than it may is ended by killing its worker; what
else was on that worker is run again and not blamed.
"""

from __future__ import annotations

import queue
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from distributed.scheduler import KilledWorker

from wsipipe.errors import ClusterError, StoppedError, UnitError, UnitTimeoutError, WorkerLostError, WsipipeError
from wsipipe.run import stop
from wsipipe.run.cluster import Cluster, Crew

LOOK_S = 0.5
"""How often workers that came or went are looked for, and time limits checked."""
STOP_S = 6.0
"""Seconds that tasks have for ending by themselves once the run is to stop; then their workers are killed."""
ALONE_S = 300.0
"""Seconds that a run waits while there is no worker that takes tasks."""
MOST_DEATHS, MOST_STILLBORN = 2, 3
DIED = (
    "the worker process died twice (a native library crashed, or memory ran out), the second time with this alone: "
    "it is quarantined for this run; read the slide with another program, or give it more memory"
)
LATE = "not done within {:g} s: its worker was killed; raise the time limit, or look at the slide alone"


@dataclass(frozen=True)
class Failure:
    """An error that a task ended with, as values that every process can read."""

    error: WsipipeError
    trace: str = ""


@dataclass(eq=False)
class Errand:
    """A task that a pool was given: what to call, how long it may take, and how often it died."""

    token: Any
    function: Callable[..., Any]
    args: tuple[Any, ...]
    limit_s: float | None = None
    deaths: int = 0
    started: float = 0.0
    future: Any = None


class Feeder(Protocol):
    """Where a pool gets tasks from as workers free up."""

    def left(self) -> bool:
        """Whether there is a task to be had now."""

    def next(self) -> Errand | None:
        """The next task."""


@dataclass(eq=False)
class Worker:
    """A worker process and the tasks that are with it."""

    address: str
    threads: int
    greeting: Any = None
    ready: bool = False
    refused: bool = False
    condemned: bool = False
    aboard: set[Errand] = field(default_factory=set)

    @property
    def able(self) -> bool:
        """Whether it takes tasks, now or once those that it has are done."""
        return self.ready and not self.condemned and self.threads > 0

    @property
    def room(self) -> int:
        """How many tasks it can take; none while a task is alone on it."""
        if not self.able or any(errand.deaths for errand in self.aboard):
            return 0
        return self.threads - len(self.aboard)


def guarded(function: Callable[..., Any], *args: Any, run: str = "") -> Any:
    """Run a task; an error becomes a `Failure`, so that one unit never stops a batch.

    This is the one broad `except` of the package: whatever a decoder, a codec or a network raises is recorded
    with its traceback.
    """
    _single_threaded()
    try:
        with stop.during(run):
            return function(*args)
    except WsipipeError as error:
        return Failure(error, traceback.format_exc())
    except Exception as error:  # noqa: BLE001 (the one place: a worker records a failed unit)
        return Failure(UnitError(f"{type(error).__name__}: {_one_line(error)}"), traceback.format_exc())


def hello() -> Hello:
    """What a worker is asked before it gets tasks, where nothing else is to be asked."""
    import os

    return Hello(os.getpid())


@dataclass(frozen=True)
class Hello:
    """A worker's answer: its process, and what it owns alone (a GPU), if anything."""

    pid: int
    owns: str = ""
    bytes: int = 0


def _silent(line: str) -> None:
    """Tell nobody."""


class Pool:
    """Workers, and the tasks that are with them.

    Parameters
    ----------
    workers, threads : int
        Processes of a local cluster (0 runs in threads of this process), and threads of each.
    crew : Crew, optional
        Instead of these two, to run on a cluster that is there already or with a limit of memory.
    greet : tuple, optional
        Function and arguments that every new worker runs first; returns a `Hello`, an error refuses the worker.
    notice : callable, optional
        Told in a line what happens to workers.

    Use it as a context manager: the cluster is closed explicitly, with a time-out.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        threads: int = 1,
        crew: Crew | None = None,
        greet: tuple[Any, ...] = (hello,),
        notice: Callable[[str], None] = _silent,
    ) -> None:
        self.cluster = Cluster(crew or Crew(workers, threads))
        self._greet, self._notice = greet, notice
        self._run = uuid.uuid4().hex
        self._roster: dict[str, Worker] = {}
        self._given: deque[Errand] = deque()
        self._again: deque[Errand] = deque()
        self._outbox: dict[str, list[Errand]] = {}
        self._news: queue.SimpleQueue[tuple[Errand, Any, Any] | None] = queue.SimpleQueue()
        self._stop_at = self._told_at = self._looked = 0.0
        self._stillborn = 0
        self._seen = time.monotonic()

    @property
    def slots(self) -> int:
        """Tasks that can run at once; before the workers are up, those that a local cluster will have."""
        ready = sum(worker.threads for worker in self._roster.values() if worker.ready)
        crew = self.cluster.crew
        return ready or (1 if crew.scheduler else max(1, crew.workers) * crew.threads)

    @property
    def workers(self) -> list[Worker]:
        """The workers that take tasks."""
        return [worker for worker in self._roster.values() if worker.ready]

    @property
    def stopping(self) -> bool:
        """Whether no new task is begun."""
        return self._stop_at > 0

    def stop(self) -> None:
        """Begin nothing more; tasks that ask `wsipipe.run.stop.check` end early. May be called in a signal handler."""
        self._stop_at = self._stop_at or time.monotonic()
        self._news.put(None)

    def submit(self, token: Any, function: Callable[..., Any], *args: Any) -> None:
        """Hand over a task; `token` comes back with its answer."""
        self._given.append(Errand(token, function, args))

    def answers(self, feeder: Feeder | None = None) -> Iterator[tuple[Any, Any]]:
        """``(token, answer)`` of one finished task at a time, until there is none left; an answer may be a `Failure`.

        Raises
        ------
        ClusterError
            Where the scheduler is lost, or no worker can be had.
        """
        self._seen = time.monotonic()  # a pool may have been idle for long
        while True:
            if time.monotonic() - self._looked > LOOK_S:
                yield from self._look()
            self._fill(feeder)
            if not self._busy() and (self.stopping or not self._left(feeder)):
                return
            self._send()
            yield from self._arrived()

    def _left(self, feeder: Feeder | None) -> bool:
        return bool(self._again or self._given or (feeder and feeder.left()))

    def _busy(self) -> bool:
        return any(errand.token is not hello for worker in self._roster.values() for errand in worker.aboard)

    def _fill(self, feeder: Feeder | None) -> None:
        """Give every free thread a task: first those that must be alone, then the others."""
        able = [worker for worker in self._roster.values() if worker.able] if self._again else []
        emptied = min(able, key=lambda worker: len(worker.aboard), default=None)
        for worker in self._roster.values():
            while worker.room and not self.stopping:
                alone = bool(self._again) and not worker.aboard
                if worker is emptied and not alone:
                    break  # it gets nothing new until it is empty, for a task that must be alone
                errand = self._again.popleft() if alone else self._next(feeder)
                if errand is None:
                    break
                self._place(worker, errand)

    def _next(self, feeder: Feeder | None) -> Errand | None:
        if self._given:
            return self._given.popleft()
        return feeder.next() if feeder and feeder.left() else None

    def _place(self, worker: Worker, errand: Errand) -> None:
        errand.started = time.monotonic()
        worker.aboard.add(errand)
        self._outbox.setdefault(worker.address, []).append(errand)

    def _send(self) -> None:
        for address, errands in self._outbox.items():
            calls = [(self._run, errand.function, errand.args) for errand in errands]
            futures = self.cluster.submit(address, _task, calls)
            for errand, future in zip(errands, futures, strict=True):
                errand.future = future
            self.cluster.when_done(futures, _taker(self._news, errands, futures))
        self._outbox = {}

    def _arrived(self) -> Iterator[tuple[Any, Any]]:
        """Wait for news, and take all that there is."""
        wait: float | None = LOOK_S
        while True:
            try:
                news = self._news.get(timeout=wait) if wait else self._news.get_nowait()
            except queue.Empty:
                return
            wait = None
            if news is not None and news[0].future is news[1]:  # else it is of a worker that is written off
                yield from self._take(news[0], news[2])

    def _take(self, errand: Errand, answer: Any) -> Iterator[tuple[Any, Any]]:
        worker = next(worker for worker in self._roster.values() if errand in worker.aboard)
        if isinstance(answer, KilledWorker):
            yield from self._gone(worker)
            return
        worker.aboard.discard(errand)
        errand.future = None
        if isinstance(answer, BaseException):
            self.cluster.seats()  # raises where it is the scheduler that is lost
            answer = Failure(UnitError(f"{type(answer).__name__}: {_one_line(answer)}"))
        if errand.token is hello:
            self._welcome(worker, answer)
        else:
            yield errand.token, answer

    def _welcome(self, worker: Worker, answer: Hello | Failure) -> None:
        if isinstance(answer, Failure):
            worker.refused = True
            self._notice(f"worker {worker.address} is not used: {answer.error.message}")
            if all(other.refused for other in self._roster.values()):
                raise ClusterError(f"no worker can be used: {answer.error.message}")
            return
        owners = {other.greeting.owns for other in self.workers}
        worker.greeting, worker.refused = answer, bool(answer.owns) and answer.owns in owners
        worker.ready, self._stillborn = not worker.refused, 0

    def _look(self) -> Iterator[tuple[Any, Any]]:
        """See which workers came and went, and which tasks take too long."""
        self._looked = now = time.monotonic()
        seats = self.cluster.seats()
        for worker in [worker for address, worker in self._roster.items() if address not in seats]:
            yield from self._gone(worker)
        for address in [address for address in seats if address not in self._roster]:
            self._roster[address] = Worker(address, seats[address])
            self._place(self._roster[address], Errand(hello, self._greet[0], self._greet[1:]))
        self._seen = now if any(worker.able for worker in self._roster.values()) else self._seen
        if now - self._seen > ALONE_S:
            raise ClusterError(
                f"no worker that takes tasks for {ALONE_S:g} s: start workers, then the same command continues"
            )
        yield from self._late(now)
        yield from self._stopped(now)

    def _gone(self, worker: Worker) -> Iterator[tuple[Any, Any]]:
        """A worker process is no more: run what it had again, alone; quarantine what was alone before."""
        self._roster.pop(worker.address, None)
        self._outbox.pop(worker.address, None)
        if any(other.refused and other.greeting for other in self._roster.values()):  # one may take the GPU over
            self._roster = {a: other for a, other in self._roster.items() if not (other.refused and other.greeting)}
        for errand in sorted(worker.aboard, key=lambda errand: errand.started):
            if errand.future is not None:
                self.cluster.forget(errand.future)
                errand.future = None
            if errand.token is hello:
                self._unborn()
                continue
            errand.deaths += not worker.condemned
            if errand.deaths < MOST_DEATHS:
                self._again.append(errand) if errand.deaths else self._given.appendleft(errand)
            else:
                yield errand.token, Failure(WorkerLostError(DIED))
        if not worker.condemned and not self.stopping:
            self._notice(f"worker {worker.address} died; its {len(worker.aboard)} tasks are run again")

    def _unborn(self) -> None:
        self._stillborn += 1
        if self._stillborn >= MOST_STILLBORN:
            raise ClusterError(
                f"{MOST_STILLBORN} workers died one after the other while they started: is there enough memory? does "
                "`wsipipe run ... --workers 0` say more?"
            )

    def _late(self, now: float) -> Iterator[tuple[Any, Any]]:
        for worker in list(self._roster.values()):
            late = [e for e in worker.aboard if e.limit_s is not None and now - e.started > e.limit_s]
            for errand in late:
                worker.aboard.discard(errand)
                errand.future = None
                yield errand.token, Failure(UnitTimeoutError(LATE.format(errand.limit_s)))
            if late:
                self._condemn(worker, len(late))

    def _condemn(self, worker: Worker, stuck: int) -> None:
        """Kill a worker on which so many tasks do not end; a thread of this process cannot be killed, and is lost."""
        if not self.cluster.killable:
            worker.threads -= stuck
            return
        worker.condemned = True
        self.cluster.kill(worker.address, worker.greeting.pid)

    def _stopped(self, now: float) -> Iterator[tuple[Any, Any]]:
        """Once the run is to stop: tell the workers, and drop what has not ended by itself after a while."""
        if not self.stopping:
            return
        if not self._told_at:
            self._told_at = now
            self.cluster.tell(stop.ask, self._run)
        if now - self._stop_at > STOP_S:
            for worker in self.workers:
                stuck = [errand for errand in worker.aboard if errand.token is not hello]
                worker.aboard.difference_update(stuck)
                if stuck:
                    self._condemn(worker, len(stuck))
                for errand in stuck:
                    errand.future = None  # an answer that still comes is not wanted any more
                    yield errand.token, Failure(StoppedError("dropped half way"))

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cluster.close(at_once=kind is not None or self.stopping)


def _task(run: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return guarded(function, *args, run=run)


def _taker(news: queue.SimpleQueue[Any], errands: list[Errand], futures: list[Any]) -> Callable[[int, Any], None]:
    return lambda place, answer: news.put((errands[place], futures[place], answer))


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())[:500]


def _single_threaded() -> None:
    """OpenCV's own threads would fight the pool's."""
    import cv2  # deferred: only workers need it

    cv2.setNumThreads(1)
