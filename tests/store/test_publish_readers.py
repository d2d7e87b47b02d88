"""Other people's readers open what we publish: SpatialData, LazySlide's wsidata, ome-zarr-models, anndata.

Their imports take seconds, so they are in this module alone, and the stores are made once.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import geopandas as gpd
import numpy as np
import openslide
import pytest
from shapely import box

from wsipipe.grid import Frame, Grid, choose_frame
from wsipipe.store import publish, raster, shapes, tables
from wsipipe.store.tables import TopK
from wsipipe.units import Mpp

LESION = {"meanings": {1: "suspected lesion"}, "colors": {1: (255, 0, 0, 128)}}


@pytest.fixture(scope="module")
def spatialdata() -> ModuleType:
    """SpatialData; what it warns of while it is imported is its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("spatialdata")


@pytest.fixture(scope="module")
def wsidata(spatialdata: ModuleType) -> ModuleType:
    """LazySlide's container."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("wsidata")


@pytest.fixture(scope="module")
def svs(shared_data: Path) -> Path:
    """A real slide: 2220 x 2967 px at 0.499 um/px."""
    return shared_data / "slides" / "cmu-1-small-region.svs"


def publish_slide(root: Path, levels: tuple[Frame, ...], *, mpp: float, kept: slice) -> None:
    """What the last step of a run does, with made values."""
    frame = choose_frame(levels, mpp)
    grid, rng = Grid(frame.shape, 256), np.random.default_rng(0)
    tile_id = grid.ids()[kept]
    picture = frame.coarser(4)
    pixels = rng.integers(0, 256, picture.shape).astype(np.uint8)
    topk = made_topk(tile_id[:3])
    table = tables.tile_table(grid, frame, tile_id, {"positive_sum": rng.random(len(tile_id)).astype("f4")}, topk)
    staged = publish.begin(root)
    raster.write_image(staged, "probability", raster.from_array(pixels), frame=picture)
    rgb = np.repeat(pixels[..., None], 3, axis=-1)
    raster.write_image(staged, "overview", raster.from_array(rgb), frame=picture, channels=("red", "green", "blue"))
    raster.write_labels(staged, "lesion", raster.from_array(pixels // 200), frame=picture, **LESION)
    everything = gpd.GeoDataFrame({"tissue_id": [0]}, geometry=[box(0, 0, *levels[0].shape[::-1])])
    shapes.write_shapes(staged, "tissues", everything if len(table) else everything.iloc[:0])
    shapes.write_shapes(staged, "tiles", shapes.tile_shapes(table))
    tables.write_table(staged, table, rng.random((len(table), 8)).astype("f4"), topk)
    facts = publish.SlideFacts(levels, frame, grid.tile, magnification=20)
    publish.commit(root, key="k", facts=facts, record={"category": None}, config={})


def made_topk(tile_id: np.ndarray[Any, np.dtype[np.int64]]) -> TopK:
    """A fully connected graph."""
    k = len(tile_id)
    joined = np.ones((k, k), np.uint8) - np.eye(k, dtype=np.uint8)
    return TopK(tile_id, np.arange(k, dtype=np.float32), joined, joined.astype(np.float32) / 2)


@pytest.fixture(scope="module")
def levels(svs: Path) -> tuple[Frame, ...]:
    """The real slide's one level."""
    with openslide.OpenSlide(svs) as slide:
        width, height = slide.dimensions
        mpp = float(slide.properties[openslide.PROPERTY_NAME_MPP_X])
    return (Frame((height, width), 1.0, Mpp(mpp), 0),)


@pytest.fixture(scope="module")
def store(levels: tuple[Frame, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published slide with tiles, worked on at 1 um/px (resampled)."""
    root = tmp_path_factory.mktemp("readers") / "cmu.zarr"
    publish_slide(root, levels, mpp=1.0, kept=slice(2, 9))
    return root


@pytest.fixture(scope="module")
def empty(levels: tuple[Frame, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published slide on which no tile was kept."""
    root = tmp_path_factory.mktemp("readers") / "empty.zarr"
    publish_slide(root, levels, mpp=1.0, kept=slice(0, 0))
    return root


def test_spatialdata_reads_every_element(spatialdata: ModuleType, store: Path) -> None:
    sdata = spatialdata.read_zarr(store)
    names = {name for _, name, _ in sdata._gen_elements(include_tables=True)}
    assert names == {"probability", "overview", "lesion", "tissues", "tiles", "gastric_tiles"}
    assert sdata.images["overview"]["scale0"]["image"].coords["c"].values.tolist() == ["red", "green", "blue"]
    shape = sdata.images["probability"]["scale0"]["image"].shape
    extent = spatialdata.get_extent(sdata["probability"])
    assert extent["x"] == (0, pytest.approx(shape[2] * 4 / 0.499))
    assert sdata["tiles"]["tile_id"].tolist() == sdata["gastric_tiles"].obs["tile_id"].tolist()


def test_spatialdata_joins_table_and_shapes(spatialdata: ModuleType, store: Path) -> None:
    sdata = spatialdata.read_zarr(store)
    joined, table = spatialdata.join_spatialelement_table(
        sdata=sdata, spatial_element_names="tiles", table_name="gastric_tiles", how="inner"
    )
    assert joined["tiles"]["tile_id"].tolist() == table.obs["tile_id"].tolist() == sdata["tiles"]["tile_id"].tolist()
    assert len(table) == 7
    assert table.obsp["spatial_connectivities"].nnz == 6
    assert table.uns["spatialdata_attrs"]["region"] == "tiles"


def test_wsidata_finds_tiles_and_features(wsidata: ModuleType, store: Path, svs: Path) -> None:
    wsi = wsidata.open_wsi(svs, store=str(store))
    try:
        assert wsi.fetch.n_tiles("tiles") == 7
        found = wsi.fetch.features_anndata("gastric")
        assert found.shape == (7, 8)
        spec = wsi.tile_spec("tiles")
        assert (spec.height, spec.base_height, spec.ops_level) == (256, 513, 0)
        tile = next(wsi.iter.tile_images("tiles"))
        assert tile.image.shape[:2] == (256, 256)
        assert wsi.properties.mpp == pytest.approx(0.499)
    finally:
        wsi.close()


@pytest.mark.parametrize("element", ["images/probability", "images/overview", "labels/lesion"])
def test_ome_zarr_models_validate_the_nested_group(spatialdata: ModuleType, store: Path, element: str) -> None:
    import zarr
    from ome_zarr_models.v05 import Image, ImageLabel

    group = zarr.open_group(store, mode="r", path=f"{element}/ome")
    model = (ImageLabel if element.startswith("labels") else Image).from_zarr(group)
    scales = [data.coordinateTransformations[0].scale[-1] for data in model.ome_attributes.multiscales[0].datasets]
    assert scales == pytest.approx([4.0 * 2**level for level in range(len(scales))])
    if element.startswith("labels"):
        assert model.ome_attributes.image_label.properties[0].name == "suspected lesion"


def test_zero_tiles(spatialdata: ModuleType, wsidata: ModuleType, empty: Path, svs: Path) -> None:
    assert {name for _, name, _ in spatialdata.read_zarr(empty)._gen_elements(include_tables=True)} == {
        "probability",
        "overview",
        "lesion",
    }
    wsi = wsidata.open_wsi(svs, store=str(empty))
    assert wsi.tile_spec("tiles").height == 256
    wsi.close()


def test_readers_leave_the_store_alone(wsidata: ModuleType, store: Path, svs: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    wsidata.open_wsi(svs, store=str(store)).close()
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
