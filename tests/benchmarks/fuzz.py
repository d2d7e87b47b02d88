"""Damaged slides, configurations and weights, opened by the thousand: no hang, no hoard, no error but our own.

    python -m tests.benchmarks.fuzz [--slides 2000] [--texts 1000] [--seed 0] [--jobs 2]

Every file of ``../shared/data/slides`` (and of a set made from a seed, which is all there is without that folder) is
damaged in ways drawn by (seed, number): bytes flipped, cut, blocks overwritten or removed, TIFF tags edited. Each is
opened and a few tiles are read, in worker processes with a limit of memory, which are started by spawn and used for
many files. A worker that dies is a **native crash of the reader process**; it is replaced, as the pool of a run
replaces its own. One that gives no answer for 30 s hangs. An error that is no `WsipipeError` is a bug; so is a peak
above 2 GB.

Prints a table by kind, then every bug once per place. Exit code 1 where there is a bug, a hang or a peak above the bar.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import multiprocessing.connection
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import fuzz_cases, mutations
from tests.conftest import SHARED

HANG_S, MOST_PEAK, LIMIT = 30.0, 2_000_000_000, 6 * 2**30
IMPORTS_S = 60.0
"""For torch and torch-geometric, on a machine that is busy otherwise."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """One file to be damaged: where it is, and its number, which with the seed draws the damage."""

    kind: str
    source: Path
    number: int


@dataclass
class Tally:
    """How the files of a kind were taken."""

    ends: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    slowest: float = 0.0
    told: dict[str, str] = field(default_factory=dict)
    crashed: list[str] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        """Whether a bar is missed; a native crash is none, a run's pool survives it."""
        return self.peak > MOST_PEAK or any(end.startswith(("BUG", "hang")) for end in self.ends)


def slides(folder: Path) -> list[Path]:
    """Slides that the damage starts from: the real ones where they are, and made ones."""
    real = sorted(path for path in (SHARED / "slides").rglob("*") if path.is_file()) if SHARED.is_dir() else []
    return real + made_slides(folder)


def made_slides(folder: Path) -> list[Path]:
    """Small slides of several readers, made from a seed."""
    import tifffile
    from PIL import Image

    from tests.pipelines.running import write_slide

    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    found = [write_slide(folder / "pyramid.tif", 700)]
    for codec in ("jpeg", "webp", "deflate", "lzw", "jpeg2000"):
        found.append(folder / f"{codec}.tif")
        tifffile.imwrite(found[-1], pixels, photometric="rgb", compression=codec, tile=(128, 128))
    for ending in ("png", "jpg", "bmp", "webp", "jp2"):
        found.append(folder / f"picture.{ending}")
        Image.fromarray(pixels).save(found[-1])
    return found


def configs() -> list[Path]:
    """The gastric pipeline's configurations that ship: it reads them, damaged as they are."""
    return sorted((ROOT / "configs").glob("gastric.*"))


def made_weights(folder: Path) -> list[Path]:
    """Shipped weights and a tiny network's."""
    from wsipipe.models import vnet
    from wsipipe.models import weights as stored
    from wsipipe.models.architecture import VNET, VNetConfig

    folder.mkdir(parents=True, exist_ok=True)
    found = stored.find("untrained:0:tiny", VNET)
    network = stored.load(found, lambda card: vnet.VNet(VNetConfig(**card.architecture.config)))
    stored.save(folder / "tiny.safetensors", network, found.card)
    shutil.copy(stored.FOLDER / "gastric-phantom-v1-graph.safetensors", folder)
    shutil.copy(stored.FOLDER / "gastric-phantom-v1-graph.json", folder)
    return sorted(folder.glob("*.safetensors"))


def damaged(case: Case, seed: int, folder: Path) -> Path:
    """The case's damaged file, in a folder of its own; the same bytes for the same seed and number."""
    rng = random.Random(f"{seed} {case.kind} {case.number}")
    path = folder / case.source.name
    data = case.source.read_bytes()
    if case.kind == "slide":
        if case.source.suffix == ".dcm":  # a series is its neighbours too
            for other in case.source.parent.glob("*.dcm"):
                (folder / other.name).symlink_to(other)
            path.unlink(missing_ok=True)
        path.write_bytes(mutations.slide(data, rng))
    elif case.kind == "config":
        path.write_bytes(mutations.text(data, rng))
    else:
        _damaged_weights(case.source, path, data, rng)
    return path


def _damaged_weights(source: Path, path: Path, data: bytes, rng: random.Random) -> None:
    """Tensors, card or both; mostly with the sha256 put right, else all end at that check."""
    told = source.with_suffix(".json").read_bytes()
    if rng.random() < 0.7:
        old = hashlib.sha256(data).hexdigest()
        data = mutations.tensors(data, rng)
        if rng.random() < 0.8:
            told = told.replace(old.encode(), hashlib.sha256(data).hexdigest().encode())
    else:
        told = mutations.card(told, rng)
    path.write_bytes(data)
    path.with_suffix(".json").write_bytes(told)


class Worker:
    """A process that takes one file after the other."""

    def __init__(self, scratch: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.folder = scratch
        self._ours, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.case: Case | None = None
        self.known: set[str] = set()
        self.since = 0.0

    @property
    def patience_s(self) -> float:
        """How long an answer may take; a worker's first file of a kind waits for the kind's imports too."""
        return HANG_S if self.case and self.case.kind in self.known else HANG_S + IMPORTS_S

    @property
    def pipe(self) -> Connection:
        """Where its answers come from; ready too where it died."""
        return self._ours

    def give(self, case: Case, seed: int) -> None:
        """Damage a file and hand it over."""
        self.case, self.since = case, time.monotonic()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._ours.send((case.kind, damaged(case, seed, self.folder)))

    def answer(self) -> tuple[str, str, int] | None:
        """What the worker says, or None where it died."""
        try:
            said: tuple[str, str, int] = self._ours.recv()
        except (EOFError, ConnectionResetError):
            return None
        return said

    def end(self) -> int | None:
        """Kill it; the signal or code that it ended with before."""
        self.process.join(0.5)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        self._ours.close()
        return code


def _serve(pipe: Any) -> None:
    fuzz_cases.limit_memory(LIMIT)
    while True:
        try:
            kind, path = pipe.recv()
        except EOFError:
            return
        pipe.send(fuzz_cases.put_through(kind, path))


def fuzz(cases: list[Case], folder: Path, *, seed: int, jobs: int) -> dict[str, Tally]:
    """Put all cases through `jobs` processes."""
    waiting: Iterator[Case] = iter(cases)
    tallies = {kind: Tally() for kind in dict.fromkeys(case.kind for case in cases)}
    scratch = (folder / f"job-{number}" for number in range(10**6))
    workers = [Worker(next(scratch)) for _ in range(min(jobs, len(cases)))]
    for worker in workers:
        worker.give(next(waiting), seed)
    while workers:
        ready = multiprocessing.connection.wait([worker.pipe for worker in workers], timeout=1.0)
        for worker in list(workers):
            hung = worker.pipe not in ready
            if hung and time.monotonic() - worker.since < worker.patience_s:
                continue
            alive = _note(tallies, worker, hung=hung)
            workers.remove(worker)
            following = next(waiting, None)
            if following is None:
                worker.end()
                continue
            workers.append(worker if alive else Worker(next(scratch)))
            workers[-1].give(following, seed)
    return tallies


def _note(tallies: dict[str, Tally], worker: Worker, *, hung: bool) -> bool:
    """Count how a case ended; whether its worker can take another."""
    case = worker.case
    assert case is not None
    tally, label = tallies[case.kind], f"{case.source.name} #{case.number}"
    tally.slowest = max(tally.slowest, time.monotonic() - worker.since)
    said = None if hung else worker.answer()
    if said is None:
        end = "hang" if hung else f"native crash ({worker.end()})"
        if hung:
            worker.end()
        tally.ends[end] += 1
        tally.crashed.append(f"{end}: {label}")
        return False
    worker.known.add(case.kind)
    how, details, peak = said
    tally.ends[how] += 1
    if peak > MOST_PEAK:
        tally.crashed.append(f"peak {peak / 1e9:.2f} GB: {label} ({how})")
    tally.peak = max(tally.peak, peak)
    if how.startswith("BUG"):
        tally.told.setdefault(how + details[-400:], f"{label}\n{details}")
    return True


def plan(folder: Path, *, slide_count: int, text_count: int) -> list[Case]:
    """Cases: every source equally often."""
    found: list[Case] = []
    half = text_count // 2
    for kind, sources, count in (
        ("slide", slides(folder / "made") if slide_count else [], slide_count),
        ("config", configs(), text_count - half),
        ("weights", made_weights(folder / "weights") if half else [], half),
    ):
        found += [Case(kind, sources[number % len(sources)], number) for number in range(count)]
    return found


def report(tallies: dict[str, Tally], seconds: float) -> bool:
    """Print the table; whether every bar is met."""
    print("kind     files  opened  refused by error, native crashes, hangs")
    for kind, tally in tallies.items():
        rest = ", ".join(f"{name} {n}" for name, n in tally.ends.most_common() if name != "opened")
        print(f"{kind:8} {tally.ends.total():5}  {tally.ends['opened']:6}  {rest}")
        print(f"         peak {tally.peak / 1e9:.2f} GB, slowest {tally.slowest:.1f} s")
    for tally in tallies.values():
        for line in tally.crashed:
            print(line)
        for told in tally.told.values():
            print(f"\nBUG {told}")
    print(f"seconds: {seconds:.0f}")
    return not any(tally.bad for tally in tallies.values())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=2000)
    parser.add_argument("--texts", type=int, default=1000, help="half configurations, half weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsipipe-fuzz-") as scratch:
        started = time.monotonic()
        cases = plan(Path(scratch), slide_count=asked.slides, text_count=asked.texts)
        tallies = fuzz(cases, Path(scratch), seed=asked.seed, jobs=asked.jobs)
        good = report(tallies, time.monotonic() - started)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
