"""Tiles and regions as groups of DICOM annotations.

Enters: a `Job`, a slide. Leaves: annotation groups in pixels of the source instance. Next: `wsipipe.export.dicom`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from wsipipe.export.dicom_terms import algorithm, column_code, instance_uid, own
from wsipipe.export.job import Job
from wsipipe.query import SlideResult

if TYPE_CHECKING:
    import pandas as pd

PLACE = ("x", "y", "width", "height", "mpp")
UNITS = {"area_um2": codes.UCUM.SquareMicrometer}


def annotation_groups(job: Job, slide: SlideResult, l0_scale: float) -> list[Any]:
    """One group of rectangles (the tiles that were asked for), one of polygons (regions); none for what is not there.

    Coordinates are columns and rows of the source's pixel matrix, from the corner of its first pixel. DICOM's simple
    annotations know no holes: a region is its outer ring.
    """
    tiles, regions = job.tiles(slide), slide.regions
    groups = []
    if len(tiles):
        groups.append(_group(slide, "tiles", _rectangles(tiles, l0_scale), _measured(tiles)))
    if len(regions):
        rings, rows = _rings(regions, l0_scale)
        table = regions.drop(columns="geometry").iloc[rows]
        groups.append(_group(slide, "regions", rings, _measured(table), number=len(groups) + 1))
    return groups


def _group(slide: SlideResult, name: str, graphics: list[Any], measured: list[Any], *, number: int = 1) -> Any:
    tile = name == "tiles"
    kinds = hd.ann.GraphicTypeValues
    return hd.ann.AnnotationGroup(
        number=number,
        uid=instance_uid(slide, f"{name}-group"),
        label=name,
        annotated_property_category=(
            codes.SCT.SpatialAndRelationalConcept if tile else codes.SCT.MorphologicallyAbnormalStructure
        ),
        annotated_property_type=own("tile", "Tile that was classified") if tile else codes.SCT.Lesion,
        graphic_type=kinds.RECTANGLE if tile else kinds.POLYGON,
        graphic_data=graphics,
        algorithm_type=hd.ann.AnnotationGroupGenerationTypeValues.AUTOMATIC,
        algorithm_identification=algorithm(),
        measurements=measured,
    )


def _rectangles(tiles: pd.DataFrame, l0_scale: float) -> list[NDArray[np.float32]]:
    left, top, width, height = (tiles[name].to_numpy(np.float64) for name in PLACE[:4])
    right, bottom = left + width, top + height
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=1)
    return list((corners / l0_scale).astype(np.float32).reshape(-1, 4, 2))


def _rings(regions: Any, l0_scale: float) -> tuple[list[NDArray[np.float32]], list[int]]:
    """Outer rings without their repeated last point, and the row of each."""
    rings, rows = [], []
    for row, geometry in enumerate(regions.geometry):
        for part in getattr(geometry, "geoms", [geometry]):
            rings.append((np.asarray(part.exterior.coords)[:-1, :2] / l0_scale).astype(np.float32))
            rows.append(row)
    return rings, rows


def _measured(table: pd.DataFrame) -> list[Any]:
    """A measurement per numeric column; a value that is not finite is missing."""
    found = []
    for name in table.columns:
        if name not in PLACE and table[name].dtype.kind in "fiub":
            values = table[name].to_numpy(np.float32)
            unit = UNITS.get(name, codes.UCUM.NoUnits)
            known = np.where(np.isfinite(values), values, np.float32(np.nan))
            found.append(hd.ann.Measurements(column_code(str(name)), known, unit))
    return found
