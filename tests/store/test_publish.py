"""Publishing puts pictures, shapes, tables and attributes in place together, the same bytes every time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box

from wsipipe.errors import StoreError
from wsipipe.grid import Box, Frame, Grid, level_shapes, shard_side
from wsipipe.store import publish, published, raster, shapes, tables
from wsipipe.store.tables import TopK
from wsipipe.units import Mpp

FRAME = Frame((700, 1300), 2.0, Mpp(0.5), None)
LEVELS = (Frame((1400, 2600), 1.0, Mpp(0.25), 0), Frame((350, 650), 4.0, Mpp(1.0), 1))
GRID = Grid(FRAME.shape, tile=128, unit=4)
MAP = FRAME.coarser(4)
TILE_ID = GRID.ids()[np.array([0, 3, 4, 17, 30])]
LESION = {"meanings": {1: "suspected lesion"}, "colors": {1: (255, 0, 0, 128)}}


def digests(root: Path) -> dict[str, str]:
    """sha256 of every file below a store."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def probability() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A map of `MAP` with a known pattern: blank on the left."""
    pixels = np.random.default_rng(0).integers(0, 256, MAP.shape).astype(np.uint8)
    pixels[:, :60] = 0
    return pixels


def topk() -> TopK:
    """Three of the five tiles; the first two are connected, the last is constant."""
    adjacency = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], np.uint8)
    r = np.array([[1, 0.75, np.nan], [0.75, 1, np.nan], [np.nan] * 3], np.float32)
    return TopK(TILE_ID[[3, 1, 4]], np.array([2.0, 9.0, 2.0], np.float32), adjacency, r)


def table() -> Any:
    """The tile table of the five tiles."""
    rows = {
        "tissue_share": np.linspace(0.7, 1, 5, dtype=np.float32),
        "class_prob": np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (5, 1)),
    }
    return tables.tile_table(GRID, FRAME, TILE_ID, rows, topk())


def facts() -> publish.SlideFacts:
    """Of a slide with two levels."""
    return publish.SlideFacts(LEVELS, FRAME, GRID.tile, magnification=40.0)


def write_all(root: Path, *, tiles: bool = True, key: str = "k1") -> None:
    """Publish a whole slide, with or without kept tiles."""
    staged = publish.begin(root)
    raster.write_image(staged, "probability", raster.from_array(probability()), frame=MAP)
    mask = (probability() > 200).astype(np.uint8)
    raster.write_labels(staged, "lesion", raster.from_array(mask), frame=MAP, **LESION)
    pieces = gpd.GeoDataFrame({"tissue_id": [0, 1]}, geometry=[box(0, 0, 1400, 1400), box(1400, 0, 2600, 1400)])
    shown = table() if tiles else table().iloc[:0]
    shapes.write_shapes(staged, "tissues", pieces if tiles else pieces.iloc[:0])
    shapes.write_shapes(staged, "tiles", shapes.tile_shapes(shown, tissue_id=shapes.tissue_of(shown, pieces)))
    shapes.write_shapes(staged, "regions", pieces.iloc[:0])
    features = np.arange(len(shown) * 6, dtype=np.float32).reshape(-1, 6)
    tables.write_table(staged, shown, features, topk() if tiles else TopK())
    publish.commit(
        root,
        key=key,
        facts=facts(),
        record={"category": None, "category_prob": np.array([0.5, np.nan])},
        config={"tile": {"size": 128}},
        work=("tiles-abc",),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A published slide."""
    root = tmp_path / "a-123.zarr"
    write_all(root)
    return root


def test_levels_equal_a_naive_mean(root: Path) -> None:
    want = probability().astype(int)
    for level in range(published.levels(root, "images/probability")):
        got = published.picture(root, "images/probability", level=level)
        np.testing.assert_array_equal(np.asarray(got), want)
        assert (got.l0_scale, got.mpp) == (8.0 * 2**level, 2.0 * 2**level)
        want = naive_halved(want, lambda group: int(np.floor(np.mean(group) + 0.5)))


def test_label_levels_keep_the_largest(root: Path) -> None:
    want = (probability() > 200).astype(int)
    for level in range(published.levels(root, "labels/lesion")):
        np.testing.assert_array_equal(np.asarray(published.picture(root, "labels/lesion", level=level)), want)
        want = naive_halved(want, np.max)


def naive_halved(pixels: Any, how: Any) -> Any:
    """Each 2 x 2 square through `how`, over the pixels that exist."""
    height, width = (-(-side // 2) for side in pixels.shape)
    squares = [[how(pixels[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]) for x in range(width)] for y in range(height)]
    return np.array(squares)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    seed=st.integers(0, 99),
)
def test_any_grouping_of_blocks_gives_the_whole(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int], channels: int, dtype: str, seed: int
) -> None:
    root = tmp_path_factory.mktemp("grouping")
    pixels = (np.random.default_rng(seed).random((*shape, channels)) * 255).astype(dtype)
    asked: list[Box] = []

    def pull(asked_box: Box) -> Any:
        asked.append(asked_box)
        return pixels[asked_box.slices()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raster, "CHUNK_PX", 8)
        patch.setattr(raster, "MOST_SHARDS", 6)
        patch.setattr(raster, "LEAST_SHARD_PX", 8)
        patch.setattr(raster, "STRIP_PX", 5)
        patch.setattr(raster, "level_shapes", lambda shape: level_shapes(shape, smallest=4))
        raster.write_image(root, "a", pull, frame=Frame(shape, 1.0, Mpp(1.0)), dtype=dtype, channels=["c"] * channels)
        assert len(asked) <= 6
    assert sum(part.area for part in asked) == shape[0] * shape[1]
    want = np.moveaxis(pixels, 2, 0)
    group = zarr.open_group(str(root), mode="r", path="images/a/ome")
    for level in range(len(level_shapes(shape, smallest=4))):
        np.testing.assert_array_equal(group[str(level)][...], want)
        want = raster.halved(want)


def test_blank_blocks_leave_no_file_and_a_wrong_block_is_refused(tmp_path: Path) -> None:
    frame = Frame((600, 600), 4.0, Mpp(2.0))
    raster.write_image(tmp_path, "blank", lambda b: np.zeros(b.shape, np.uint8), frame=frame)
    assert not list((tmp_path / "images" / "blank").rglob("c"))
    with pytest.raises(ValueError, match="a block of"):
        raster.write_image(tmp_path, "wrong", lambda b: np.zeros((3, 3), np.uint8), frame=frame)


def test_a_finished_slide_has_few_files(root: Path) -> None:
    count = sum(len(files) for _, _, files in os.walk(root))
    rasters = 2 * raster.raster_files(MAP.shape)
    others = count - rasters
    assert 0 < others < 120
    maps = 2 * raster.raster_files((50_000, 50_000)) + raster.raster_files((12_500, 12_500))  # of a slide of 200,000 px
    packed = 13**2 + 4**2  # the same two pictures as packed layers
    assert others + maps + packed <= 1000
    side = shard_side((50_000, 50_000), raster.CHUNK_PX)
    assert side**2 <= 20e6, "one shard of the largest map stays under 20 MB in memory"


def test_published_again_after_a_kill_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, killed = tmp_path / "whole.zarr", tmp_path / "killed.zarr"
    write_all(whole)
    write_all(killed, key="older")
    for moves in (0, 1, 3):
        monkeypatch.setattr(Path, "rename", failing_after(moves))
        with pytest.raises(KeyboardInterrupt):
            write_all(killed)
        monkeypatch.undo()
        assert not published.is_published(killed, "k1")
        assert not published.is_published(killed, "older")
        with pytest.raises(StoreError, match="run the same command again"):
            published.tiles(killed)
    write_all(killed)
    assert published.is_published(killed, "k1")
    assert digests(killed) == digests(whole)


def failing_after(moves: int) -> Any:
    """`Path.rename` that is interrupted after so many moves."""
    rename, done = Path.rename, []

    def move(self: Path, target: Path) -> Path:
        done.append(target)
        if len(done) > moves:
            raise KeyboardInterrupt
        return rename(self, target)

    return move


def test_killed_before_commit_the_old_results_stay(root: Path) -> None:
    before = digests(root)
    staged = publish.begin(root)
    raster.write_image(staged, "probability", raster.from_array(probability() // 2), frame=MAP)
    assert published.is_published(root, "k1")
    assert {name: digests(root)[name] for name in before} == before


def test_another_setting_replaces_what_was_published(root: Path) -> None:
    write_all(root, tiles=False, key="k2")
    assert published.is_published(root, "k2")
    assert len(published.tiles(root)) == 0
    assert published.features(root).shape == (0, 0)
    assert len(published.edges(root)) == 0
    assert len(published.shapes(root, "tiles")) == 0
    assert not (root / "work" / publish.PUBLISHING).exists()


def test_tiles_come_back(root: Path) -> None:
    found = published.tiles(root)
    assert found["tile_id"].tolist() == TILE_ID.tolist()
    first = GRID.at(int(TILE_ID[1])).write
    assert found.loc[1, ["x", "y", "width", "height"]].tolist() == [2 * first.x, 2 * first.y, 256, 256]
    assert found["rank"].tolist() == [0, 1, 0, 2, 3], "ties go to the smaller id"
    assert found["is_topk"].tolist() == [False, True, False, True, True]
    assert found["degree"].tolist() == [0, 1, 0, 1, 0]
    assert found["p_invasive"].tolist() == pytest.approx([0.4] * 5)
    assert found["mpp"].unique().tolist() == [0.5]
    np.testing.assert_array_equal(np.asarray(published.features(root))[2], np.arange(12, 18))


def test_edges_come_back(root: Path) -> None:
    found = published.edges(root)
    assert found.to_dict("list") == {"source": [int(TILE_ID[1])], "target": [int(TILE_ID[3])], "correlation": [0.75]}


def test_attributes(root: Path) -> None:
    attributes = dict(zarr.open_group(str(root), mode="r").attrs)
    assert set(attributes) == {"spatialdata_attrs", "tile_spec", "slide_properties", "wsipipe"}
    assert attributes["tile_spec"] == {
        "tiles": {
            "height": 128,
            "width": 128,
            "stride_height": 128,
            "stride_width": 128,
            "mpp": 0.5,
            "ops_level": 0,
            "ops_downsample": 2.0,
            "base_level": 0,
            "base_downsample": 2.0,
            "tissue_name": "tissues",
        }
    }
    assert attributes["slide_properties"] == {
        "shape": [1400, 2600],
        "n_level": 2,
        "level_shape": [[1400, 2600], [350, 650]],
        "level_downsample": [1.0, 4.0],
        "mpp": 0.25,
        "magnification": 40.0,
        "bounds": [0, 0, 2600, 1400],
    }
    ours = published.marked(root)
    assert ours["record"] == {"category": None, "category_prob": [0.5, None]}
    assert (ours["published"], ours["work"], ours["config"]) == ("k1", ["tiles-abc"], {"tile": {"size": 128}})


def test_a_native_level_is_read_natively() -> None:
    native = publish.SlideFacts(LEVELS, LEVELS[1], 256)
    spec = publish.tile_spec(native)
    assert (spec["ops_level"], spec["ops_downsample"], spec["base_downsample"]) == (1, 1.0, 4.0)


def test_lazy_pictures(root: Path) -> None:
    shown = published.picture(root, "images/probability", top=255)
    assert (shown.shape, shown.dtype, shown.ndim, len(shown)) == (MAP.shape, np.float32, 2, 175)
    np.testing.assert_array_equal(shown[3:5, 100:200], (probability()[3:5, 100:200] / np.float32(255)))
    assert max(published.small(root, "labels/lesion", longest_px=100).shape) == 163  # the coarsest: none is smaller
    assert published.small(root, "labels/lesion", longest_px=2000).l0_scale == 8.0
    with pytest.raises(StoreError, match="levels are 0 to 1, got 7"):
        published.picture(root, "images/probability", level=7)
    with pytest.raises(StoreError, match="not among what was published"):
        published.picture(root, "images/vessels")


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no slide's results here"):
        published.tiles(tmp_path / "nothing.zarr")
    zarr.open_group(str(tmp_path / "other.zarr"), mode="w")
    with pytest.raises(StoreError, match="did not finish"):
        published.tiles(tmp_path / "other.zarr")
    later = zarr.open_group(str(tmp_path / "later.zarr"), mode="w")
    later.attrs["wsipipe"] = {"layout": 99, "published": "k"}
    with pytest.raises(StoreError, match="update wsipipe"):
        published.tiles(tmp_path / "later.zarr")


def test_topk_must_be_kept_tiles() -> None:
    with pytest.raises(ValueError, match="not all among"):
        tables.tile_table(GRID, FRAME, TILE_ID, {}, TopK(np.array([1]), np.zeros(1, np.float32)))
    with pytest.raises(ValueError, match="one feature vector per tile"):
        tables.write_table("unused", table(), np.zeros((2, 3), np.float32), topk())


def test_tissue_of_a_tile() -> None:
    pieces = gpd.GeoDataFrame(
        {"tissue_id": [7, 9, 8]}, geometry=[box(0, 0, 300, 300), box(800, 0, 900, 300), box(0, 0, 300, 300)]
    )
    found = shapes.tissue_of(table(), pieces)
    centres = table()["x"] + 128
    assert found.tolist() == [7 if x < 550 else 9 for x in centres]
    assert shapes.tissue_of(table(), pieces.iloc[:0]).tolist() == [0] * 5
