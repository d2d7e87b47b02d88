"""Other people's readers open what a run on a real SVS leaves: named, de-identified, and without a kept tile.

What they read of made stores in detail is in tests/store/test_publish_readers.py.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.pipelines.running import run
from wsipipe.query import SlideResult, open_results

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise

SETS = ("--set", "tile.size=256", "--set", "tile.unit=8")
RUNS = {
    "named": SETS,
    "deidentified": (*SETS, "--deidentify"),
    "empty": ("--set", "tile.size=1024", "--set", "tile.min_tissue=1.0"),
}
ELEMENTS = ("images/overview", "images/probability", "labels/lesion", "labels/tissue")


@pytest.fixture(scope="module")
def svs(shared_data: Path) -> Path:
    """A real slide: 2220 x 2967 px at 0.499 um/px."""
    return shared_data / "slides" / "cmu-1-small-region.svs"


@pytest.fixture(scope="module")
def slides(svs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SlideResult]:
    """What each of `RUNS` left."""
    found = {}
    for name, words in RUNS.items():
        out = tmp_path_factory.mktemp("readers") / name
        answer = run(svs, out, *words)
        assert answer.code == 0, answer
        results = open_results(out)
        found[name] = results.slide(results.done[0])
    assert len(found["empty"].tiles) == 0
    assert len(found["named"].tiles) == len(found["deidentified"].tiles) == 27
    return found


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


def opened(spatialdata: ModuleType, slide: SlideResult) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return spatialdata.read_zarr(slide.path)


@pytest.mark.parametrize("name", RUNS)
def test_spatialdata_reads_every_element_without_a_warning(
    spatialdata: ModuleType, slides: dict[str, SlideResult], name: str
) -> None:
    slide = slides[name]
    sdata = opened(spatialdata, slide)
    assert set(sdata.images) == {"overview", "probability"}
    assert set(sdata.labels) == {"lesion", "tissue"}
    shapes = {"tiles": slide.tiles, "tissues": slide.tissues, "regions": slide.regions}
    assert {shape: len(sdata[shape]) for shape in sdata.shapes} == {
        shape: len(rows) for shape, rows in shapes.items() if len(rows)
    }
    assert set(sdata.tables) == ({"gastric_tiles"} if len(slide.tiles) else set())


@pytest.mark.parametrize("name", ["named", "deidentified"])
def test_the_table_is_anndata_with_features_and_the_graph(
    spatialdata: ModuleType, slides: dict[str, SlideResult], name: str
) -> None:
    slide = slides[name]
    sdata = opened(spatialdata, slide)
    table = sdata["gastric_tiles"]
    assert table.obs["tile_id"].tolist() == sdata["tiles"]["tile_id"].tolist() == slide.tiles["tile_id"].tolist()
    np.testing.assert_array_equal(table.X, np.asarray(slide.features))
    joined = table.obsp["spatial_connectivities"].toarray()
    ids = table.obs["tile_id"].to_numpy()
    first, second = np.nonzero(np.triu(joined))
    assert list(zip(ids[first], ids[second], strict=True)) == list(
        slide.graph[["source", "target"]].itertuples(index=False, name=None)
    )
    assert (joined.sum(axis=0) == table.obs["degree"]).all()
    tile = sdata["tiles"].geometry.iloc[0].bounds
    x, y, width, height = slide.tiles.iloc[0][["x", "y", "width", "height"]].to_numpy(float)
    assert tile == (x, y, x + width, y + height)


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("name", RUNS)
def test_ome_zarr_models_validate_the_nested_groups(slides: dict[str, SlideResult], name: str, element: str) -> None:
    zarr, models = pytest.importorskip("zarr"), pytest.importorskip("ome_zarr_models.v05")
    group = zarr.open_group(slides[name].path, mode="r", path=f"{element}/ome")
    model = (models.ImageLabel if element.startswith("labels") else models.Image).from_zarr(group)
    multiscale = model.ome_attributes.multiscales[0]
    scales = [data.coordinateTransformations[0].scale[-1] for data in multiscale.datasets]
    assert scales == pytest.approx([scales[0] * 2**level for level in range(len(scales))])
    assert model.ome_attributes.version == "0.5"
    assert {axis.unit for axis in multiscale.axes if axis.type == "space"} == {"micrometer"}


@pytest.mark.parametrize("name", RUNS)
def test_wsidata_finds_tiles_and_features(
    wsidata: ModuleType, slides: dict[str, SlideResult], svs: Path, name: str
) -> None:
    tiles = slides[name].tiles
    wsi = wsidata.open_wsi(svs, store=str(slides[name].path))
    try:
        assert wsi.properties.mpp == pytest.approx(0.499)
        assert wsi.tile_spec("tiles").height == (256 if len(tiles) else 1024)
        if len(tiles):
            assert wsi.fetch.n_tiles("tiles") == len(tiles)
            found = wsi.fetch.features_anndata("gastric")
            np.testing.assert_array_equal(found.X, np.asarray(slides[name].features))
            assert next(wsi.iter.tile_images("tiles")).image.shape[:2] == (256, 256)
    finally:
        wsi.close()


def test_a_deidentified_store_names_nothing(slides: dict[str, SlideResult]) -> None:
    said = [path.read_bytes() for path in slides["deidentified"].path.rglob("zarr.json")]
    assert said
    assert not any(b"cmu-1" in text.lower() for text in said)
    assert slides["deidentified"].row["path"] == ""
