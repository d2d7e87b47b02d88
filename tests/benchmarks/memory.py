"""Peak memory of a whole run on a made 100,000 x 100,000 slide and on one of four times the area.

    python tests/benchmarks/memory.py [--side 100000 --side 200000] [--keep FOLDER] [--weights untrained]

Makes each slide (sparse phantom tissue, JPEG tiles passed through), runs ``wsipipe run gastric --workers 1`` on it in
a process of its own, and sums the proportional set size (PSS) of the whole process tree every 0.2 s. Prints one line a
slide and the ratio of the peaks. The bar: 1.5 GB, and within 10 % of it for four times the area.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from wsipipe.phantom import write_large


def tree_pss(root: psutil.Process) -> int:
    """Bytes of proportional set size of a process and all its children."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def measure(slide: Path, results: Path, weights: str) -> dict[str, float]:
    """Run the gastric pipeline on a slide and watch its memory."""
    command = [
        sys.executable, "-m", "wsipipe", "run", "gastric", str(slide), "--out", str(results), "--json",
        "--workers", "1",
        "--set", f"network.weights={weights}", "--set", f"graph.weights={weights}", "--untrained",
    ]  # fmt: skip
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, tree_pss(watched))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.2)
        row = json.loads(process.stdout.read())["slides"][0] if process.stdout else {}
    store = results / f"{row['id']}.zarr"
    return {
        "file_mb": slide.stat().st_size / 1e6, "tiles": row["tiles"], "seconds": time.perf_counter() - started,
        "peak_gb": peak / 1e9, "files": sum(path.is_file() for path in store.rglob("*")),
    }  # fmt: skip


def main() -> None:
    """Measure every side that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, action="append", help="pixels at 0.5 um/px; repeatable")
    parser.add_argument("--keep", type=Path, help="folder for slides and results; a temporary one without it")
    parser.add_argument("--weights", default="untrained", help="untrained[:SEED[:PRESET]], of both networks")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as folder:
        keep = asked.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        peaks = []
        for side in asked.side or (100_000, 200_000):
            slide = keep / f"large-{side}.tif"
            if not slide.exists():
                write_large(slide, side=side)
            found = measure(slide, keep / f"results-{side}", asked.weights)
            peaks.append(found["peak_gb"])
            print(
                f"side {side:,} px: " + ", ".join(f"{name} {value:,.3g}" for name, value in found.items()), flush=True
            )
        if len(peaks) > 1:
            print(f"peak of the last over the first: {peaks[-1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
