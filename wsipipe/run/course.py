"""A course: phases of units that are known only once the phase before them is done; resumable, on the same workers.

Enters: a folder to work in and the phases. Leaves: what the units write. Next room: `wsipipe.run.mosaic` is one.

`wsipipe.run.batch` runs tiles of one slide on one grid, which it must know before its first step. A mosaic has no grid
before its positions are solved, and its units are of several kinds: fields, pairs of fields, blocks. So a course asks
each phase for its units when it begins. The rest is the batch's: one task a unit on a `Pool` (which runs tasks of
workers that died once more, alone), data first and the mark second, resume by marks, the lease that one run holds.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import StoppedError
from wsipipe.run.policy import Policy
from wsipipe.run.pool import Errand, Failure, Pool
from wsipipe.stage import resolve
from wsipipe.store.place import replace_file

MARK = ".done"


@dataclass(frozen=True)
class Work:
    """What every task of a course is given.

    Parameters
    ----------
    folder : str
        Where units leave what they make.
    plan : str
        JSON text: all that decides a byte.
    """

    folder: str
    plan: str

    def path(self, phase: str, unit: int | str, ending: str = "npz") -> Path:
        """The file of a unit."""
        return Path(self.folder) / phase / f"{unit}.{ending}"

    def save(self, phase: str, unit: int, **arrays: Any) -> None:
        """Leave arrays for later phases."""
        held = io.BytesIO()
        np.savez(held, **arrays)
        replace_file(self.path(phase, unit), held.getvalue())

    def load(self, phase: str, unit: int) -> dict[str, NDArray[Any]]:
        """Arrays that a unit left."""
        with np.load(self.path(phase, unit), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}

    def done(self, phase: str) -> set[int]:
        """Units of a phase that have their mark."""
        return {int(one.name.removesuffix(MARK)) for one in (Path(self.folder) / phase).glob(f"*{MARK}")}


@dataclass(frozen=True)
class Phase:
    """Units that may be done in any order.

    Parameters
    ----------
    name : str
    task : str
        ``"package.module:function"``, called with the work and a unit in a worker.
    units : int
        How many.
    """

    name: str
    task: str
    units: int


def do_unit(work: Work, phase: Phase, unit: int) -> None:
    """Do a unit and mark it."""
    resolve(phase.task)(work, unit)
    replace_file(work.path(phase.name, unit, MARK[1:]), b"")


class Course:
    """Runs phases one after the other; `run` is all that others call, the pool asks `left` and `next`.

    Parameters
    ----------
    phases : iterator of Phase
        Asked for the next phase when all units of the one before are done.
    tell : callable
        Told the phase, units done and units in all.
    check : callable
        Called between tasks; raises where the run may not go on (the lease was lost).
    """

    def __init__(
        self, work: Work, phases: Iterator[Phase], pool: Pool, *,
        tell: Callable[[Phase, int], None], check: Callable[[], None], policy: Policy | None = None,
    ) -> None:  # fmt: skip
        self.work, self.phases, self.pool = work, phases, pool
        self.tell, self.check, self.policy = tell, check, policy or Policy()
        self.waiting: deque[tuple[int, int]] = deque()
        self.out = 0
        self.phase: Phase | None = None
        self.ended = False

    def run(self) -> bool:
        """Work until all phases are done or the pool stops; whether all are.

        Raises
        ------
        WsipipeError
            That of the first unit which failed twice.
        """
        self._advance()
        for (unit, tries), answer in self.pool.answers(self):
            self.check()
            self._take(unit, tries, answer)
        return self.ended

    def left(self) -> bool:
        """Whether there is a task to be had now."""
        return bool(self.waiting)

    def next(self) -> Errand | None:
        """The next unit."""
        if self.phase is None or not self.waiting:
            return None
        unit, tries = self.waiting.popleft()
        self.out += 1
        return Errand((unit, tries), do_unit, (self.work, self.phase, unit))

    def _take(self, unit: int, tries: int, answer: Any) -> None:
        self.out -= 1
        if isinstance(answer, Failure):
            if isinstance(answer.error, StoppedError):
                return
            if not self.policy.again(answer.error, tries):
                raise answer.error
            self.waiting.append((unit, tries + 1))
        elif self.phase is not None:
            self.tell(self.phase, self.phase.units - len(self.waiting) - self.out)
        if not self.waiting and not self.out and not self.pool.stopping:
            self._advance()

    def _advance(self) -> None:
        """Begin the next phase that has something to do."""
        for phase in self.phases:
            self.phase = phase
            (Path(self.work.folder) / phase.name).mkdir(parents=True, exist_ok=True)
            done = self.work.done(phase.name)
            self.waiting.extend((unit, 0) for unit in range(phase.units) if unit not in done)
            self.tell(phase, phase.units - len(self.waiting))
            if self.waiting:
                return
        self.ended = True
