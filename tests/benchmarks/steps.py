"""Where a slide's time goes: seconds of every step of the gastric pipeline in one process, and with --profile in what.

    OMP_NUM_THREADS=1 python tests/benchmarks/steps.py slide.tif [--weights untrained:0:tiny] [--profile tiles]

With the tiny untrained network what is left is everything but the network. Imports are in the step that needs them.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import cv2

from wsipipe.models.device import limit_threads
from wsipipe.pipelines import gastric
from wsipipe.run import heap, work
from wsipipe.run.job import Job
from wsipipe.run.source import MppPolicy, Source

LINES = 45


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("--weights", default="untrained:0:tiny")
    parser.add_argument("--profile", default="", help="name of a step")
    parser.add_argument("--sort", default="tottime", choices=("tottime", "cumtime"))
    asked = parser.parse_args()
    heap.keep()
    cv2.setNumThreads(1)
    limit_threads(1)
    graph = "untrained:0:tiny" if asked.weights.endswith(":tiny") else "untrained:0"
    sets = [f"network.weights={asked.weights}", f"graph.weights={graph}"]
    launch = gastric.launch(None, sets, untrained=True)
    profile, whole = cProfile.Profile(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as folder:
        job = Job(launch.recipe, folder, MppPolicy("assume", 0.5))
        prepared = work.prepare(job, Source(str(asked.slide)))
        assert prepared is not None
        for step, kind in enumerate(job.recipe.build().steps):
            began, units = time.perf_counter(), work.open_step(prepared, step)
            if kind.name == asked.profile:
                profile.enable()
            for unit in units:
                work.do_unit(prepared, step, unit)
            work.close_step(prepared, step)
            profile.disable()
            print(f"{kind.name:12} {time.perf_counter() - began:7.2f} s  {len(units)} units", flush=True)
    print(f"{'whole':12} {time.perf_counter() - whole:7.2f} s")
    if asked.profile:
        pstats.Stats(profile).sort_stats(asked.sort).print_stats(LINES)


if __name__ == "__main__":
    main()
