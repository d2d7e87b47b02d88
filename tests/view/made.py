"""A results directory with slides in every state, published by hand, and a viewer that serves it from a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from shapely import Polygon, box

from wsipipe.grid import Frame, Grid
from wsipipe.phantom.pyramid_file import write_pyramid
from wsipipe.slide import open_slide
from wsipipe.store import publish, raster, records, shapes, tables
from wsipipe.store.layout import store_path
from wsipipe.store.tables import TopK
from wsipipe.units import Mpp
from wsipipe.view.gate import Gate
from wsipipe.view.handlers import Desk
from wsipipe.view.serve import listen, run
from wsipipe.view.shelf import Shelf

SHAPE = 1537, 2305
FRAME = Frame(SHAPE, 1.0, Mpp(0.5), 0)
GRID = Grid(SHAPE, 256)
TILE_ID = GRID.ids()[(GRID.cells_of(GRID.ids()) < (5, 7)).all(axis=1) & (GRID.cells_of(GRID.ids()) > 0).all(axis=1)]
TOP = TILE_ID[[7, 3, 12]]
HEAT = FRAME.coarser(4)
REGION = Polygon([(600, 500), (1400, 520), (1350, 1000), (700, 980)])
SECRET = b"nobody may read this"


def picture() -> Any:
    """Glass with a coloured gradient in the middle, so that every place has its own colour."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    tissue = np.stack([120 + x * 100 // SHAPE[1], 40 + y * 100 // SHAPE[0], 150 + (x + y) % 60], axis=-1)
    inside = ((y > 200) & (y < 1300) & (x > 220) & (x < 1900))[..., None]
    return np.where(inside, tissue, 243).astype(np.uint8)


def write_slide(path: Path) -> Path:
    """A pyramidal TIFF of `picture`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture()
    write_pyramid(path, iter([pixels]), SHAPE, 0.5, quality=92)
    return path


def probability() -> Any:
    """A map whose values rise to the right, none outside the kept tiles."""
    y, x = np.mgrid[: HEAT.shape[0], : HEAT.shape[1]]
    inside = (y >= 64) & (y < 320) & (x >= 64) & (x < 448)
    return np.where(inside, x * 255 // HEAT.shape[1], 0).astype(np.uint8)


def publish_slide(root: Path, record: dict[str, Any], *, tiles: bool = True) -> None:
    """One finished slide."""
    ids = TILE_ID if tiles else TILE_ID[:0]
    share = np.linspace(0, 1, len(ids), dtype=np.float32)
    rows = {"positive_mean": share, "class_prob": np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (len(ids), 1))}
    topk = TopK(TOP, np.array([9, 5, 1], np.float32), np.zeros((3, 3), np.uint8), np.eye(3, dtype=np.float32))
    table = tables.tile_table(GRID, FRAME, ids, rows, topk if tiles else TopK())
    staged = publish.begin(root)
    overview = picture()[::8, ::8]
    frame = FRAME.coarser(8)
    raster.write_image(staged, "overview", raster.from_array(overview), frame=frame, channels=("red", "green", "blue"))
    raster.write_image(staged, "probability", raster.from_array(probability()), frame=HEAT)
    found = {"region_id": [0], "area_um2": [90_000.0], "mean": [0.7], "max": [0.9]}
    piece = gpd.GeoDataFrame({"tissue_id": [0]}, geometry=[box(220, 200, 1900, 1300)])
    shapes.write_shapes(staged, "tissues", piece)
    shapes.write_shapes(staged, "regions", gpd.GeoDataFrame(found, geometry=[REGION]).iloc[: int(tiles)])
    tables.write_table(staged, table, np.ones((len(table), 3), np.float32), topk if tiles else TopK())
    source = {"shape": list(SHAPE), "mpp": 0.5}
    facts = publish.SlideFacts([FRAME], FRAME, GRID.tile)
    publish.commit(root, key=f"key-{root.stem}", facts=facts, record=record | {"source": source}, config={})


def write_results(folder: Path) -> Path:
    """``folder/results`` of ``folder/slides/made.tif``, with slides that moved, failed, or lead out of it."""
    slide = write_slide(folder / "slides" / "made.tif")
    opened = open_slide(slide)
    results = folder / "results"
    results.mkdir()
    prob = {"p_negative": 0.05, "p_low_grade": 0.1, "p_high_grade": 0.15, "p_invasive": 0.7}
    record = {"category": "invasive", "reason": "", "notices": ["trained on made slides"], **prob}
    row = {"status": "done", "fingerprint": opened.info.fingerprint, "mpp": 0.5, "tiles": len(TILE_ID), **record}
    row = {name: row.get(name) for name in records.SLIDE_COLUMNS}
    rows = [row | {"id": opened.id, "path": str(slide), "case_id": "<b>case</b> 7"}]
    rows += [row | {"id": "gone-1", "path": str(folder / "gone.tif")}, row | {"id": "slide-hidden", "path": ""}]
    rows += [row | {"id": "blank-1", "path": str(slide), "category": None, "reason": "no tissue"}]
    rows += [row | {"id": "linked-1", "path": str(slide)}, row | {"id": "inside-1", "path": str(slide)}]
    rows += [row | {"id": "broken-1", "status": "failed", "error": "SlideOpenError", "reason": "damaged"}]
    for name in (opened.id, "gone-1", "slide-hidden", "inside-1"):
        publish_slide(store_path(results, name), record)
    publish_slide(store_path(results, "blank-1"), {"category": None, "reason": "no tissue"}, tiles=False)
    publish_slide(folder / "outside.zarr", record)
    store_path(results, "linked-1").symlink_to(folder / "outside.zarr")
    (folder / "secret").write_bytes(SECRET)
    (store_path(results, "inside-1") / "images" / "secret").symlink_to(folder / "secret")
    (results / "secret.png").symlink_to(folder / "secret")
    records.write_slides(results / "slides.parquet", rows)
    opened.close()
    return results


class Served:
    """A running viewer and plain requests to it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def ask(self, path: str, *, method: str = "GET", host: str | None = None, **headers: str) -> HTTPResponse:
        """The answer to exactly this path, read to its end (``body``)."""
        connection = HTTPConnection("127.0.0.1", self.gate.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", f"127.0.0.1:{self.gate.port}" if host is None else host)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def get(self, path: str, **headers: str) -> Any:
        """The answer to a path below the token."""
        return self.ask(f"/{self.gate.token}/{path}", **headers)


@contextmanager
def served(results: Path, slides: Path | None = None) -> Iterator[Served]:
    """A viewer on a free port, in a thread."""
    sockets = listen(0)
    gate = Gate(sockets[0].getsockname()[1])
    desk, ready, ends = Desk(Shelf(results, slides), gate), threading.Event(), []

    async def work() -> None:
        over = asyncio.Event()
        ends.append((asyncio.get_running_loop(), over))
        await run(desk, sockets, over, ready.set)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert ready.wait(30)
    try:
        yield Served(gate)
    finally:
        loop, over = ends[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        assert not thread.is_alive()
