"""Whole engines beside each other: tissue, tiles, a network that only averages, results written.

Enters: a slide. Leaves: figures in tiles per second, and how much memory each had. Each engine runs in a process of its
own (``python -m wsipipe.bench.engine NAME SLIDE FOLDER``), which says how long it took without its imports and how much
memory it had at most. Ours is the runner with `build`'s pipeline: it normalises the stain and writes a probability map,
which the peers (`wsipipe.bench.engine_peers`) do not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsipipe import stain, tissue
from wsipipe.bench import engine_peers
from wsipipe.bench.engine_peers import BATCH, MIN_TISSUE, MPP, TILE
from wsipipe.bench.figure import Figure
from wsipipe.bench.peers import installed
from wsipipe.errors import WsipipeError
from wsipipe.run import heap, work
from wsipipe.run.job import Job, Recipe
from wsipipe.run.plan import Keep, Map, Overview, Pipeline, Reduce
from wsipipe.run.source import MppPolicy, Source
from wsipipe.stage import RGB, Batch, Ref, Spec, Stage

CELL = 4
"""Pixels along the side of a cell of the map."""
RECIPE = "wsipipe.bench.engine:build"
OURS, TIATOOLBOX, LAZYSLIDE = "wsipipe", "TIAToolbox", "LazySlide"


@dataclass(frozen=True)
class Ran:
    """What an engine says of its run: tiles, seconds without imports, greatest memory in MB."""

    tiles: int
    seconds: float
    peak_mb: float


def figures(path: Path, *, peers: bool, rounds: int, seconds_per_tile: float | None = None) -> Iterator[Figure]:
    """Tiles per second of every engine; the limit is what reading and normalising a tile take one after the other."""
    found = ran(path, peers=peers, rounds=rounds)
    rate = {name: one.tiles / one.seconds for name, one in found.items()}
    told = "; ".join(f"{name}: {one.tiles} tiles in {one.seconds:.1f} s" for name, one in found.items())
    note = f"from opening to the last write, one thread; ours also normalises and maps. {told}"
    limit = 1 / seconds_per_tile if seconds_per_tile else None
    yield Figure("whole engine, a network that averages", "tiles/s", rate.pop(OURS), limit, rate, note)


@cache
def ran(path: Path, *, peers: bool, rounds: int) -> dict[str, Ran]:
    """The middle one of some runs of every engine, the engines in turn; done once per process."""
    names = [OURS, *([name for name in (TIATOOLBOX, LAZYSLIDE) if installed(name)] if peers else [])]
    runs: dict[str, list[Ran]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            runs[name].append(_in_process(name, path))
    return {name: sorted(made, key=lambda one: one.seconds)[len(made) // 2] for name, made in runs.items()}


def build(_config: str) -> Pipeline:
    """Tissue, stain, and tiles whose network only averages; there is nothing to configure."""
    mask = tissue.mask()
    steps = (
        Overview(),
        Reduce("tissue_fit", (tissue.fit_threshold(),)),
        Map("tissue", (mask,), keep=("tissue", "tissue_share"), scale=16, kept_only=False),
        Reduce("stain_fit", (stain.fit(),), sample=32, seed=0),
        Map("tiles", (stain.apply(), average()), keep=("features", "probability"), batch=BATCH),
    )
    return Pipeline("engine", steps, Keep("tissue_share", MIN_TISSUE), mpp=MPP, tile=TILE)


def average() -> Stage:
    """Stage that averages: three features a tile, and a map of cells of `CELL` px."""
    outputs = (Spec("features", (3,)), Spec("probability", (None, None), "uint8", scale=CELL))
    return Stage(Ref("wsipipe.bench.engine:average", {}), "average", 1, (RGB,), outputs, _averaged)


def _averaged(*, rgb: NDArray[np.uint8]) -> Batch:
    import cv2

    side = rgb.shape[1] // CELL
    cells = np.stack([cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA) for tile in rgb])
    means = np.array([cv2.mean(one)[:3] for one in cells], np.float32).reshape(-1, 3)
    return {"features": means, "probability": np.ascontiguousarray(cells[..., 1])}


def ours(path: Path, folder: Path) -> int:
    """Run `build`'s pipeline as one worker does, unit by unit; returns the kept tiles."""
    job = Job(Recipe(RECIPE, "{}"), str(folder), MppPolicy("assume", MPP))
    prepared = work.prepare(job, Source(str(path)))
    if prepared is None:
        raise WsipipeError("benchmarking: the slide has no scale", subject=str(path))
    tiles = 0
    for step, kind in enumerate(job.recipe.build().steps):
        reports = [work.do_unit(prepared, step, unit) for unit in work.open_step(prepared, step)]
        work.close_step(prepared, step)
        tiles += sum(report.tiles for report in reports) if kind.name == "tiles" else 0
    return tiles


def _in_process(name: str, path: Path) -> Ran:
    with tempfile.TemporaryDirectory(prefix="wsipipe-bench-") as folder:
        words = [sys.executable, "-m", "wsipipe.bench.engine", name, str(path.resolve()), folder]
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise WsipipeError(f"benchmarking {name}: it ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return Ran(**json.loads(done.stdout.splitlines()[-1]))


def _engine(name: str) -> Callable[[Path, Path], int]:
    """The engine of a name; its imports are done here, before the clock starts."""
    if name == OURS:
        heap.keep()
        return ours
    return engine_peers.tiatoolbox() if name == TIATOOLBOX else engine_peers.lazyslide()


def _main(name: str, path: str, folder: str) -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    engine = _engine(name)
    started = time.perf_counter()
    tiles = engine(Path(path), Path(folder))
    seconds = time.perf_counter() - started
    sys.stdout.write("\n" + json.dumps({"tiles": tiles, "seconds": seconds, "peak_mb": _peak_mb()}) + "\n")


def _peak_mb() -> float:
    """Greatest resident memory of this process; getrusage would count that of the one that started it too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    _main(*sys.argv[1:])
