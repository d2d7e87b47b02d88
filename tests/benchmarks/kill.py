"""Random kill -9 of worker, runner and whole process group over a batch, each followed by the same command.

    python -m tests.benchmarks.kill [--kills 200] [--minutes 60] [--seed 0] [--workers 2] [--keep FOLDER]

Or: make torture. A batch of small made slides is run once without interruption: its bytes are the ones wanted, its
seconds the span that kill times are drawn from, so that kills fall into starting, units, drawing, publishing and
packing alike. Then batches are run into fresh directories and killed. After a killed runner or group the same command
starts at once, while orphans may still be dying; after a killed worker the command itself has to go on. A batch that
ends is compared and a new one begun; every kill so belongs to exactly one comparison, and counts as equal where that
comparison is.

Units redone are told from the files left after each kill: a unit with data and no mark is half written and will be
redone ("lost to the kill"); a mark whose time differs from the one first seen belongs to a finished unit that was done
again, which must never be. Exit code 1 where bytes differ, a finished unit was redone, or a kill cost more units than
there are workers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.pipelines.running import CONFIG, contents, write_slide

SIDES = (500, 640)
"""Sides of the made slides, px: 4 and 9 units of 2 x 2 tiles."""
TARGETS = ("worker", "runner", "group")
MOST_S = 600.0
"""A command that takes longer hangs."""


@dataclass
class Tally:
    """What the kills did."""

    kills: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    equal: int = 0
    unequal: int = 0
    batches: int = 0
    lost: Counter[int] = field(default_factory=Counter)
    redone: int = 0
    orphans: int = 0
    went_on: int = 0
    failed_rows: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Batch:
    """One results directory, from its first command to the comparison."""

    out: Path
    marks: dict[Path, int] = field(default_factory=dict)
    kills: int = 0


class Torture:
    """Runs, kills, compares.

    Parameters
    ----------
    folder : Path
        Slides and results go here.
    seed : int
        Of targets and times; when a kill falls also depends on the machine.
    """

    def __init__(self, folder: Path, *, seed: int, workers: int, sides: tuple[int, ...] = SIDES) -> None:
        self.folder, self.workers, self.random = folder, workers, random.Random(seed)
        self.slides = folder / "slides"
        for index, side in enumerate(sides):
            write_slide(self.slides / f"s{index}.tif", side, seed=index)
        self.tally = Tally()
        self.wanted: dict[str, str] = {}
        self.first_mark_s = self.whole_s = 0.0

    def reference(self) -> None:
        """One uninterrupted run: the bytes wanted, and how long a run takes."""
        out, started = self.folder / "reference", time.monotonic()
        process = self._start(out)
        while process.poll() is None:
            if not self.first_mark_s and _marks(out):
                self.first_mark_s = time.monotonic() - started
            time.sleep(0.05)
        if process.returncode != 0:
            raise SystemExit(f"the uninterrupted run ended with {process.returncode}: {self._said()}")
        self.whole_s, self.wanted = time.monotonic() - started, contents(out)

    def run(self, kills: int, *, most_s: float = math.inf) -> Tally:
        """Batch after batch until so many kills are dealt, or time is up; the last batch is finished and compared."""
        until = time.monotonic() + most_s
        while self.tally.kills.total() < kills and time.monotonic() < until:
            batch = Batch(self.folder / f"batch-{self.tally.batches:03d}")
            self._batch(batch, kills)
            self._compare(batch)
        return self.tally

    def _batch(self, batch: Batch, kills: int) -> None:
        """The same command until it ends with code 0."""
        for _ in range(50):
            if self._command(batch, kills) == 0:
                return
        self.tally.problems.append(f"{batch.out.name}: the command never ended with 0: {self._said()}")

    def _command(self, batch: Batch, kills: int) -> int | None:
        """One command with kills on the way: its exit code, or None where it was killed."""
        process, started, before = self._start(batch.out), time.monotonic(), batch.kills
        hit = False
        while True:
            left = self.tally.kills.total() < kills
            try:
                code = process.wait(self._delay() if left else MOST_S)
            except subprocess.TimeoutExpired:
                if not left:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise SystemExit(f"{batch.out}: no end after {MOST_S:g} s: {self._said()}") from None
                target = self._kill(process, batch)
                hit |= target == "worker"
                if target != "worker":
                    return None
                continue
            self._ended(code, batch, hit=hit)
            if batch.kills == 0 == before:  # undisturbed: what a run takes now, on a machine that may be busier or not
                self.whole_s = time.monotonic() - started
            return code

    def _delay(self) -> float:
        """Mostly after the first mark of an undisturbed run; a few while it starts."""
        return self.random.uniform(0.5 * self.first_mark_s, 1.1 * self.whole_s)

    def _kill(self, process: subprocess.Popen[bytes], batch: Batch) -> str:
        workers = _workers(process.pid)
        target = self.random.choice(TARGETS if workers else TARGETS[1:])
        self.tally.moments[_moment(batch.out)] += 1
        if target == "worker":
            self.random.choice(workers).kill()
        elif target == "runner":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        self.tally.kills[target] += 1
        batch.kills += 1
        self._count(process, workers, batch, target)
        return target

    def _count(
        self, process: subprocess.Popen[bytes], workers: list[psutil.Process], batch: Batch, target: str
    ) -> None:
        """Units lost and redone, once nobody writes any more; after a killed worker the others go on writing."""
        if target != "worker":
            process.wait()
            _, alive = psutil.wait_procs(workers, timeout=5)
            self.tally.orphans += len(alive)
            self.tally.lost[len(_half_written(batch.out))] += 1
        for path, told in _marks(batch.out).items():
            if batch.marks.setdefault(path, told) != told:
                batch.marks[path] = told
                self.tally.redone += 1

    def _ended(self, code: int, batch: Batch, *, hit: bool) -> None:
        self._count_marks(batch)
        if code == 0:
            self.tally.went_on += hit
        elif code == 3 and hit:
            self.tally.failed_rows += 1  # a slide lost both its worker and its retry; the next command does it
        else:
            self.tally.problems.append(f"{batch.out.name}: exit code {code}: {self._said()}")

    def _count_marks(self, batch: Batch) -> None:
        for path, told in _marks(batch.out).items():
            self.tally.redone += batch.marks.setdefault(path, told) != told

    def _compare(self, batch: Batch) -> None:
        self.tally.batches += 1
        found = contents(batch.out)
        if found == self.wanted:
            self.tally.equal += batch.kills
            return
        self.tally.unequal += batch.kills
        differ = sorted(name for name in found.keys() | self.wanted.keys() if found.get(name) != self.wanted.get(name))
        self.tally.problems.append(f"{batch.out.name}: {len(differ)} files differ, first: {differ[:3]}")

    def _start(self, out: Path) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "wsipipe", "run", "gastric", self.slides, "--out", out, "--config", CONFIG]
        words += ["--untrained", "--workers", self.workers, "--json"]
        with (self.folder / "said.txt").open("wb") as said:
            return subprocess.Popen(
                [*map(str, words)], stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    def _said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="replace")[-500:]


def _workers(pid: int) -> list[psutil.Process]:
    """Worker processes of a runner: its spawned children but for the resource tracker."""
    try:
        children = psutil.Process(pid).children()
        return [one for one in children if any("spawn_main" in word for word in one.cmdline())]
    except psutil.NoSuchProcess:
        return []


def _marks(out: Path) -> dict[Path, int]:
    """Every unit's mark and when it was written; those of packed layers are gone."""
    found = {}
    for path in out.glob("*.zarr/work/*/done/c/*"):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:  # its layer was packed meanwhile
            continue
    return {path: when for path, when in found.items() if not path.name.endswith(".partial")}


def _half_written(out: Path) -> set[tuple[str, int]]:
    """Units with data but no mark, by layer."""
    found: set[tuple[str, int]] = set()
    for done in out.glob("*.zarr/work/*/done"):
        layer = done.parent
        marked = {int(path.name) for path in done.glob("c/*") if path.name.isdecimal()}
        for array in (one for one in layer.glob("*/zarr.json") if one.parent.name not in ("done", "complete")):
            found |= {(str(layer), unit) for unit in _written(array) - marked}
    return found


def _written(array: Path) -> set[int]:
    """Units that have a file in an array: rows by their first index, pictures by both."""
    told = json.loads(array.read_text())
    chunk = told["chunk_grid"]["configuration"]["chunk_shape"]
    at = [path.relative_to(array.parent / "c").parts for path in (array.parent / "c").rglob("*") if path.is_file()]
    places = [tuple(map(int, part)) for part in at if all(one.isdecimal() for one in part)]
    if (told.get("dimension_names") or [""])[0] != "y":
        return {place[0] for place in places if place}
    across = -(-told["shape"][1] // chunk[1])
    return {place[0] * across + place[1] for place in places}


def _moment(out: Path) -> str:
    """Where a batch is, seen from its files: the step that the furthest unfinished slide is at."""
    stores = list(out.glob("*.zarr"))
    if not stores:
        return "starting"
    open_layers = [path for store in stores for path in store.glob("work/*/done")]
    if not open_layers:
        return "packed or ending"
    if any(list(store.glob("work/gate-*/complete/c/0")) for store in stores):
        return "drawing, publishing, packing"
    return "units and fits"


def report(torture: Torture, seconds: float) -> bool:
    """Print the figures; whether every bar is met."""
    tally = torture.tally
    most = max(tally.lost, default=0)
    print(f"uninterrupted run: {torture.whole_s:.1f} s, first mark after {torture.first_mark_s:.1f} s")
    print(f"kills: {tally.kills.total()} ({', '.join(f'{name} {n}' for name, n in sorted(tally.kills.items()))})")
    print(f"moments: {', '.join(f'{name} {n}' for name, n in sorted(tally.moments.items()))}")
    print(
        f"batches completed: {tally.batches}; kills whose final bytes are equal {tally.equal}, unequal {tally.unequal}"
    )
    print(f"commands that went on to 0 after a killed worker: {tally.went_on}; that ended 3: {tally.failed_rows}")
    print(f"units half written at a kill of runner or group -> kills: {dict(sorted(tally.lost.items()))} "
          f"(most {most}, workers {torture.workers})")  # fmt: skip
    print(f"finished units done again: {tally.redone}; workers alive 5 s after their runner: {tally.orphans}")
    print(f"seconds: {seconds:.0f}")
    for problem in tally.problems:
        print(f"PROBLEM {problem}")
    return not (tally.problems or tally.unequal or tally.redone or most > torture.workers)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no batch after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for slides and results; removed otherwise")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsipipe-kill-") as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        torture = Torture(folder, seed=asked.seed, workers=asked.workers)
        torture.reference()
        torture.run(asked.kills, most_s=60 * asked.minutes)
        good = report(torture, time.monotonic() - started)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
