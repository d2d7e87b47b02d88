"""The publishing step of a tile pipeline: layers become pictures, labels, shapes and a table that other tools open.

Enters: a finished slide's layers. Leaves: ``images/ labels/ shapes/ tables/`` and the root attributes, then packed
layers. Next room: `wsipipe.query`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsipipe import lesion
from wsipipe.grid import Box, Frame, blocks
from wsipipe.run.pixels import overview_scale
from wsipipe.run.plan import Finish, Map, Overview
from wsipipe.run.row import told_config
from wsipipe.run.work import Context
from wsipipe.slide.icc import described
from wsipipe.stage import resolve
from wsipipe.store import publish as put
from wsipipe.store import read, write
from wsipipe.store.published import is_published
from wsipipe.store.raster import Pull, from_array, write_image, write_labels
from wsipipe.store.shapes import tile_shapes, tissue_of, write_shapes
from wsipipe.store.tables import TopK, tile_table, write_table

if TYPE_CHECKING:
    import geopandas as gpd

RED, GREEN = (220, 38, 38, 128), (34, 139, 34, 96)
ROWS = ("tissue_share", "focus", "positive_sum", "positive_mean", "class_prob")

VERDICT = "verdict"
"""Name of the finishing step whose record is published."""
PIECE_UM2 = 40_000.0
"""Smaller pieces of tissue get no polygon of their own."""


def publish(context: Context, *, threshold: float, min_area_um2: float, properties: bool = False) -> dict[str, Any]:
    """Publish a slide; nothing is done where exactly this is published already.

    Parameters
    ----------
    context : Context
        Of a pipeline that leaves ``overview, tissue, probability, features`` and the top-k graph.
    threshold : float
        Third threshold: probability strictly greater is suspected.
    min_area_um2 : float
        Smaller regions are not reported.
    properties : bool
        Store the vendor's raw properties too.
    """
    if not is_published(context.work.root, context.key):
        _publish(context, threshold=threshold, min_area_um2=min_area_um2, properties=properties)
    for layer in context.layers():
        write.pack(layer)
    return {}


def _publish(context: Context, *, threshold: float, min_area_um2: float, properties: bool) -> None:
    staged = put.begin(context.work.root)
    write_image(
        staged,
        "overview",
        from_array(context.value("overview")),
        frame=overview_frame(context),
        channels=("red", "green", "blue"),
    )
    frame = picture_frame(context, "probability")
    probability = write_image(staged, "probability", puller(context, "probability"), frame=frame)
    tissue = _labels(context, staged, probability, threshold)
    found = suspected(context, threshold=threshold, min_area_um2=min_area_um2, pull=probability)
    _shapes_and_table(context, staged, found, tissue)
    put.commit(
        context.work.root,
        key=context.key,
        facts=_facts(context),
        record=_record(context, properties),
        config=told_config(context.work.job),
        work=[layer.group for layer in context.layers()],
    )


def suspected(
    context: Context, *, threshold: float, min_area_um2: float, pull: Pull | None = None
) -> list[lesion.Region]:
    """Suspected lesion regions of the slide, in level-0 pixels; `pull` gives the map, by default the layer does."""
    frame = picture_frame(context, "probability")
    return lesion.regions(
        picture_blocks(context, "probability", pull),
        mpp=frame.mpp,
        l0_per_px=frame.downsample,
        threshold=threshold,
        min_area_um2=min_area_um2,
    )


def picture_frame(context: Context, name: str) -> Frame:
    """The frame of a picture layer."""
    return context.work.frame.coarser(context.layer(name).spec(name).scale)


def overview_frame(context: Context) -> Frame:
    """The frame of the overview."""
    longest = next(step.longest_px for step in context.pipeline.steps if isinstance(step, Overview))
    frame = context.work.frame.coarser(overview_scale(context.work.frame, longest_px=longest))
    height, width = context.value("overview").shape[:2]
    return Frame((height, width), frame.downsample, frame.mpp, frame.level)


def picture_blocks(context: Context, name: str, pull: Pull | None = None) -> Iterator[tuple[Box, NDArray[Any]]]:
    """The blocks of a picture layer that are not all zero, one unit at a time."""
    pull, side = pull or puller(context, name), _unit_side(context, name)
    for unit, box in enumerate(blocks(picture_frame(context, name).shape, side)):
        block = pull(box) if _has_pixels(context, name, unit) else None
        if block is not None and block.any():
            yield box, block


def puller(context: Context, name: str) -> Pull:
    """Any block of a picture layer; blocks without a kept tile are not looked for."""
    stored, side = read.array(context.layer(name), name), _unit_side(context, name)
    across = context.work.grid.units[1]

    def pull(box: Box) -> NDArray[Any]:
        rows, columns = range(box.y // side, -(-box.y1 // side)), range(box.x // side, -(-box.x1 // side))
        if any(_has_pixels(context, name, row * across + column) for row in rows for column in columns):
            return np.asarray(stored[box.slices()])
        return np.zeros(box.shape, stored.dtype)

    return pull


def _unit_side(context: Context, name: str) -> int:
    grid = context.work.grid
    return grid.unit * grid.tile // context.layer(name).spec(name).scale


def _has_pixels(context: Context, name: str, unit: int) -> bool:
    """Whether a unit of a picture layer can be other than zero: steps over kept tiles leave the others as they are."""
    step = context.pipeline.steps[context.pipeline.index(name)]
    if not (isinstance(step, Map) and step.kept_only):
        return True
    rows = context.work.grid.unit_rows(unit)
    first = np.searchsorted(context.ids, rows.start)
    return bool(first < len(context.ids) and context.ids[first] < rows.stop)


def topk(context: Context) -> TopK:
    """The tiles that speak for the slide."""
    return TopK(*(context.value(name) for name in ("topk_id", "topk_sum", "adjacency", "correlation")))


def _labels(context: Context, staged: Any, probability: Pull, threshold: float) -> Pull:
    """Tissue and lesion; returns the tissue as it was written."""
    tissue = write_labels(
        staged,
        "tissue",
        puller(context, "tissue"),
        frame=picture_frame(context, "tissue"),
        meanings={1: "tissue"},
        colors={1: GREEN},
    )
    write_labels(
        staged,
        "lesion",
        lambda box: (probability(box) > 255 * threshold).astype(np.uint8),
        frame=picture_frame(context, "probability"),
        meanings={1: "suspected lesion"},
        colors={1: RED},
    )
    return tissue


def _shapes_and_table(context: Context, staged: Any, found: list[lesion.Region], tissue: Pull) -> None:
    rows = {name: context.rows(name) for name in ROWS}
    tiles = tile_table(context.work.grid, context.work.frame, context.ids, rows, topk(context))
    pieces = _pieces(context, tissue)
    write_shapes(staged, "tissues", pieces)
    write_shapes(staged, "tiles", tile_shapes(tiles, tissue_id=tissue_of(tiles, pieces)))
    write_shapes(staged, "regions", _regions(found))
    write_table(staged, tiles, context.rows("features"), topk(context))


def _pieces(context: Context, pull: Pull) -> gpd.GeoDataFrame:
    import geopandas

    frame = picture_frame(context, "tissue")
    found = lesion.regions(
        ((box, block * np.uint8(255)) for box, block in picture_blocks(context, "tissue", pull)),
        mpp=frame.mpp,
        l0_per_px=frame.downsample,
        min_area_um2=PIECE_UM2,
    )
    columns = {"tissue_id": np.arange(len(found)), "area_um2": [piece.area_um2 for piece in found]}
    return geopandas.GeoDataFrame(columns, geometry=[piece.polygon for piece in found])


def _regions(found: list[lesion.Region]) -> gpd.GeoDataFrame:
    import geopandas

    columns: Mapping[str, Any] = {
        "region_id": np.arange(len(found)),
        "area_um2": [region.area_um2 for region in found],
        "mean": [region.mean for region in found],
        "max": [region.maximum for region in found],
    }
    return geopandas.GeoDataFrame(dict(columns), geometry=[region.polygon for region in found])


def _facts(context: Context) -> put.SlideFacts:
    info = context.slide.info
    return put.SlideFacts(info.frames(), context.work.frame, context.work.grid.tile, info.objective, info.bounds)


def _record(context: Context, properties: bool) -> dict[str, Any]:
    """What the verdict says of the slide, and where its pixels came from."""
    record: dict[str, Any] = {"id": context.work.id, "fingerprint": context.work.fingerprint}
    for index, step in enumerate(context.pipeline.steps[: context.step]):
        if isinstance(step, Finish) and step.name == VERDICT:
            record |= resolve(step.factory)(Context(context.work, index), **step.params)
    info = context.slide.info
    record["source"] = {
        "reader": info.reader,
        "vendor": info.vendor,
        "shape": list(info.shape),
        "mpp": context.work.mpp,
        "icc": described(info.icc) if context.pipeline.icc != "ignore" else None,
        "icc_use": context.pipeline.icc,
    }
    if properties and not context.work.job.deidentify:
        record["properties"] = dict(info.properties)
    return record
