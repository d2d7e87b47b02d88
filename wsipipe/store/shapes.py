"""Published shapes: polygons in level-0 pixels as GeoParquet, where SpatialData looks for them.

Enters: GeoDataFrames. Leaves: ``shapes/<name>/shapes.parquet``. Next room: `wsipipe.store.publish`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.store import ome
from wsipipe.store.place import place, zarr_store

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

SHAPES_FILE = "shapes.parquet"


def write_shapes(root: str | Path, name: str, shapes: gpd.GeoDataFrame) -> None:
    """Write ``shapes/<name>``; zero rows leave the element out, since readers cannot read it back.

    Parameters
    ----------
    root : path
        An open publication, or any Zarr group.
    name : str
        ``tissues``, ``tiles`` or ``regions``.
    shapes : GeoDataFrame
        Polygons or multipolygons in level-0 pixels (x, y), no coordinate reference system; index and columns are
        kept, rows in the given order. SpatialData joins a table to shapes by their index.

    Notes
    -----
    Equal rows give equal bytes: the file names its writers' versions but no time.
    """
    parent = zarr.open_group(zarr_store(root), mode="a", zarr_format=3).require_group("shapes")
    if len(shapes) == 0:
        return
    group = parent.create_group(name, overwrite=True)
    sink = io.BytesIO()
    shapes.to_parquet(sink, compression="zstd")
    (place(root) / "shapes" / name / SHAPES_FILE).write_bytes(sink.getvalue())
    group.attrs.put(
        {
            "encoding-type": "ngff:shapes",
            "axes": ["x", "y"],
            "coordinateTransformations": [ome.to_global("xy")],
            "spatialdata_attrs": {"version": ome.ELEMENT_VERSION},
        }
    )


def tile_shapes(tiles: pd.DataFrame, *, tissue_id: NDArray[np.int64] | None = None) -> gpd.GeoDataFrame:
    """The element ``tiles``: one level-0 box per row of the tile table.

    Parameters
    ----------
    tiles : DataFrame
        With ``tile_id, x, y, width, height`` (`wsipipe.store.tables.tile_table`).
    tissue_id : (N,) int64, optional
        Which piece of tissue each tile belongs to (`tissue_of`); 0 for all without it.

    Returns
    -------
    GeoDataFrame
        Columns ``tile_id, x, y, tissue_id, geometry``; the tile ids are also the index.
    """
    import geopandas
    import shapely

    left, top = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    boxes = shapely.box(left, top, left + tiles["width"].to_numpy(), top + tiles["height"].to_numpy())
    piece = np.zeros(len(tiles), np.int64) if tissue_id is None else np.asarray(tissue_id, np.int64)
    tile_id = tiles["tile_id"].to_numpy()
    columns: dict[str, Any] = {"tile_id": tile_id, "x": left, "y": top, "tissue_id": piece}
    return geopandas.GeoDataFrame(columns, geometry=np.asarray(boxes), index=tile_id)


def tissue_of(tiles: pd.DataFrame, tissues: gpd.GeoDataFrame) -> NDArray[np.int64]:
    """Which piece of tissue each tile belongs to: the one that its centre lies in, else the nearest.

    Parameters
    ----------
    tiles : DataFrame
        With ``x, y, width, height``, level-0 pixels.
    tissues : GeoDataFrame
        Pieces with ``tissue_id``; may have no rows, then every tile gets 0.

    Returns
    -------
    (N,) int64
        Where pieces overlap, the first of them in the table's order.
    """
    import shapely

    if len(tissues) == 0 or len(tiles) == 0:
        return np.zeros(len(tiles), np.int64)
    centres = shapely.points(tiles["x"] + tiles["width"] / 2, tiles["y"] + tiles["height"] / 2)
    tree = shapely.STRtree(tissues.geometry.to_numpy())
    row = np.asarray(tree.nearest(centres), np.int64)
    point, piece = tree.query(centres, predicate="intersects")
    first = np.full(len(tiles), len(tissues), np.int64)
    np.minimum.at(first, point, piece)
    row = np.where(first < len(tissues), first, row)
    return np.asarray(tissues["tissue_id"].to_numpy()[row], np.int64)
