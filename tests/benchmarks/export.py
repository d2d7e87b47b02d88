"""Speed and memory of a million tiles written as GeoJSON for QuPath, compressed.

    python tests/benchmarks/export.py [--tiles 1000000] [--plain] [--no-gzip] [--keep FOLDER]

Makes a tile table of the published columns from a seed and writes it through the exporter's own code in this process.
Prints the tiles per second and the peak memory (VmHWM, reset after the imports) above what the imports hold. The bars:
100,000 tiles/s with compression, 500 MB, the table itself included.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from wsipipe.export.collection import collection
from wsipipe.export.outline import write_tiles
from wsipipe.store.records import PROBABILITY_COLUMNS


def table(count: int) -> pd.DataFrame:
    """As `wsipipe.store.tables.tile_table` makes it."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(count**0.5))
    at = np.arange(count, dtype=np.int64)
    columns = {"tile_id": at, "x": at % side * 512, "y": at // side * 512}
    columns |= {name: np.full(count, 512, np.int64) for name in ("width", "height")}
    columns["mpp"] = np.full(count, 0.499)
    for name in ("tissue_share", "focus", "positive_sum", "positive_mean", *PROBABILITY_COLUMNS):
        columns[name] = rng.random(count, dtype=np.float32)
    columns["positive_sum"] *= np.float32(512 * 512)
    columns["is_topk"] = at < 10
    columns |= {name: np.where(at < 10, at + 1, 0).astype(np.int32) for name in ("rank", "degree")}
    return pd.DataFrame(columns)


def memory_mb(field: str) -> float:
    """A line of this process's status, in MB (10^6)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def main() -> None:
    """Write, measure, and read back what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=1_000_000)
    parser.add_argument("--plain", action="store_true", help="flat properties instead of QuPath's")
    parser.add_argument("--no-gzip", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the file; a temporary one without it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wsipipe-") as folder:
        path = (asked.keep or Path(folder)) / f"tiles.geojson{'' if asked.no_gzip else '.gz'}"
        write(path, 1000, flat=asked.plain, gzip=not asked.no_gzip)  # what is imported on first use
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        before = memory_mb("VmRSS")
        worked = time.process_time()
        seconds = write(path, asked.tiles, flat=asked.plain, gzip=not asked.no_gzip)
        worked = time.process_time() - worked
        peak = memory_mb("VmHWM") - before
        print(
            f"{asked.tiles:,} tiles in {seconds:.2f} s ({worked:.2f} s of processor, the table's making included): "
            f"{asked.tiles / seconds:,.0f} tiles/s; peak {peak:.0f} MB above "
            f"the imports ({before:.0f} MB); file {path.stat().st_size / 1e6:.0f} MB; {count(path):,} features in it"
        )


def write(path: Path, tiles: int, *, flat: bool, gzip: bool) -> float:
    """Seconds of writing; the table is made before the clock starts and counts for the memory."""
    rows = table(tiles)
    started = time.perf_counter()
    with collection(path, gzip=gzip) as out:
        write_tiles(out, rows, "made-slide", flat=flat)
    return time.perf_counter() - started


def count(path: Path) -> int:
    """Features of the file; every thousandth line is parsed, the whole is not (it is a gigabyte)."""
    decoder = zlib.decompressobj(31) if path.suffix == ".gz" else None
    found, rest = 0, b""
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            *lines, rest = (rest + (decoder.decompress(data) if decoder else data)).split(b"\n")
            for line in lines:
                if line.startswith(b'{"type":"Feature",'):
                    found += 1
                    if found % 1000 == 1:
                        json.loads(line.rstrip(b","))
    return found


if __name__ == "__main__":
    main()
