"""Who does a run's work: how many processes and threads, or a cluster that runs already.

Enters: a run verb's options and what the pipeline needs. Leaves: a `Pool`, and lines for people. Next room:
`wsipipe.cli.launch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from wsipipe.run.capacity import Size, by_cores, by_memory
from wsipipe.run.cluster import Crew
from wsipipe.run.greeting import Asked, greet, versions
from wsipipe.run.job import Job
from wsipipe.run.pool import Failure, Pool

Say = Callable[[str], None]


@dataclass(frozen=True)
class Hands:
    """What the command says of workers.

    Parameters
    ----------
    workers : int or None
        Processes; 0 runs in threads of this process, None takes what cores and memory allow.
    threads : int
        Of each.
    max_memory : int
        Bytes for the whole run; 0 sets no limit.
    scheduler : str
        Of a running cluster, whose workers are used instead.
    """

    workers: int | None = None
    threads: int = 1
    max_memory: int = 0
    scheduler: str = ""

    @property
    def in_process(self) -> bool:
        """Whether the work is done in threads of this process."""
        return self.workers == 0 and not (self.max_memory or self.scheduler)


def enlist(job: Job, hands: Hands, *, gpu: bool, say: Say) -> Pool:
    """The workers of a run.

    Raises
    ------
    UsageError
        Where not one worker fits into the memory that it may have.
    ClusterError
        Where the scheduler is not reached.
    """
    asked = Asked(job, gpu=gpu)
    if hands.scheduler:
        asked = replace(asked, versions=versions(), shared=True)
        crew = Crew(threads=hands.threads, scheduler=hands.scheduler)
    else:
        size = _size(job, hands, gpu=gpu, say=say)
        crew = Crew(size.workers, hands.threads, memory=size.memory)
        say(f"{_count(crew)}{f' ({size.why})' if size.why else ''}")
    pool = Pool(crew=crew, greet=(greet, asked), notice=say)
    if (crew.workers or crew.scheduler) and (dashboard := pool.cluster.dashboard()):
        say(dashboard)
    return pool


def _count(crew: Crew) -> str:
    processes = f"{crew.workers} worker{'s' if crew.workers != 1 else ''}" if crew.workers else "this process"
    return f"{processes} of {crew.threads} thread{'s' if crew.threads != 1 else ''}"


def _size(job: Job, hands: Hands, *, gpu: bool, say: Say) -> Size:
    size = by_cores(hands.threads, gpu=gpu) if hands.workers is None else Size(hands.workers)
    if gpu and size.workers > 1:
        size = Size(1, why="one process owns the GPU")
    if not hands.max_memory:
        return size
    say("measuring what a worker needs")
    return by_memory(hands.max_memory, _measured(job, hands.threads), hands.threads, asked=max(1, size.workers))


def _measured(job: Job, threads: int) -> int:
    """Bytes that a worker had at most while it ran one batch, in a process of its own."""
    with Pool(workers=1, threads=threads) as pool:
        pool.submit("measure", greet, Asked(job, measure=True))
        ((_, answer),) = pool.answers()
    if isinstance(answer, Failure):
        raise answer.error
    return int(answer.bytes)
