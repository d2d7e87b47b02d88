"""A results directory made by hand: every kind of shape and value that an export has to carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from shapely import Polygon, box

from wsipipe.grid import Frame, Grid
from wsipipe.store import publish, raster, records, shapes, tables
from wsipipe.store.layout import store_path
from wsipipe.store.records import CATEGORIES
from wsipipe.store.tables import TopK
from wsipipe.units import Mpp

LEVELS = (Frame((4100, 6000), 1.0, Mpp(0.2527), 0), Frame((1025, 1500), 4.0, Mpp(1.0108), 1))
FRAME = Frame((2072, 3032), 0.5 / 0.2527, Mpp(0.5), None)
"""Working frame of 0.5 µm of a slide of 0.2527: no side of a tile is a whole number of level-0 pixels."""
GRID = Grid(FRAME.shape, 512)
KEPT = np.array([0, 1, 3, 9, 12])
RING = Polygon([(100, 100), (900, 100), (900, 700), (100, 700)], [[(300, 300), (300, 500), (600, 500), (600, 300)]])
REGIONS = gpd.GeoDataFrame(
    {"region_id": [0, 1], "area_um2": [26_000.0, 1.5], "mean": [0.75, 0.5], "max": [0.9, 0.5]},
    geometry=[RING, Polygon([(1000.5, 1000.25), (1200, 1010), (1100, 1300)])],
)
TISSUES = gpd.GeoDataFrame({"tissue_id": [0], "area_um2": [1e6]}, geometry=[box(0, 0, 3000, 2000)])
P = (np.add.outer(np.arange(518), np.arange(758)) % 256).astype(np.uint8)
OVERVIEW = np.random.default_rng(0).integers(0, 256, (259, 379, 3)).astype(np.uint8)


def rows(count: int) -> dict[str, Any]:
    """Values per tile; one focus and one whole row of probabilities are missing."""
    rng = np.random.default_rng(1)
    classes = rng.dirichlet(np.ones(4), count).astype(np.float32)
    focus = rng.random(count).astype(np.float32)
    if count:
        focus[1], classes[2] = np.nan, np.nan
    sums = (rng.random(count) * 262_144).astype(np.float32)
    return {
        "tissue_share": rng.random(count).astype(np.float32),
        "focus": focus,
        "positive_sum": sums,
        "class_prob": classes,
    }


def publish_slide(results: Path, slide_id: str, kept: Any = KEPT, **told: Any) -> None:
    """One finished slide; its first and fourth tile are the top ones, and connected."""
    root = store_path(results, slide_id)
    pair, r = np.array([[0, 1], [1, 0]], np.uint8), np.array([[1, 0.9], [0.9, 1]], np.float32)
    topk = TopK(kept[[0, 3]], np.array([2, 1], np.float32), pair, r) if len(kept) else TopK()
    table = tables.tile_table(GRID, FRAME, kept, rows(len(kept)), topk)
    staged = publish.begin(root)
    raster.write_image(staged, "probability", raster.from_array(P), frame=FRAME.coarser(4))
    small = Frame(OVERVIEW.shape[:2], FRAME.downsample * 8, Mpp(4.0), None)
    raster.write_image(staged, "overview", raster.from_array(OVERVIEW), frame=small, channels=("red", "green", "blue"))
    lesion = ((P > 200) * (len(kept) > 0)).astype(np.uint8)
    raster.write_labels(
        staged, "lesion", raster.from_array(lesion), frame=FRAME.coarser(4), meanings={1: "suspected lesion"}, colors={}
    )
    shapes.write_shapes(staged, "tissues", TISSUES)
    shapes.write_shapes(staged, "regions", REGIONS if len(kept) else REGIONS[:0])
    tables.write_table(staged, table, np.outer(kept, np.arange(1, 7)).astype(np.float32), topk)
    facts = publish.SlideFacts(LEVELS, FRAME, GRID.tile, 40.0)
    record = {"id": slide_id, "category": "invasive", "reason": "", "source": {"vendor": "aperio"}}
    record |= {f"p_{name}": p for name, p in zip(CATEGORIES, (0.05, 0.1, 0.15, 0.7), strict=True)}
    publish.commit(root, key=f"key-{slide_id}", facts=facts, record=record | told, config={})


def make(results: Path) -> Path:
    """Three finished slides (the second without tiles), two of one file name, and a failed one."""
    publish_slide(results, "alpha-111")
    publish_slide(results, "empty-222", np.zeros(0, np.int64), category=None, reason="too little tissue")
    publish_slide(results, "other-333")
    done = {"status": "done", "category": "invasive", "mpp": 0.2527}
    records.write_slides(
        results / "slides.parquet",
        [
            done | {"id": "alpha-111", "path": "there/alpha.svs", "tiles": 5},
            done | {"id": "empty-222", "path": "a/same.svs", "tiles": 0},
            done | {"id": "other-333", "path": "b/same.svs", "tiles": 5},
            {"id": "broken-0", "status": "failed", "error": "SlideOpenError", "reason": "damaged"},
        ],
    )
    records.write_json(results / "run.json", {"started": 1_700_000_000.5, "status": "ended"})
    return results
