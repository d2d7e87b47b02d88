"""Publishing a fundus picture: probabilities and labels as OME-Zarr, zones as shapes, the record in the attributes.

Enters: a finished picture's layers. Leaves: ``images/overview``, ``images/vessel`` (artery, vein, all vessels),
``images/enhanced`` where asked for, ``labels/vessels``, ``labels/field``, ``shapes/zones``, the pictures of `draw`.
Next room: `wsipipe.query`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wsipipe.grid import Frame
from wsipipe.report.fundus.analyse import Analysis, analyse
from wsipipe.report.fundus.draw import OVERVIEW, draw, restored
from wsipipe.report.fundus.record import record as recorded
from wsipipe.run.row import told_config
from wsipipe.run.work import Context
from wsipipe.store import publish as put
from wsipipe.store import write
from wsipipe.store.published import is_published, marked
from wsipipe.store.raster import from_array, write_image, write_labels
from wsipipe.store.shapes import write_shapes
from wsipipe.units import Mpp
from wsipipe.vessel import label as labels
from wsipipe.vessel.measure import RINGS

if TYPE_CHECKING:
    import geopandas as gpd

UNKNOWN_MPP = 1.0
"""What is written as micrometres per pixel where they are not known: lengths then count pixels of the picture."""
TOLD = ("reason", "mpp", "tiles", "refused", "grade", "laterality")
"""Of the record, what a run tells at once."""


def publish(
    context: Context, *, threshold: float, repair: bool, method: str, trained: bool, notices: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure, draw and publish a picture; nothing is done where exactly this is published already.

    Parameters
    ----------
    context : Context
        Of the retinal pipeline.
    threshold, repair, method
        As `wsipipe.report.fundus.analyse.analyse` has them.
    trained : bool
        Whether the network is.
    notices : sequence of str
        What the weights' card asks to be said.

    Returns
    -------
    dict
        The part of the record that the run's row and log tell.
    """
    root = context.work.root
    if is_published(root, context.key) and (context.work.pictures / OVERVIEW).is_file():
        record = marked(root)["record"]
    else:
        put.withdraw(root)  # from here until it is published the pictures may be of another setting
        found = analyse(context, threshold=threshold, repair=repair, method=method)
        record = recorded(context, found, trained=trained, notices=notices)
        draw(context, found, record, threshold=threshold)
        _publish(context, found, record)
    for layer in context.layers():
        write.pack(layer)
    return {name: record[name] for name in TOLD}


def _publish(context: Context, found: Analysis, record: dict[str, Any]) -> None:
    staged = put.begin(context.work.root)
    frame = scaled(context.work.frame, found.found.um)
    _images(context, staged, found, frame)
    _labels(staged, found, frame)
    write_shapes(staged, "zones", zones(record))
    info = context.slide.info
    levels = tuple(scaled(level, found.found.um) for level in info.frames())
    put.commit(
        context.work.root,
        key=context.key,
        facts=put.SlideFacts(levels, frame, context.work.grid.tile, info.objective, info.bounds),
        record=record,
        config=told_config(context.work.job),
        work=[layer.group for layer in context.layers()],
    )


def scaled(frame: Frame, um: float | None) -> Frame:
    """A frame whose mpp is the true one, or counts pixels of the picture where that is not known."""
    return replace(frame, mpp=Mpp((um or UNKNOWN_MPP) * frame.downsample))


def zones(record: dict[str, Any]) -> gpd.GeoDataFrame:
    """Field of view, disc and zones B and C as polygons in pixels of the picture; those that are known."""
    import geopandas
    import shapely

    made = []
    if "radius" in record["field"]:
        made.append(("field", _circle(shapely, record["field"], 1.0)))
    if "radius" in record["disc"]:
        made.append(("disc", _circle(shapely, record["disc"], 1.0)))
        for name, (low, high) in RINGS.items():
            ring = _circle(shapely, record["disc"], high).difference(_circle(shapely, record["disc"], low))
            made.append((f"zone {name}", ring))
    columns = {"name": [name for name, _ in made]}
    return geopandas.GeoDataFrame(columns, geometry=[shape for _, shape in made])


def _circle(shapely: Any, place: dict[str, float], times: float) -> Any:
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius = place["radius"] * times
    xy = np.stack([place["x"] + 0.5 + radius * np.cos(angles), place["y"] + 0.5 + radius * np.sin(angles)], 1)
    return shapely.Polygon(xy)


def _images(context: Context, staged: Any, found: Analysis, frame: Frame) -> None:
    colours = ("red", "green", "blue")
    write_image(staged, "overview", from_array(found.rgb), frame=frame, channels=colours)
    maps = np.moveaxis(found.found.probability, 0, 2)
    write_image(staged, "vessel", from_array(maps), frame=frame, dtype="float32", channels=("artery", "vein", "vessel"))
    if (enhanced := restored(context)) is not None:
        write_image(staged, "enhanced", from_array(enhanced), frame=frame, channels=colours)


def _labels(staged: Any, found: Analysis, frame: Frame) -> None:
    colours = {code: (*colour, 200) for code, colour in labels.COLOURS.items()}
    pull = from_array(found.found.label)
    write_labels(staged, "vessels", pull, frame=frame, meanings=labels.MEANINGS, colors=colours)
    field = from_array(found.found.field.mask.astype(np.uint8))
    write_labels(staged, "field", field, frame=frame, meanings={1: "field of view"}, colors={1: (255, 255, 255, 60)})
