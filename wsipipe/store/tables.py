"""The published table: one row per kept tile, its features, and the graph of the top-k tiles, as AnnData.

Enters: arrays by tile. Leaves: ``tables/gastric_tiles``, which LazySlide finds as the features ``gastric`` of
``tiles``. Next room: `wsipipe.store.publish` puts it in place, `wsipipe.store.published` reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.grid import Box, Frame, Grid
from wsipipe.store.place import zarr_store
from wsipipe.store.records import PROBABILITY_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

REGION = "tiles"
TABLE = f"gastric_{REGION}"
REGION_KEY, INSTANCE_KEY = "library_id", "tile_id"
TABLE_VERSION = "0.2"
ADJACENCY, CORRELATION = "spatial_connectivities", "correlation"


@dataclass(frozen=True)
class TopK:
    """The tiles that speak for the slide, and how they are connected.

    Parameters
    ----------
    tile_id : (k,) int64
        In the order of the graph's nodes.
    target : (k,) float32
        Their target probabilities (sums of positive probability).
    adjacency : (k, k) uint8
        1 where two tiles are connected; the diagonal is 0.
    correlation : (k, k) float32
        Pearson's r of every two feature vectors; NaN where one of them is constant.
    """

    tile_id: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    target: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    adjacency: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    correlation: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @property
    def rank(self) -> NDArray[np.int32]:
        """``(k,)`` 1 for the largest target; ties go to the smaller tile id."""
        order = np.lexsort((self.tile_id, -self.target))
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(1, len(order) + 1, dtype=np.int32)
        return rank


def tile_table(
    grid: Grid, frame: Frame, tile_id: NDArray[np.int64], rows: Mapping[str, NDArray[Any]], topk: TopK
) -> pd.DataFrame:
    """One row per kept tile.

    Parameters
    ----------
    grid, frame
        The tiles, and the working frame that they lie in.
    tile_id : (N,) int64
        Kept tiles, ascending.
    rows : mapping of (N,) or (N, M) arrays
        Per-tile values; each becomes a column of its name. ``class_prob`` (N, 4) becomes ``p_negative,
        p_low_grade, p_high_grade, p_invasive``; another (N, M) array ``<name>_0``, ``<name>_1``, ...
    topk : TopK
        Its tiles must be among `tile_id`.

    Returns
    -------
    DataFrame
        ``tile_id``; ``x, y, width, height`` of the tile's own ground in level-0 pixels (int64); ``mpp`` of the
        working frame; the columns of `rows`; ``is_topk``; ``rank`` (int32, 1 is the largest target probability, 0
        is not among the top k); ``degree`` (int32, neighbours in the graph). The index counts from 0.
    """
    import pandas as pd

    boxes = _l0_boxes(grid, frame, tile_id)
    columns: dict[str, Any] = {"tile_id": np.asarray(tile_id, np.int64)}
    columns |= {name: boxes[:, index] for index, name in enumerate(("x", "y", "width", "height"))}
    columns["mpp"] = np.full(len(tile_id), float(frame.mpp))
    for name, values in rows.items():
        columns |= _columns(name, np.asarray(values))
    at = _positions(tile_id, topk)
    columns |= {"is_topk": np.zeros(len(tile_id), bool)}
    columns |= {name: np.zeros(len(tile_id), np.int32) for name in ("rank", "degree")}
    columns["is_topk"][at] = True
    columns["rank"][at] = topk.rank
    columns["degree"][at] = (topk.adjacency > 0).sum(axis=1)
    return pd.DataFrame(columns)


def write_table(
    root: str | Path, tiles: pd.DataFrame, features: NDArray[np.float32], topk: TopK, *, name: str = TABLE
) -> None:
    """Write ``tables/<name>``; zero tiles leave the element out.

    Parameters
    ----------
    root : path
        An open publication, or any Zarr group.
    tiles : DataFrame
        From `tile_table`.
    features : (N, D) float32
        One feature vector per row of `tiles`; becomes ``X``.
    topk : TopK
        Becomes ``obsp["spatial_connectivities"]`` (1 where connected) and ``obsp["correlation"]`` (Pearson's r of
        every two top-k tiles that have one), both (N, N) CSR float32.
    name : str
        ``<features>_<shapes>``, as LazySlide names them.

    Raises
    ------
    ValueError
        Where `features` and `tiles` differ in length.
    """
    if len(tiles) != len(features):
        raise ValueError(f"one feature vector per tile: {len(features)} for {len(tiles)} tiles")
    tables = zarr.open_group(zarr_store(root), mode="a", zarr_format=3).require_group("tables")
    if len(tiles) == 0:
        return
    import anndata

    attributes = {"region": REGION, "region_key": REGION_KEY, "instance_key": INSTANCE_KEY}
    with anndata.settings.override(auto_shard_zarr_v3=True):
        anndata.io.write_elem(tables, name, _anndata(tiles, features, topk, attributes))
    tables[name].attrs.update(
        {"spatialdata-encoding-type": "ngff:regions_table", **attributes, "version": TABLE_VERSION}
    )


def _anndata(tiles: pd.DataFrame, features: NDArray[np.float32], topk: TopK, attributes: dict[str, str]) -> Any:
    import anndata
    import pandas as pd

    names = pd.Index([str(tile) for tile in tiles["tile_id"]], dtype=object)
    region = pd.Series([REGION] * len(tiles), index=names, dtype=pd.CategoricalDtype([REGION]))
    obs = tiles.set_axis(names, axis="index").assign(**{REGION_KEY: region})
    var = pd.DataFrame(index=pd.Index([f"f{index}" for index in range(features.shape[1])], dtype=object))
    data = anndata.AnnData(np.ascontiguousarray(features, np.float32), obs=obs, var=var)
    at = _positions(tiles["tile_id"].to_numpy(), topk)
    data.obsp[ADJACENCY] = _spread(topk.adjacency.astype(np.float32), topk.adjacency > 0, at, len(tiles))
    known = np.isfinite(topk.correlation) & ~np.eye(len(at), dtype=bool)
    data.obsp[CORRELATION] = _spread(topk.correlation, known, at, len(tiles))
    centres = tiles[["x", "y"]].to_numpy() + tiles[["width", "height"]].to_numpy() / 2
    data.obsm["spatial"] = centres.astype(np.float32)
    data.uns["spatialdata_attrs"] = attributes
    return data


def _spread(values: NDArray[np.float32], known: NDArray[np.bool_], at: NDArray[np.int64], size: int) -> Any:
    """A (k, k) matrix as the CSR of all tiles; rows and columns in the order of the table."""
    import scipy.sparse

    first, second = np.nonzero(known)
    entries = (values[first, second].astype(np.float32), (at[first], at[second]))
    matrix = scipy.sparse.csr_matrix(entries, shape=(size, size))
    matrix.sort_indices()
    return matrix


def _positions(tile_id: NDArray[np.int64], topk: TopK) -> NDArray[np.int64]:
    """Rows of the top-k tiles in a table of ascending tile ids."""
    at = np.searchsorted(tile_id, topk.tile_id)
    if len(topk.tile_id) and (at.max() >= len(tile_id) or (np.asarray(tile_id)[at] != topk.tile_id).any()):
        raise ValueError(f"top-k tiles {topk.tile_id.tolist()} are not all among the {len(tile_id)} kept tiles")
    return at.astype(np.int64)


def _l0_boxes(grid: Grid, frame: Frame, tile_id: NDArray[np.int64]) -> NDArray[np.int64]:
    boxes = [frame.to_l0(Box(*box)) for box in grid.write_boxes(np.asarray(tile_id, np.int64)).tolist()]
    return np.array([(box.x, box.y, box.width, box.height) for box in boxes], np.int64).reshape(-1, 4)


def _columns(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    if values.ndim == 1:
        return {name: values}
    named = PROBABILITY_COLUMNS if name == "class_prob" else [f"{name}_{i}" for i in range(values.shape[1])]
    return {column: values[:, index] for index, column in enumerate(named)}
