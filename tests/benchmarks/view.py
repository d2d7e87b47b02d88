"""How quickly the viewer shows a slide of 96,000 pixels a side, on one core, over real requests.

    python -m tests.benchmarks.view [--side 96000] [--keep FOLDER]

Makes the slide (sparse phantom tissue, JPEG tiles passed through) and a published result, starts ``wsipipe view``
pinned to one core, and asks as a browser does: first one tile of the whole slide, then the tiles of 20 windows of
1280 x 900 pixels, four requests at a time, each at another place and level. Prints the seconds to the first tile
(slide opened included) and tiles per second. The bar: under 1 s, and at least 20 tiles/s.
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

from tests.view.made import publish_slide
from wsipipe.phantom import write_large
from wsipipe.slide import open_slide
from wsipipe.store import records
from wsipipe.store.layout import store_path

PANS, WINDOW = 20, (900, 1280)


def published(folder: Path, side: int) -> tuple[Path, str]:
    """A results directory of one large slide, and the slide's id."""
    slide = folder / f"large-{side}.tif"
    if not slide.exists():
        write_large(slide, side=side)
    opened, results = open_slide(slide), folder / "results"
    results.mkdir(exist_ok=True)
    record = {"category": None, "reason": "untrained"}
    row = {"id": opened.id, "path": str(slide), "status": "done", "fingerprint": opened.info.fingerprint, **record}
    publish_slide(store_path(results, opened.id), record)
    records.write_slides(results / "slides.parquet", [row])
    opened.close()
    return results, opened.id


def fetch(address: str) -> bytes:
    """One answer."""
    with urlopen(address) as answer:
        body: bytes = answer.read()
        return body


def windows(pixels: dict[str, Any], shape: tuple[int, int]) -> list[list[str]]:
    """Tiles of `PANS` windows: a walk at the finest three levels."""
    rng, found = np.random.default_rng(0), []
    for pan in range(PANS):
        level = pixels["finest"] - pan % 3
        rows, columns = (-(-(side >> (pan % 3)) // pixels["tile"]) for side in shape)
        high, wide = (-(-length // pixels["tile"]) + 1 for length in WINDOW)
        y, x = int(rng.integers(0, rows - high)), int(rng.integers(0, columns - wide))
        found.append([f"pixels/{level}/{y + j}_{x + i}.jpg" for j in range(high) for i in range(wide)])
    return found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=96_000)
    parser.add_argument("--keep", type=Path, help="folder for the slide and results; a temporary one without it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as folder:
        keep = asked.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        results, slide_id = published(keep, asked.side)
        core = min(os.sched_getaffinity(0))
        command = [sys.executable, "-m", "wsipipe", "view", str(results), "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            os.sched_setaffinity(server.pid, {core})
            address = f"{server.stdout.readline().strip()}slide/{slide_id}/" if server.stdout else ""
            measure(address, asked.side)
            server.terminate()


def measure(address: str, side: int) -> None:
    """Ask and print."""
    started = time.perf_counter()
    pixels = json.loads(fetch(address + "slide.json"))["pixels"]
    fetch(f"{address}pixels/{pixels['coarsest']}/0_0.jpg")
    first = time.perf_counter() - started
    pans = windows(pixels, (side, side))
    started, count, size = time.perf_counter(), 0, 0
    with ThreadPoolExecutor(4) as pool:
        for pan in pans:
            bodies = list(pool.map(fetch, [address + path for path in pan]))
            count, size = count + len(bodies), size + sum(map(len, bodies))
    seconds = time.perf_counter() - started
    print(f"first tile {first:.2f} s; {len(pans)} pans, {count} tiles of {pixels['tile']} px, {size / 1e6:.1f} MB")
    print(f"{count / seconds:.0f} tiles/s on one core, {len(pans) / seconds:.1f} pans/s")


if __name__ == "__main__":
    main()
