"""How quickly the viewer shows a slide of 96,000 pixels a side, on one core, over real requests.

    python -m tests.benchmarks.view [--side 96000] [--halvings 2] [--keep FOLDER]

Makes the slide (islands of phantom tissue, JPEG tiles passed through; stored levels 1, 4, 16, ... times smaller, as
most scanners do) and a published result, starts ``wsipipe view`` pinned to one core, and asks as a browser does: first
what the page is told and one tile of the whole slide, then the tiles of 20 windows of 1280 x 900 pixels, four requests
at a time. The windows lie on tissue, each at another place; every second level has to be resampled. Prints the seconds
to the first tile (slide opened included), tiles per second, and the same in seconds of the processor, which tells more
on a busy machine. The bar: under 1 s, and at least 20 tiles/s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import psutil

from tests.view.made import publish_slide
from wsipipe.grid import Box
from wsipipe.phantom import write_large
from wsipipe.slide import open_slide
from wsipipe.store import records
from wsipipe.store.layout import store_path

PANS, WINDOW = 20, (900, 1280)


def published(folder: Path, side: int, halvings: int) -> tuple[Path, str, Any]:
    """A results directory of one large slide, the slide's id, and places with tissue, ``yx`` from 0 to 1."""
    slide = folder / f"large-{side}-{halvings}.tif"
    if not slide.exists():
        write_large(slide, side=side, halvings=halvings)
    opened, results = open_slide(slide), folder / "results"
    results.mkdir(exist_ok=True)
    record = {"category": None, "reason": "untrained"}
    row = {"id": opened.id, "path": str(slide), "status": "done", "fingerprint": opened.info.fingerprint, **record}
    publish_slide(store_path(results, opened.id), record)
    records.write_slides(results / "slides.parquet", [row])
    coarsest = opened.info.levels[-1].shape
    small = opened.read(Box(0, 0, *coarsest), level=len(opened.info.levels) - 1)
    opened.close()
    return results, opened.id, (np.argwhere(small.min(axis=2) < 200) + 0.5) / coarsest


def fetch(address: str) -> bytes:
    """One answer."""
    with urlopen(address) as answer:
        body: bytes = answer.read()
        return body


def windows(pixels: dict[str, Any], side: int, places: Any) -> list[list[str]]:
    """Tiles of `PANS` windows on tissue: a walk at the finest four levels."""
    rng, found = np.random.default_rng(0), []
    for pan in range(PANS):
        down = pan % 4
        last = -(-(side >> down) // pixels["tile"])
        high, wide = (-(-length // pixels["tile"]) + 1 for length in WINDOW)
        y, x = (rng.choice(places) * last - (high / 2, wide / 2)).astype(int).clip(0, (last - high, last - wide))
        level = pixels["finest"] - down
        found.append([f"pixels/{level}/{y + j}_{x + i}.jpg" for j in range(high) for i in range(wide)])
    return found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=96_000)
    parser.add_argument("--halvings", type=int, default=2, help="from one stored level to the next")
    parser.add_argument("--keep", type=Path, help="folder for the slide and results; a temporary one without it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as folder:
        keep = asked.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        results, slide_id, places = published(keep, asked.side, asked.halvings)
        core = min(os.sched_getaffinity(0))
        command = [sys.executable, "-m", "wsipipe", "view", str(results), "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            os.sched_setaffinity(server.pid, {core})
            address = f"{server.stdout.readline().strip()}slide/{slide_id}/" if server.stdout else ""
            measure(psutil.Process(server.pid), address, asked.side, places)
            server.terminate()


def measure(server: psutil.Process, address: str, side: int, places: Any) -> None:
    """Ask and print."""
    at = [clocks(server)]
    pixels = json.loads(fetch(address + "slide.json"))["pixels"]
    fetch(f"{address}pixels/{pixels['coarsest']}/0_0.jpg")
    at.append(clocks(server))
    pans = windows(pixels, side, places)
    with ThreadPoolExecutor(4) as pool:
        sizes = [len(body) for pan in pans for body in pool.map(fetch, [address + path for path in pan])]
    at.append(clocks(server))
    first, walk = at[1] - at[0], at[2] - at[1]
    print(f"first tile {first[0]:.2f} s (processor {first[1]:.2f} s)")
    print(f"{len(pans)} pans, {len(sizes)} tiles of {pixels['tile']} px, {sum(sizes) / 1e6:.1f} MB", end=": ")
    print(
        f"{len(sizes) / walk[0]:.0f} tiles/s on one core (per second of its processor time {len(sizes) / walk[1]:.0f})"
    )


def clocks(server: psutil.Process) -> Any:
    """Seconds of the clock and of the server's processor."""
    spent = server.cpu_times()
    return np.array([time.perf_counter(), spent.user + spent.system])


if __name__ == "__main__":
    main()
