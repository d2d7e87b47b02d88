"""What the pages are told, as JSON values: the list of slides, one slide, its tiles, a tile's row, its polygons.

Enters: results. Leaves: plain values. Next room: `wsipipe.view.handlers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wsipipe.query.results import Results
from wsipipe.store.records import PROBABILITY_COLUMNS, plain
from wsipipe.view.encode import ramp
from wsipipe.view.shelf import Shown

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

NOTICE = "Not for clinical use."
LISTED = ("id", "case_id", "status", "category", *PROBABILITY_COLUMNS, "tiles", "reason", "error")
DRAWN = {"tile_id": "id", "x": "x", "y": "y", "width": "width", "height": "height", "rank": "rank"}
SCORE = "positive_mean"
ELSEWHERE = (
    "The slide itself was not found, so this is the overview picture of the run: it cannot be enlarged further. "
    "Start the viewer with --slides DIRECTORY to say where the slides are now."
)


def slide_rows(results: Results) -> dict[str, Any]:
    """The list of slides: one mapping per row of ``slides.parquet``, and what is to be said of all."""
    rows = results.slides[list(LISTED)].to_dict("records")
    return {"name": results.path.resolve().name, "notice": NOTICE, "slides": [plain(row) for row in rows]}


def slide_facts(shown: Shown) -> dict[str, Any]:
    """One slide: verdict, size, where its pixels come from, which layers there are."""
    record, ground = shown.result.record, shown.ground
    height, width = ground.zoom.shape
    return plain(
        {
            "id": shown.result.id,
            "notice": NOTICE,
            "notices": record.get("notices", []),
            "category": record.get("category"),
            "reason": record.get("reason") or "",
            "probabilities": {name.removeprefix("p_"): record.get(name) for name in PROBABILITY_COLUMNS},
            "gate": record.get("gate", {}),
            "mpp": shown.result.row["mpp"],
            "width": width,
            "height": height,
            "pixels": {
                "tile": ground.zoom.tile,
                "coarsest": min(ground.finest, ground.zoom.single()),
                "finest": ground.finest,
                "downsample": ground.zoom.downsample(ground.finest),
                "said": "" if ground.slide else ELSEWHERE,
            },
            "heat": _heat(shown),
            "tiles": len(shown.tiles),
            "colors": ramp(),
        }
    )


def tile_columns(tiles: pd.DataFrame) -> dict[str, list[Any]]:
    """What is drawn of all tiles, by column: ``id, x, y, width, height, rank`` and ``score`` (0 to 1)."""
    if len(tiles) == 0:
        return {name: [] for name in (*DRAWN.values(), "score")}
    columns = {shown: tiles[name].tolist() for name, shown in DRAWN.items()}
    score = tiles[SCORE].fillna(0) if SCORE in tiles else tiles["x"] * 0.0
    return columns | {"score": [round(value, 4) for value in score.tolist()]}


def tile_row(tiles: pd.DataFrame, tile_id: int) -> dict[str, Any]:
    """All columns of one tile. Raises KeyError where it was not kept."""
    if tile_id not in tiles.index:
        raise KeyError(tile_id)
    return plain({str(name): value for name, value in tiles.loc[[tile_id]].to_dict("records")[0].items()})


def polygons(frame: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Each shape's other columns, and its ``rings``: flat lists ``x, y, x, y`` in level-0 pixels."""
    rows = frame.drop(columns="geometry").to_dict("records")
    return [
        plain({**{str(k): v for k, v in row.items()}, "rings": list(_rings(shape))})
        for row, shape in zip(rows, frame.geometry, strict=True)
    ]


def _rings(shape: Any) -> Iterator[list[float]]:
    for part in getattr(shape, "geoms", [shape]):
        for ring in (part.exterior, *part.interiors):
            yield [round(value, 1) for point in ring.coords for value in point[:2]]


def _heat(shown: Shown) -> dict[str, Any] | None:
    if not shown.heat:
        return None
    finest = shown.heat[0]
    return {"levels": len(shown.heat), "width": finest.shape[1], "height": finest.shape[0], "l0": finest.l0_scale}
