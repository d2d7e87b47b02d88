"""Stitching many fields: processor time, wall time and memory, beside ASHLAR and m2stitch on the same files.

    python tests/benchmarks/stitch.py [--rows 10] [--side 2048] [--peers PYTHON] [--keep FOLDER]

Makes grey fields (10 % overlap, jitter of 15 px, a little noise: both peers need it), runs each program in a process of
its own, and prints one line each. ``--peers`` is the interpreter of an environment with ``ashlar`` and ``m2stitch``
(ASHLAR needs Java); without it only ours runs. Errors are distances from the true places, after the best shift.
The memory bar asks for RGB: ``--rgb`` (ours only). Memory is of each process, above what it has for four small fields.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import tifffile
from numpy.typing import NDArray

from wsipipe.phantom import fields as made

M2STITCH = """
import json, sys, numpy as np, tifffile, m2stitch
folder, out = sys.argv[1:]
told = json.load(open(folder + '/truth.json'))
images = np.stack([tifffile.imread(folder + '/' + name) for name in told['files']]).astype(np.float32)
images -= images.mean()
rows, cols = [c[0] for c in told['cell']], [c[1] for c in told['cell']]
table, _ = m2stitch.stitch_images(images, rows, cols, row_col_transpose=False, ncc_threshold=0.1)
np.save(out, table[['y_pos', 'x_pos']].to_numpy(float))
"""
ASHLAR = """
import os, sys, json, numpy as np
from ashlar import fileseries, reg
folder, out, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.makedirs(out + '-series', exist_ok=True)
for index, name in enumerate(json.load(open(folder + '/truth.json'))['files']):
    place = f'{out}-series/s_{index:04d}.tif'
    os.path.lexists(place) or os.symlink(os.path.join(folder, name), place)
reader = fileseries.FileSeriesReader(out + '-series', 's_{series:4}.tif', 0.1, rows, rows, layout='raster',
                                     direction='horizontal', pixel_size=1)
edges = reg.EdgeAligner(reader, channel=0, max_shift=40, filter_sigma=0)
edges.run()
mosaic = reg.Mosaic(edges, edges.mosaic_shape)
writer = reg.PyramidWriter([mosaic], out + '.ome.tif', tile_size=1024)
writer.run()
np.save(out, edges.positions)
"""


@dataclass
class Cost:
    """What a program took: seconds, and bytes of the largest process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    largest: int = 0


def watched(command: list[str]) -> Cost:
    """Run a command; processor seconds of its whole tree, and the resident bytes of its largest process."""
    started, cost, cpu = time.perf_counter(), Cost(), {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            for one in (root, *root.children(recursive=True)):
                try:
                    times = one.cpu_times()
                    cpu[one.pid] = times.user + times.system
                    cost.largest = max(cost.largest, one.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.05)
        if process.returncode:
            raise SystemExit(f"{command[:4]} ended with {process.returncode}")
    cost.wall_s, cost.cpu_s = time.perf_counter() - started, sum(cpu.values())
    return cost


def fields(folder: Path, rows: int, side: int, *, rgb: bool) -> made.FieldsTruth:
    """Made fields as uncompressed TIFF."""
    pitch = round(side * 0.9)
    length = pitch * (rows - 1) + side + 2 * made.MARGIN_PX
    how = made.Microscope(side, jitter_px=15, noise=2.0)
    truth = made.layout((length, length), how)
    made.write(folder, made.texture((length, length)), truth, how, ending="tif")
    for index in () if rgb else range(len(truth.middle)):
        path = folder / truth.name(index, "tif")
        grey = tifffile.imread(path).mean(axis=2)
        tifffile.imwrite(path, np.rint(grey).astype(np.uint8), metadata=None)
    return truth


def ours(folder: Path, out: Path, workers: int) -> list[str]:
    """The command of ``wsipipe stitch``."""
    command = [sys.executable, "-m", "wsipipe", "stitch", str(folder), "--out", str(out), "--mpp", "1"]
    return [*command, "--workers", str(workers), "--json"]


def found(out: Path, truth: made.FieldsTruth) -> NDArray[np.float64]:
    """Corners that ours wrote, in the order of the truth."""
    import pandas as pd

    table = pd.read_csv(out.with_suffix(".stitch") / "fields.csv").set_index("file")
    names = [truth.name(index, "tif") for index in range(len(truth.middle))]
    return np.asarray(table.loc[names][["y", "x"]], float)


def error(corners: NDArray[np.float64], truth: made.FieldsTruth) -> tuple[float, float]:
    """Median and worst distance from the truth, the median shift taken off."""
    gap = corners - truth.middle
    away = np.hypot(*(gap - np.median(gap, axis=0)).T)
    return float(np.median(away)), float(away.max())


def told(name: str, cost: Cost, off: tuple[float, float], against: Cost | None = None) -> None:
    """A line."""
    ratio = f", {cost.cpu_s / against.cpu_s:.1f} x our processor time" if against else ""
    print(
        f"{name}: wall {cost.wall_s:.1f} s, cpu {cost.cpu_s:.1f} s{ratio}, "
        f"largest process {cost.largest / 1e6:.0f} MB, "
        f"places off {off[0]:.3f} px median, {off[1]:.3f} worst",
        flush=True,
    )


def peers(python: str, folder: Path, work: Path, truth: made.FieldsTruth, rows: int, own: Cost) -> None:
    """Both peers, on the same files."""
    for name, script, more in (("ashlar", ASHLAR, [str(rows)]), ("m2stitch", M2STITCH, [])):
        cost = watched([python, "-c", script, str(folder), str(work / name), *more])
        told(name, cost, error(np.load(work / f"{name}.npy"), truth), own)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rgb", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--peers", help="interpreter with ashlar and m2stitch")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as held:
        work = (asked.keep or Path(held)).resolve()
        small, large = work / "few", work / "many"
        fields(small, 2, 256, rgb=asked.rgb)
        truth = fields(large, asked.rows, asked.side, rgb=asked.rgb)
        base = watched(ours(small, work / "few.zarr", asked.workers))
        own = watched(ours(large, work / "many.zarr", asked.workers))
        told(f"wsipipe, {asked.workers} workers", own, error(found(work / "many.zarr", truth), truth))
        field = asked.side**2 * (3 if asked.rgb else 1)
        print(f"memory above the base: {(own.largest - base.largest) / field:.1f} fields of {field / 1e6:.1f} MB")
        print(json.dumps({"fields": len(truth.middle), "side_px": asked.side, "wall_s": round(own.wall_s, 1)}))
        if asked.peers:
            peers(asked.peers, large, work, truth, asked.rows, own)


if __name__ == "__main__":
    main()
