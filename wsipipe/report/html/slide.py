"""One slide of a report: what its page shows, read from what was published.

Enters: a row of ``slides.parquet`` and the slide's store. Leaves: a `Page`. Next room: the template ``_slide.html.j2``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsipipe.errors import StoreError
from wsipipe.report.html import fundus
from wsipipe.report.html.drawing import Drawing, drawing
from wsipipe.report.html.pictures import BASE_PX, Pictures, Shown
from wsipipe.report.tile import tile_panels
from wsipipe.store import published
from wsipipe.store.layout import store_path
from wsipipe.store.records import CATEGORIES, WITH_RESULTS

if TYPE_CHECKING:
    import pandas as pd

TILE, STAIN, OVERVIEW = "tile-{:02d}.png", "stain.png", "overview.png"
ENHANCED = "enhanced.png"
DAMAGED = (StoreError, OSError, ValueError, KeyError)
"""What reading a store that was cut short or changed by hand may raise; the page then says so."""
BINS = 20
CHECKS = {
    "tissue": ("Tissue", "tile areas", "at least", "min_tiles"),
    "stain": ("Stain, angle to H&E", "degrees", "at most", "max_stain_deg"),
    "focus": ("Focus, median", "", "at least", "min_focus"),
    "features": ("Distance to training slides", "", "at most", "max_distance"),
}
"""Of the gate: name, unit, and which setting of ``gate`` is its limit."""


@dataclass(frozen=True)
class Check:
    """One check of the gate."""

    name: str
    unit: str
    value: float | None
    rule: str
    limit: float | None
    passed: bool


@dataclass(frozen=True)
class Tile:
    """A top-k tile: its row of the tile table, its picture, and where the two panels lie in it."""

    row: Mapping[str, Any]
    picture: Shown | None
    plain: tuple[float, float, float, float] | None = None
    painted: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Bin:
    """A bar of the histogram: from, to, how many tiles, and its height from 0 to 1."""

    low: float
    high: float
    tiles: int
    height: float


@dataclass
class Page:
    """A slide's page; `record` is empty and `problem` says why where nothing could be read."""

    row: Mapping[str, Any]
    key: str
    problem: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""
    heat: str = ""
    drawing: Drawing | None = None
    checks: Sequence[Check] = ()
    tiles: Sequence[Tile] = ()
    histogram: Sequence[Bin] = ()
    stain: Shown | None = None
    overview: Shown | None = None
    enhanced: Shown | None = None
    measures: Sequence[fundus.Line] = ()

    @property
    def config_key(self) -> str:
        """Names the configuration: slides of one configuration show one copy of it."""
        return sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:12] if self.config else ""

    @property
    def probabilities(self) -> list[tuple[str, float | None]]:
        """Category and probability, in the order of `CATEGORIES`."""
        return [(name, self.row[f"p_{name}"]) for name in CATEGORIES]


def page(row: Mapping[str, Any], pictures: Pictures) -> Page:
    """Read one slide.

    Parameters
    ----------
    row : mapping
        Of ``slides.parquet``; null values are None.
    pictures : Pictures

    Returns
    -------
    Page
        Of a slide that failed or was skipped only the row; of one whose store cannot be read, that and why.
    """
    found = Page(row, row["id"])
    if row["status"] not in WITH_RESULTS:
        return found
    if not safe(row["id"]):
        found.problem = "The slide's id is no name of a folder, so its results are not looked for."
        return found
    try:
        _fill(found, pictures)
    except DAMAGED as error:
        found.problem = f"The slide's results could not be read: {error}"
    return found


def safe(slide_id: str | None) -> bool:
    """Whether an id names a folder directly below the results directory and nothing else."""
    return (
        bool(slide_id) and slide_id not in (".", "..") and Path(str(slide_id)).name == slide_id and "\0" not in slide_id
    )


def _fill(found: Page, pictures: Pictures) -> None:
    slide_id = found.row["id"]
    root = store_path(pictures.results, slide_id)
    marked = published.marked(root)
    found.record, found.config = marked["record"], marked.get("config") or {}
    if found.record.get("fundus"):
        found.measures = fundus.lines(found.record["measures"])
        found.overview, found.enhanced = (pictures.drawn(slide_id, name) for name in (OVERVIEW, ENHANCED))
        return
    found.checks = list(_checks(found.record.get("gate") or {}, found.config.get("gate") or {}))
    tiles = published.tiles(root)
    found.histogram = histogram(tiles)
    found.drawing = _drawing(root, tiles)
    found.base, found.heat = pictures.base(slide_id), pictures.heat(slide_id)
    found.tiles = list(_tiles(tiles, slide_id, pictures))
    found.stain, found.overview = pictures.drawn(slide_id, STAIN), None
    if pictures.mode == "linked":
        found.overview = pictures.drawn(slide_id, OVERVIEW)


def _drawing(root: Path, tiles: pd.DataFrame) -> Drawing:
    picture = published.small(root, "images/overview", longest_px=BASE_PX)
    height, width = picture.shape
    factor = min(1.0, BASE_PX / max(height, width))  # as `Pictures.base` reduces it further
    return drawing(
        (max(1, round(width * factor)), max(1, round(height * factor))),
        picture.l0_scale / factor,
        tissues=published.shapes(root, "tissues"),
        regions=published.shapes(root, "regions"),
        tiles=tiles,
        edges=published.edges(root),
    )


def _checks(gate: Mapping[str, Any], limits: Mapping[str, Any]) -> Any:
    for key, answer in gate.items():
        name, unit, rule, setting = CHECKS.get(key, (key, "", "", ""))
        yield Check(name, unit, answer.get("value"), rule, limits.get(setting), bool(answer.get("passed")))


def _tiles(tiles: pd.DataFrame, slide_id: str, pictures: Pictures) -> Any:
    if not len(tiles):
        return
    for row in tiles[tiles["is_topk"]].sort_values("rank").to_dict("records"):
        picture = pictures.drawn(slide_id, TILE.format(row["rank"]))
        panels = tile_panels(picture.width, picture.height) if picture else (None, None)
        yield Tile({str(name): value for name, value in row.items()}, picture, *panels)


def histogram(tiles: pd.DataFrame) -> list[Bin]:
    """How many tiles have which mean positive probability; empty without tiles."""
    if "positive_mean" not in tiles or not len(tiles):
        return []
    counts, edges = np.histogram(tiles["positive_mean"].to_numpy(np.float64), BINS, (0, 1))
    heights = np.log1p(counts) / np.log1p(max(1, counts.max()))
    return [
        Bin(*values)
        for values in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), heights.tolist(), strict=True)
    ]
