"""`open_results` gives back what a run left, lazily, and says plainly what is wrong with a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from shapely import box

import wsipipe
from wsipipe.errors import StoreError, UsageError
from wsipipe.grid import Frame, Grid
from wsipipe.query import open_results
from wsipipe.report.canvas import save_png
from wsipipe.store import publish, raster, records, shapes, tables
from wsipipe.store.layout import pictures_path, store_path
from wsipipe.store.tables import TopK
from wsipipe.units import Mpp

FRAME = Frame((1024, 2048), 1.0, Mpp(0.5), 0)
GRID = Grid(FRAME.shape, 256)
KEPT = {"alpha-111": np.array([0, 2, 9]), "alpine-222": np.array([], np.int64), "beta-333": np.array([1, 3])}
P = (np.arange(256 * 512).reshape(256, 512) % 251).astype(np.uint8)
OVERVIEW = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def publish_slide(results: Path, slide_id: str, tile_id: Any) -> None:
    """One finished slide; its two highest tiles are connected."""
    root = store_path(results, slide_id)
    pair = np.array([[0, 1], [1, 0]], np.uint8)
    r = np.array([[1, 0.9], [0.9, 1]], np.float32)
    topk = TopK(tile_id[-2:], np.array([1, 2], np.float32), pair, r) if len(tile_id) else TopK()
    sums = {"positive_sum": np.arange(len(tile_id), dtype=np.float32)}
    table = tables.tile_table(GRID, FRAME, tile_id, sums, topk)
    staged = publish.begin(root)
    raster.write_image(staged, "probability", raster.from_array(P), frame=FRAME.coarser(4))
    raster.write_labels(
        staged,
        "lesion",
        raster.from_array((P > 200).astype(np.uint8)),
        frame=FRAME.coarser(4),
        meanings={1: "x"},
        colors={},
    )
    shapes.write_shapes(staged, "regions", gpd.GeoDataFrame({"area_um2": [4.0]}, geometry=[box(0, 0, 4, 4)]))
    tables.write_table(staged, table, np.ones((len(table), 3), np.float32) * tile_id[:, None], topk)
    facts = publish.SlideFacts([FRAME], FRAME, GRID.tile)
    publish.commit(root, key="k", facts=facts, record={"category": "invasive", "gate": {}}, config={})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory of three finished slides, an alias and a failed one."""
    results = tmp_path_factory.mktemp("R")
    rows: list[dict[str, Any]] = []
    for slide_id, tile_id in KEPT.items():
        publish_slide(results, slide_id, tile_id)
        rows.append({"id": slide_id, "status": "done", "category": "invasive", "tiles": len(tile_id), "mpp": 0.5})
        pictures_path(results, slide_id).mkdir()
    rows.append({"id": "beta-333", "path": "copy", "status": "skipped", "reason": "an alias"})
    rows.append({"id": "broken-0", "status": "failed", "error": "SlideOpenError", "reason": "damaged <file>"})
    save_png(pictures_path(results, "alpha-111") / "overview.png", OVERVIEW)
    for rank in (2, 1):
        save_png(pictures_path(results, "alpha-111") / f"tile-{rank:02d}.png", OVERVIEW[:rank])
    records.write_slides(results / "slides.parquet", rows)
    records.write_json(results / "run.json", {"versions": {"wsipipe": "0.1.0"}})
    return results


def test_slides_and_run(folder: Path) -> None:
    results = wsipipe.open_results(folder)
    assert results.slides["id"].tolist() == ["alpha-111", "alpine-222", "beta-333", "beta-333", "broken-0"]
    assert results.run == {"versions": {"wsipipe": "0.1.0"}}
    assert results.done == list(KEPT)
    assert len(results) == 5
    assert repr(results) == f"<Results {folder.name}: 3 done, 1 failed, 1 skipped>"
    shown = results._repr_html_()
    assert "damaged &lt;file&gt;" in shown
    assert shown.count("<tr") == 6


def test_tiles_of_all_slides(folder: Path) -> None:
    table = open_results(folder).tiles
    assert table["slide_id"].tolist() == ["alpha-111"] * 3 + ["beta-333"] * 2
    assert table["tile_id"].tolist() == [0, 2, 9, 1, 3]
    assert table["rank"].tolist() == [0, 2, 1, 2, 1]
    assert table.loc[table["rank"] == 1, "degree"].tolist() == [1, 1]
    assert list(table.columns[:3]) == ["slide_id", "tile_id", "x"]


def test_one_slide(folder: Path) -> None:
    slide = open_results(folder).slide("alpha")
    assert slide.record["category"] == "invasive"
    assert repr(slide) == "<SlideResult alpha-111: invasive, 3 tiles>"
    assert slide.graph.to_dict("list") == {"source": [2], "target": [9], "correlation": [pytest.approx(0.9)]}
    np.testing.assert_array_equal(np.asarray(slide.features), [[0] * 3, [2] * 3, [9] * 3])
    np.testing.assert_array_equal(slide.features[1:2], [[2] * 3])
    assert slide.regions["area_um2"].tolist() == [4.0]
    assert len(slide.tissues) == 0


def test_pictures_are_read_when_indexed(folder: Path) -> None:
    slide = open_results(folder).slide("alpha-111")
    lazy = slide.probability()
    assert (lazy.shape, lazy.mpp, lazy.l0_scale) == ((256, 512), 2.0, 4.0)
    np.testing.assert_array_equal(lazy[10:20, 5], P[10:20, 5] / np.float32(255))
    np.testing.assert_array_equal(np.asarray(lazy), P / np.float32(255))
    assert slide.probability(-1).shape == (128, 256)
    assert int(np.asarray(slide.mask("lesion")).sum()) == int((P > 200).sum())


def test_stored_pictures(folder: Path) -> None:
    slide = open_results(folder).slide("alpha-111")
    np.testing.assert_array_equal(np.asarray(slide.overview()), OVERVIEW)
    assert slide._repr_png_()[:4] == b"\x89PNG"
    assert [picture.pixels.shape[0] for picture in slide.tile_pictures] == [1, 2]
    assert open_results(folder).slide("beta-333")._repr_png_() is None
    with pytest.raises(StoreError, match=r"overview.png: it was not drawn; run"):
        open_results(folder).slide("beta-333").overview()


def test_a_slide_without_tiles(folder: Path) -> None:
    slide = open_results(folder).slide("alpine-222")
    assert len(slide.tiles) == len(slide.graph) == 0
    assert slide.features.shape == (0, 0)


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("al", "several slides begin so; there are alpha-111, alpine-222"),
        ("beto-333", "no such slide; there are beta-333"),
        ("broken", "it was failed \\(damaged <file>\\); mend that and run again"),
    ],
)
def test_wrong_slides(folder: Path, name: str, want: str) -> None:
    with pytest.raises(UsageError, match=want):
        open_results(folder).slide(name)


def test_wrong_paths(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        open_results(tmp_path / "none")
    with pytest.raises(UsageError, match="a file, not a directory"):
        open_results(folder / "run.json")
    with pytest.raises(UsageError, match=r"no slides.parquet in it; give what a run's --out named"):
        open_results(tmp_path)
    with pytest.raises(UsageError, match="give its parent"):
        open_results(folder / "alpha-111.zarr")
    with pytest.raises(UsageError, match="give its parent"):
        open_results(folder / "alpha-111")


def test_a_missing_store_is_named(tmp_path: Path) -> None:
    records.write_slides(tmp_path / "slides.parquet", [{"id": "gone-1", "status": "done"}])
    results = open_results(tmp_path)
    assert results.run == {}
    with pytest.raises(StoreError, match=r"^gone-1\.zarr: .*no slide's results here; run the same command again"):
        _ = results.tiles


def test_no_slides_at_all(tmp_path: Path) -> None:
    records.write_slides(tmp_path / "slides.parquet", [])
    results = open_results(tmp_path)
    assert len(results.tiles) == 0
    assert repr(results) == f"<Results {tmp_path.name}: no slides>"
    with pytest.raises(UsageError, match="no such slide; there are none"):
        results.slide("x")
