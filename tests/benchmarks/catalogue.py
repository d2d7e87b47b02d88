"""Three questions to a catalogue of 100 million tiles, through the code of ``wsipipe query``.

    python tests/benchmarks/catalogue.py [--slides 3400] [--tiles 30000] [--keep FOLDER]

Makes the catalogue slide by slide in bounded memory (about 2 GB on disk), asks each question once to warm up and five
times more on 2 threads, and prints the medians and the peak memory. The bar: 1.5 s each.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from wsipipe.query.catalogue import BUCKETS, bucket_of, bucket_writer, files
from wsipipe.query.columns import stored_schema
from wsipipe.query.engine import Engine, show

VARIANTS = 16


def made_rows(count: int, seed: int) -> dict[str, pa.Array]:
    """Columns of one slide's tiles without its id; values of 250 steps, as real scores of eight bits have."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    columns: dict[str, pa.Array] = {}
    for field in stored_schema("tiles"):
        if field.name == "slide_id":
            continue
        if field.name == "tile_id":
            values = np.arange(count)
        elif field.name in {"x", "y"}:
            values = (np.arange(count) % side if field.name == "x" else np.arange(count) // side) * 512
        elif field.name == "positive_sum":
            values = rng.random(count) * 60_000
        elif pa.types.is_floating(field.type):
            values = rng.integers(0, 250, count) / 250
        else:
            values = np.zeros(count)
        columns[field.name] = pa.array(values).cast(field.type)
    return columns


def make(folder: Path, slides: int, tiles: int) -> None:
    """Write the tiles of made slides, bucket by bucket."""
    names: dict[str, list[str]] = {}
    for index in range(slides):
        names.setdefault(bucket_of(f"slide-{index:05d}"), []).append(f"slide-{index:05d}")
    variants, schema = [made_rows(tiles, seed) for seed in range(VARIANTS)], stored_schema("tiles")
    for bucket, ids in sorted(names.items()):
        with bucket_writer(folder / "tiles" / f"{bucket}.parquet", "tiles", dict.fromkeys(ids, "made")) as writer:
            for slide_id in ids:
                rows = variants[int(slide_id[-5:]) % VARIANTS]
                named = {"slide_id": pa.array([slide_id]).take(pa.array(np.zeros(tiles, int))), **rows}
                writer.add(pa.table([named[name] for name in schema.names], schema=schema))


def ask(folder: Path, slides: int) -> None:
    """Print the medians."""
    questions = {
        "top 20 by score": "SELECT * FROM tiles ORDER BY positive_sum DESC LIMIT 20",
        "aggregate per slide": "SELECT slide_id, count(*), avg(positive_sum), max(positive_sum) FROM tiles GROUP BY 1",
        "filter on one slide": f"SELECT * FROM tiles WHERE slide_id = 'slide-{slides // 2:05d}'",
    }
    with duckdb.connect(":memory:") as connection, duckdb.connect(":memory:") as parser:
        show(connection, {"made": folder})
        engine = Engine(connection, parser)
        print(f"{engine.arrow('SELECT count(*) AS n FROM tiles')['n'][0].as_py():,} tiles")
        for name, sql in questions.items():
            rows, seconds = len(engine.arrow(sql)), []
            for _ in range(5):
                start = time.perf_counter()
                engine.arrow(sql)
                seconds.append(time.perf_counter() - start)
            print(f"{name}: {statistics.median(seconds):.2f} s for {rows} rows", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def main() -> None:
    """Make, ask, and drop unless kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, default=3400)
    parser.add_argument("--tiles", type=int, default=30_000)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        if len(files(folder, "tiles")) != min(BUCKETS, given.slides):
            start = time.perf_counter()
            make(folder, given.slides, given.tiles)
            size = sum(path.stat().st_size for path in files(folder, "tiles"))
            print(f"made in {time.perf_counter() - start:.0f} s, {size / 1e9:.2f} GB", flush=True)
        ask(folder, given.slides)


if __name__ == "__main__":
    main()
