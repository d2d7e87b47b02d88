"""Reading what was published: attributes, the tile table, the graph, shapes, and pictures block by block.

Enters: a slide's Zarr group. Leaves: DataFrames, GeoDataFrames, and arrays that read only what is asked of them.
Next room: `wsipipe.query`, which gives them to people.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from wsipipe.errors import StoreError
from wsipipe.store import ome
from wsipipe.store.layout import LAYOUT_VERSION
from wsipipe.store.lazy import Lazy
from wsipipe.store.place import place, zarr_store
from wsipipe.store.publish import MARK
from wsipipe.store.shapes import SHAPES_FILE
from wsipipe.store.tables import ADJACENCY, CORRELATION, REGION, REGION_KEY, TABLE

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

AGAIN = "run the same command again"
ROOT_FILE = "zarr.json"


def is_published(root: str | Path, key: str) -> bool:
    """Whether exactly the results of this key are published; False for no store at all."""
    try:
        return _marked(root).get("published") == key
    except StoreError:
        return False


def marked(root: str | Path) -> dict[str, Any]:
    """What wsipipe wrote into a slide's root attributes: ``layout, published, record, config, work``.

    Raises
    ------
    StoreError
        Where there is no store, it is not ours, of a later layout, or not (or no longer) published.
    """
    found = _marked(root)
    if found.get("layout", 0) > LAYOUT_VERSION:
        raise _wrong(
            root, f"its layout is {found['layout']}, this version reads up to {LAYOUT_VERSION}: update wsipipe"
        )
    if not found.get("published"):
        raise _wrong(root, f"nothing is published in it, a run was interrupted; {AGAIN}")
    return found


def facts(root: str | Path) -> dict[str, Any]:
    """What other tools are told of the slide: ``slide_properties``, and ``tile_spec`` of the kept tiles.

    Keys are those of `wsipipe.store.publish.slide_properties` and `wsipipe.store.publish.tile_spec`, in one mapping:
    ``shape, level_shape, level_downsample, mpp, magnification, bounds`` and ``tile`` (a mapping of its own).
    """
    marked(root)
    attributes = zarr.open_group(zarr_store(root), mode="r").attrs
    told: Any = attributes["slide_properties"]
    specs: Any = attributes["tile_spec"]
    return {**told, "tile": dict(specs[REGION])}


def tiles(root: str | Path, *, table: str = TABLE) -> pd.DataFrame:
    """The tile table, ascending tile id, with the columns of `wsipipe.store.tables.tile_table`; empty without tiles."""
    import pandas as pd

    group = _table(root, table)
    if group is None:
        return pd.DataFrame()
    obs: pd.DataFrame = _element(group["obs"])
    return obs.drop(columns=REGION_KEY).reset_index(drop=True)


def features(root: str | Path, *, table: str = TABLE) -> Lazy | NDArray[np.float32]:
    """Feature vectors ``(N, D)`` float32 in the rows of `tiles`, read when indexed; ``(0, 0)`` without tiles."""
    group = _table(root, table)
    if group is None:
        return np.zeros((0, 0), np.float32)
    return Lazy(_array(group, "X", root))


def anndata_table(root: str | Path, *, table: str = TABLE) -> Any:
    """The tile table as AnnData: features in ``X``, tiles in ``obs``, the graph in ``obsp``; 0 x 0 without tiles."""
    import anndata

    group = _table(root, table)
    return anndata.AnnData() if group is None else _element(group)


def edges(root: str | Path, *, table: str = TABLE) -> pd.DataFrame:
    """The graph of the top-k tiles: ``source < target`` (tile ids) and ``correlation`` of every connected pair."""
    import pandas as pd

    group = _table(root, table)
    if group is None:
        return pd.DataFrame({"source": np.zeros(0, np.int64), "target": np.zeros(0, np.int64), "correlation": []})
    tile_id = np.asarray(_element(group["obs/tile_id"]))
    joined, r = _element(group[f"obsp/{ADJACENCY}"]).tocoo(), _element(group[f"obsp/{CORRELATION}"])
    once = joined.row < joined.col
    first, second = joined.row[once], joined.col[once]
    values = np.asarray(r[first, second], np.float32).reshape(-1)
    return pd.DataFrame({"source": tile_id[first], "target": tile_id[second], "correlation": values})


def shapes(root: str | Path, name: str) -> gpd.GeoDataFrame:
    """Polygons in level-0 pixels (x, y): ``tissues``, ``tiles`` or ``regions``; no rows where there are none.

    Raises
    ------
    StoreError
        Where the file is damaged.
    """
    import geopandas
    import pyarrow as pa

    marked(root)
    path = place(root) / "shapes" / name / SHAPES_FILE
    if not path.is_file():
        return geopandas.GeoDataFrame({"geometry": []}, geometry="geometry")
    try:
        return geopandas.read_parquet(io.BytesIO(path.read_bytes()))
    except (pa.ArrowInvalid, ValueError) as error:
        raise _wrong(root, f"reading shapes {name!r}: {error}; {AGAIN}") from error


def levels(root: str | Path, element: str) -> int:
    """Number of stored resolutions of a picture such as ``images/probability``."""
    return len(_multiscale(root, element)["datasets"])


def picture(root: str | Path, element: str, *, level: int = 0, channel: int = 0, top: int = 0) -> Lazy:
    """One channel of a published picture, ``(y, x)``, read when indexed.

    Parameters
    ----------
    root : path
        The slide's Zarr group.
    element : str
        ``images/<name>`` or ``labels/<name>``.
    level : int
        0 is the finest; negative ones count from the coarsest.
    channel : int
        Of an image.
    top : int
        See `Lazy`: 255 shows ``images/probability`` as 0..1.

    Raises
    ------
    StoreError
        Where it is not published, or has no such level.
    """
    scales = _multiscale(root, element)
    datasets = scales["datasets"]
    if not -len(datasets) <= level < len(datasets):
        raise _wrong(root, f"reading {element}: its levels are 0 to {len(datasets) - 1}, got {level}")
    level %= len(datasets)
    array = _array(zarr.open_group(zarr_store(root), mode="r"), f"{element}/{datasets[level]['path']}", root)
    l0_scale = float(scales["coordinateTransformations"][0]["scale"][-1]) * 2.0**level
    mpp = float(datasets[level]["coordinateTransformations"][0]["scale"][-1])
    return Lazy(array, channel if array.ndim == 3 else None, top, l0_scale, mpp)


def small(root: str | Path, element: str, *, longest_px: int, channel: int = 0) -> Lazy:
    """The finest level of a picture whose longer side is at most `longest_px` (the coarsest where none is)."""
    count = levels(root, element)
    for level in range(count):
        found = picture(root, element, level=level, channel=channel)
        if max(found.shape) <= longest_px:
            break
    return found


def _marked(root: str | Path) -> dict[str, Any]:
    """Read from the one JSON file itself: batches have thousands of slides, and Zarr takes many times as long."""
    try:
        stored = json.loads((place(root) / ROOT_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _wrong(root, f"no slide's results here; {AGAIN}") from error
    except ValueError as error:
        raise _wrong(root, f"its {ROOT_FILE} is damaged ({error}); {AGAIN}") from error
    found = stored.get("attributes", {}).get(MARK) if isinstance(stored, dict) else None
    if not isinstance(found, dict):
        raise _wrong(root, f"a Zarr group that wsipipe did not finish; {AGAIN}")
    return dict(found)


def _table(root: str | Path, name: str) -> zarr.Group | None:
    marked(root)
    tables = zarr.open_group(zarr_store(root), mode="r", path="tables")
    found = tables.get(name)
    return found if isinstance(found, zarr.Group) else None


def _element(stored: Any) -> Any:
    import anndata

    return anndata.io.read_elem(stored)


def _multiscale(root: str | Path, element: str) -> dict[str, Any]:
    marked(root)
    try:
        described = zarr.open_group(zarr_store(root), mode="r", path=element).attrs.get(ome.INNER)
    except FileNotFoundError as error:
        raise _wrong(root, f"{element} is not among what was published") from error
    if not isinstance(described, dict):
        raise _wrong(root, f"{element} carries no description; {AGAIN}")
    scales: dict[str, Any] = described["multiscales"][0]
    return scales


def _array(group: zarr.Group, path: str, root: str | Path) -> zarr.Array[Any]:
    found = group.get(path)
    if not isinstance(found, zarr.Array):
        raise _wrong(root, f"array {path} is missing; {AGAIN}")
    return found


def _wrong(root: str | Path, text: str) -> StoreError:
    return StoreError(f"opening a slide's results: {text}", subject=place(root).name)
