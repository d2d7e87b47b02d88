"""A results directory as a run leaves it, made in a moment: stores written by `wsipipe.store`, pictures by `report`.

Shared by tests/report and tests/benchmarks/report.py.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from shapely import Point, box

from wsipipe.grid import Frame, Grid
from wsipipe.report.canvas import save_png
from wsipipe.report.tile import before_after, tile_picture
from wsipipe.store import publish, raster, records, shapes, tables
from wsipipe.store.layout import RUN_FILE, SLIDES_FILE, pictures_path, store_path
from wsipipe.store.records import CATEGORIES
from wsipipe.store.tables import TopK
from wsipipe.units import Mpp

SIDE, TILE, SCALE = 5120, 512, 4
FRAME = Frame((SIDE, SIDE), 1.0, Mpp(0.5), 0)
GRID = Grid(FRAME.shape, TILE)
CONFIG = {
    "gate": {"min_tiles": 4, "max_stain_deg": 25.0, "min_focus": 0.08, "max_distance": 0.7},
    "graph": {"threshold": 0.5, "weights": "<b>w</b>"},
}
RUN: dict[str, Any] = {
    "wsipipe": "0.1.0",
    "key": "abc",
    "pipeline": "wsipipe.pipelines.gastric:build",
    "status": "ended",
    "config": CONFIG,
    "weights": {"network": "0" * 64},
    "started": 1.7e9,
    "seconds": 3725.0,
    "seconds_per_step": {"tiles": 120.0, "draw": 30.5},
    "machine": {"cores": 2, "host": "HOSTNAME-7", "user": "USERNAME-7"},
    "versions": {"numpy": "2"},
    "deidentified": False,
}


def row(slide_id: str, index: int = 0, **more: Any) -> dict[str, Any]:
    """The row of a finished slide."""
    p = np.roll([0.7, 0.15, 0.1, 0.05], index % 4).tolist()
    told = {"id": slide_id, "status": "done", "category": CATEGORIES[index % 4], "tiles": 60, "mpp": 0.5}
    return told | dict(zip(records.PROBABILITY_COLUMNS, p, strict=True)) | {"seconds": 20.0 + index, **more}


def picture(side: int, seed: int = 0) -> NDArray[np.uint8]:
    """Glass with a disc of stained noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    cells = np.kron(rng.random((-(-side // 8),) * 2), np.ones((8, 8)))[:side, :side, None]
    stained = np.where(cells > 0.6, np.array([110, 70, 150]), np.array([225, 150, 190]))
    return np.where((x**2 + y**2 < 0.16)[..., None], stained, 243).astype(np.uint8)


def publish_slide(results: Path, slide_id: str, *, k: int = 10, tiles: int = 60, pictures: bool = True) -> None:
    """One finished slide with its store and, if asked, the pictures that a run draws."""
    root, rng = store_path(results, slide_id), np.random.default_rng(1)
    ids = np.arange(20, 20 + tiles, dtype=np.int64)
    target = np.linspace(9000, 100, tiles).astype(np.float32)
    joined = np.triu((rng.random((k, k)) > 0.45).astype(np.uint8), 1)
    top = TopK(ids[:k], target[:k], joined + joined.T, np.full((k, k), 0.83, np.float32)) if tiles else TopK()
    values = {
        "positive_sum": target,
        "positive_mean": target / 9000,
        "class_prob": rng.dirichlet(np.ones(4), tiles).astype(np.float32),
    }
    table = tables.tile_table(GRID, FRAME, ids, values, top)
    staged = publish.begin(root)
    rgb, small = picture(1024), FRAME.coarser(SIDE // 1024)
    raster.write_image(staged, "overview", raster.from_array(rgb), frame=small, channels=("red", "green", "blue"))
    y, x = np.mgrid[: SIDE // SCALE, : SIDE // SCALE] * (SCALE / SIDE)
    heat = (255 * np.exp(-(((x - 0.5) ** 2 + (y - 0.4) ** 2) / 0.02))).astype(np.uint8)
    raster.write_image(staged, "probability", raster.from_array(heat), frame=FRAME.coarser(SCALE))
    disc, lesion = Point(SIDE / 2, SIDE / 2).buffer(0.4 * SIDE, 200), box(2200, 1600, 2900, 2500)
    shapes.write_shapes(staged, "tissues", gpd.GeoDataFrame({"tissue_id": [0]}, geometry=[disc]))
    shapes.write_shapes(staged, "regions", gpd.GeoDataFrame({"area_um2": [4.0]}, geometry=[lesion]))
    tables.write_table(staged, table, np.ones((len(table), 3), np.float32), top)
    record = {
        "category": "invasive",
        "notices": ["not for clinical use"],
        "gate": {"tissue": {"value": 50.5, "passed": True}, "stain": {"value": 40.0, "passed": False}},
        "source": {"reader": "made <reader>", "vendor": None, "shape": [SIDE, SIDE], "mpp": 0.5},
        "frame": {"mpp": 0.5},
    }
    publish.commit(root, key="k", facts=publish.SlideFacts([FRAME], FRAME, TILE), record=record, config=CONFIG)
    if pictures:
        _draw(pictures_path(results, slide_id), k)


def _draw(folder: Path, k: int) -> None:
    folder.mkdir(exist_ok=True)
    rgb, heat = picture(128, 2), np.full((32, 32), 128, np.uint8)
    save_png(folder / "overview.png", rgb)
    save_png(folder / "stain.png", before_after(rgb, 255 - rgb, mpp=0.5))
    drawn = tile_picture(rgb, heat, "a tile", mpp=0.5, threshold=0.4)
    for rank in range(1, k + 1):
        save_png(folder / f"tile-{rank:02d}.png", drawn)


def copies(results: Path, original: str, ids: list[str], *, linked: bool = False) -> None:
    """The same slide under other ids; `linked` shares the bytes of all files on disk."""
    import os

    copy = os.link if linked else shutil.copy2
    for slide_id in ids:
        shutil.copytree(store_path(results, original), store_path(results, slide_id), copy_function=copy)
        if pictures_path(results, original).is_dir():
            shutil.copytree(pictures_path(results, original), pictures_path(results, slide_id), copy_function=copy)


def finish(results: Path, rows: list[dict[str, Any]], **run: Any) -> Path:
    """The files of the batch; returns the directory."""
    records.write_slides(results / SLIDES_FILE, rows)
    records.write_json(results / RUN_FILE, RUN | run)
    return results
