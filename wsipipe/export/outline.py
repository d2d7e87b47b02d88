"""Tiles, tissue and suspected regions as GeoJSON, for QuPath and for GIS software.

Enters: a `Job`. Leaves: one ``<slide id>.geojson`` or ``.geojson.gz`` per slide. Next room: other people's tools.

Both count in level-0 pixels, x to the right and y down. QuPath's dialect keeps ``objectType``, ``classification``
and ``measurements`` inside ``properties`` and winds rings as they come; the plain one has flat properties with a
``layer`` and winds exteriors as RFC 7946 asks. Tiles are written by the ten thousand, never built as one text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from wsipipe.export.collection import Collection, collection
from wsipipe.export.job import Job
from wsipipe.export.text import ROWS, SEPARATOR, Piece, box_ring, content, joined, members, named_uuid, uuids
from wsipipe.query import SlideResult
from wsipipe.store.records import CATEGORIES, PROBABILITY_COLUMNS

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

REGION_CLASS, TISSUE_CLASS = "Suspected lesion", "Tissue"
COLORS = {
    "negative": (34, 139, 34),
    "low_grade": (234, 179, 8),
    "high_grade": (234, 88, 12),
    "invasive": (190, 18, 60),
    REGION_CLASS: (220, 38, 38),
    TISSUE_CLASS: (15, 118, 110),
}
BOX = ("x", "y", "width", "height")
ID = "tile_id"


def names(job: Job) -> list[Path]:
    """The files that `qupath` and `plain` write."""
    ending = ".geojson.gz" if job.options.gzip else ".geojson"
    return [job.out / f"{slide_id}{ending}" for slide_id in job.ids]


def qupath(job: Job) -> Iterator[Path]:
    """GeoJSON that QuPath imports: tissue and regions as annotations, tiles as tiles with measurements."""
    for path, slide in zip(names(job), job, strict=True):
        with collection(path, gzip=job.options.gzip) as out:
            for name, shapes in ((TISSUE_CLASS, slide.tissues), (REGION_CLASS, slide.regions)):
                for feature in _annotations(shapes, slide.id, name):
                    out.add(feature)
            write_tiles(out, job.tiles(slide), slide.id, classed=_is_trained(slide))
        yield path


def plain(job: Job) -> Iterator[Path]:
    """A GeoJSON FeatureCollection with flat properties, for geopandas, QGIS and shapely."""
    for path, slide in zip(names(job), job, strict=True):
        with collection(path, gzip=job.options.gzip) as out:
            for layer, shapes in (("tissue", slide.tissues), ("region", slide.regions)):
                for feature in _features(shapes, slide.id, layer):
                    out.add(feature)
            write_tiles(out, job.tiles(slide), slide.id, flat=True, classed=_is_trained(slide))
        yield path


def write_tiles(
    out: Collection, tiles: pd.DataFrame, slide_id: str, *, flat: bool = False, classed: bool = True
) -> None:
    """Every row of a tile table as a rectangle.

    Parameters
    ----------
    out : Collection
    tiles : DataFrame
        With ``tile_id, x, y, width, height``; every other numeric column becomes a measurement of its name. No rows,
        no features.
    slide_id : str
        The UUID of a tile is made of it and the tile's id.
    flat : bool
        Values directly under ``properties``, as GIS software wants them.
    classed : bool
        Tell the most probable category of each tile; without it (untrained networks) only the numbers are told.
    """
    for start in range(0, len(tiles), ROWS):
        part = {str(name): tiles[name].to_numpy()[start : start + ROWS] for name in tiles.columns}
        out.extend(content(joined(list(_texts(part, slide_id, flat=flat, classed=classed)))))


def _texts(part: dict[str, NDArray[Any]], slide_id: str, *, flat: bool, classed: bool) -> Iterator[Piece]:
    """The pieces of a feature's text, in order."""
    x, y, width, height = (part[name] for name in BOX)
    numbers = [(ID, part[ID])] + [(n, v) for n, v in part.items() if n not in (ID, *BOX) and v.dtype.kind in "fiub"]
    yield SEPARATOR + '{"type":"Feature","id":"'
    yield uuids(f"{slide_id}/tiles/", part[ID])
    yield '","geometry":{"type":"Polygon","coordinates":'
    yield from box_ring(x, y, width, height)
    known = classed and all(name in part for name in PROBABILITY_COLUMNS)
    if flat:
        yield f'}},"properties":{{"layer":"tile","slide_id":{json.dumps(slide_id)},'
        yield from _category(part, '"class":"{0}",', {name: name for name in CATEGORIES}) if known else ()
        yield from members(numbers)
        yield "}}"
        return
    yield '},"properties":{"objectType":"tile",'
    texts = {name: json.dumps(_classification(name)) for name in CATEGORIES}
    yield from _category(part, '"classification":{0},', texts) if known else ()
    yield '"measurements":{'
    yield from members(numbers)
    yield "}}}"


def _category(part: dict[str, NDArray[Any]], form: str, texts: dict[str, str]) -> list[Piece]:
    """What is said of each tile's most probable category; nothing where a probability is missing."""
    probability = np.stack([part[name] for name in PROBABILITY_COLUMNS], axis=1)
    known = np.isfinite(probability).all(axis=1)
    index = np.where(known, np.argmax(np.nan_to_num(probability), axis=1), len(CATEGORIES))
    said = [form.replace("{0}", texts[name]) for name in CATEGORIES]
    return [pa.array([*said, ""]).take(pa.array(index))]


def _annotations(shapes: gpd.GeoDataFrame, slide_id: str, name: str) -> Iterator[dict[str, Any]]:
    kind = "tissues" if name == TISSUE_CLASS else "regions"
    for number, (geometry, numbers) in enumerate(_rows(shapes)):
        yield {
            "type": "Feature",
            "id": str(named_uuid(f"{slide_id}/{kind}/{number}")),
            "geometry": geometry,
            "properties": {
                "objectType": "annotation",
                "classification": _classification(name),
                "measurements": numbers,
            },
        }


def _features(shapes: gpd.GeoDataFrame, slide_id: str, layer: str) -> Iterator[dict[str, Any]]:
    kind = "tissues" if layer == "tissue" else "regions"
    for number, (geometry, numbers) in enumerate(_rows(shapes, wound=True)):
        yield {
            "type": "Feature",
            "id": str(named_uuid(f"{slide_id}/{kind}/{number}")),
            "geometry": geometry,
            "properties": {"layer": layer, "slide_id": slide_id, **numbers},
        }


def _rows(shapes: gpd.GeoDataFrame, *, wound: bool = False) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """GeoJSON geometry and finite numbers of every row."""
    import shapely

    columns = [name for name in shapes.columns if name != "geometry" and shapes[name].dtype.kind in "fiu"]
    for row, geometry in zip(shapes[columns].to_dict("records"), shapes.geometry, strict=True):
        shown = shapely.orient_polygons(geometry) if wound else geometry
        yield json.loads(shapely.to_geojson(shown)), {str(k): v for k, v in row.items() if np.isfinite(v)}


def _classification(name: str) -> dict[str, Any]:
    return {"name": name, "color": list(COLORS[name])}


def _is_trained(slide: SlideResult) -> bool:
    return bool(slide.record.get("reason") != "untrained")
