"""What a unit costs beside its work: many units that sleep, on many threads, through the batch and the pool.

    python tests/benchmarks/scheduling.py [--units 20000] [--threads 64] [--sleep 0.05]

Prints milliseconds of wall clock per unit beyond the sleeping (the aim is 2 at most), milliseconds of processor time
per unit, and the memory of the process that schedules, which holds scheduler, client and threads, after the first
thousand units and after the last.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.run import fakes
from wsipipe.run.batch import Batch
from wsipipe.run.pool import Pool
from wsipipe.run.running import Running
from wsipipe.run.work import Report

SLIDE_UNITS = 200


@dataclass
class Memory(fakes.Heard):
    """Notes the memory of this process after every thousand units."""

    resident: list[int] = field(default_factory=list)

    def task_done(self, slide: Running, report: Report) -> None:
        super().task_done(slide, report)
        if report.tiles and self.done % 1000 == 0:
            self.resident.append(psutil.Process().memory_full_info().pss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--sleep", type=float, default=0.05)
    asked = parser.parse_args()
    heard = Memory()
    with tempfile.TemporaryDirectory() as name, fakes.in_place(), Pool(workers=0, threads=asked.threads) as pool:
        folder = Path(name)
        job = fakes.job(fakes.Plan(SLIDE_UNITS, asked.sleep), folder)
        sources = fakes.slides(folder / "in", {f"{i:04d}": i + 1 for i in range(asked.units // SLIDE_UNITS)})
        pool.submit("warm", int)
        list(pool.answers())
        wall, processor = time.perf_counter(), time.process_time()
        rows = Batch(job, sources, pool, heard).run()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    assert {row.status for row in rows} == {"done"}
    beyond = wall - heard.done * asked.sleep / asked.threads
    print(f"{heard.done} units of {asked.sleep * 1e3:g} ms on {asked.threads} threads: {wall:.1f} s")
    each = (beyond / heard.done * 1e3, processor / heard.done * 1e3)
    print("scheduling: {:.2f} ms a unit of wall clock, {:.2f} ms of processor".format(*each))
    first, last = heard.resident[0] / 1e6, heard.resident[-1] / 1e6
    print(f"memory: {first:.0f} MB after the first thousand units, {last:.0f} MB after the last (x {last / first:.2f})")


if __name__ == "__main__":
    main()
