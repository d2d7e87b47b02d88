"""The tissue stages: tiles computed apart equal the whole plane; shares count area."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import median

from wsipipe import tissue
from wsipipe.errors import ConfigError
from wsipipe.grid import Grid
from wsipipe.stage import INSIDE, OVERVIEW, RGB, chain
from wsipipe.tissue import otsu

SCALE, TILE = 4, 32


def plane(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Blobs of pink on glass, at the mask's resolution."""
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 2.0)
    rgb = np.where((field > 0)[..., None], (220, 120, 170), (243, 242, 244)) + rng.normal(0, 6, (*shape, 3))
    return np.clip(rgb, 0, 255).astype(np.uint8)


def cut(small: np.ndarray, shape: tuple[int, int], halo: int) -> tuple[np.ndarray, np.ndarray, Grid]:
    """Tiles of the plane with halo, white outside it, and their sizes inside."""
    grid = Grid(shape, TILE, 0, 2)
    side, pad = TILE // SCALE, TILE
    white = np.pad(small, ((pad, pad), (pad, pad), (0, 0)), constant_values=255)
    tiles = []
    for y, x in grid.cells_of(grid.ids()) * side + pad - halo:
        tiles.append(white[y : y + side + 2 * halo, x : x + side + 2 * halo])
    return np.stack(tiles), grid.write_boxes(grid.ids())[:, 2:].astype(np.int32), grid


def whole(small: np.ndarray, shape: tuple[int, int], threshold: float, size: int) -> np.ndarray:
    """Oracle: the mask of the whole plane, with scikit-image's median, white beyond the edge."""
    padded = np.pad(small, ((8, 8), (8, 8), (0, 0)), constant_values=255)
    raw = (otsu.colour(padded) > threshold) & ~otsu.is_ink(padded)
    found = median(raw.astype(np.uint8), np.ones((size, size)), behavior="ndimage") if size > 1 else raw
    return found[8:-8, 8:-8].astype(np.uint8)


@given(
    shape=st.tuples(st.integers(33, 150), st.integers(33, 150)),
    size=st.sampled_from([1, 3, 5, 7]),
    threshold=st.sampled_from([-1.0, 60.0, 100.0, 255.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_tiles_apart_equal_the_whole(shape: tuple[int, int], size: int, threshold: float, seed: int) -> None:
    small_shape = (-(-shape[0] // SCALE), -(-shape[1] // SCALE))
    small = plane(small_shape, seed)
    stage = tissue.mask(scale=SCALE, median_px=size)
    tiles, inside, grid = cut(small, shape, stage.halo)
    made = stage.fn(rgb=tiles, inside=inside, tissue_threshold=np.array([threshold], np.float32))
    expected = whole(small, shape, threshold, size)
    side = TILE // SCALE
    for row, (y, x) in enumerate(grid.cells_of(grid.ids()) * side):
        part = expected[y : y + side, x : x + side]
        assert np.array_equal(made["tissue"][row][: part.shape[0], : part.shape[1]], part)
        assert made["tissue"][row].sum() == part.sum()
    alone = [
        stage.fn(rgb=tiles[i : i + 1], inside=inside[i : i + 1], tissue_threshold=np.array([threshold], np.float32))
        for i in range(len(tiles))
    ]
    assert np.array_equal(np.concatenate([one["tissue_share"] for one in alone]), made["tissue_share"])


def test_share_counts_area_inside_the_plane() -> None:
    """70 x 32 working pixels of tissue: the third tile has 6 of 32 rows, one mask pixel and a half."""
    small = np.full((18, 8, 3), (220, 120, 170), np.uint8)
    stage = tissue.mask(scale=SCALE)
    tiles, inside, _ = cut(small, (70, 32), stage.halo)
    made = stage.fn(rgb=tiles, inside=inside, tissue_threshold=np.array([otsu.KEEP_ALL], np.float32))
    assert np.allclose(made["tissue_share"], [1, 1, 6 / 32])
    assert made["tissue"][2].sum() == 2 * 8


def test_keep_all_does_not_keep_outside_and_keep_none_keeps_nothing() -> None:
    rgb = np.full((1, 10, 10, 3), 255, np.uint8)
    stage = tissue.mask(scale=SCALE)
    for threshold, expected in ((otsu.KEEP_ALL, 0.25), (otsu.KEEP_NONE, 0.0)):
        made = stage.fn(
            rgb=rgb, inside=np.array([[16, 16]], np.int32), tissue_threshold=np.array([threshold], np.float32)
        )
        assert made["tissue_share"][0] == expected


def test_fit_finds_the_slides_threshold() -> None:
    overview = np.full((100, 100, 3), 244, np.uint8)
    overview[20:60, 20:60] = (220, 120, 170)
    made = tissue.fit_threshold().fn(overview=overview)
    assert made["tissue_threshold"].tolist() == [40.0]
    assert made["tissue_bimodal"].tolist() == [1]
    made = tissue.fit_threshold().fn(overview=overview[20:60, 20:60])
    assert made["tissue_threshold"].tolist() == [-1.0]
    assert made["tissue_bimodal"].tolist() == [0]
    assert made["tissue_threshold"].dtype == np.float32
    assert made["tissue_bimodal"].dtype == np.uint8


def test_per_tile_thresholds_each_by_itself() -> None:
    """Half pale tissue, all tissue, all glass; the glass in the halo does not change the verdict."""
    half = plane((12, 12), 0)
    half[:] = (243, 242, 244)
    half[:, 6:] = (236, 205, 226)
    full, blank = np.full_like(half, 244), np.full_like(half, 244)
    full[2:-2, 2:-2] = (220, 120, 170)
    stage = tissue.mask(scale=4, method="per_tile", median_px=5)
    assert [spec.name for spec in stage.inputs] == ["rgb", "inside"]
    assert stage.halo == 2
    made = stage.fn(rgb=np.stack([half, full, blank]), inside=np.full((3, 2), 32, np.int32))
    assert made["tissue_share"].tolist()[0] == 0.5
    assert made["tissue_share"].tolist()[2] == 0
    assert made["tissue_share"][1] > 0.9


def test_empty_batch() -> None:
    made = tissue.mask(scale=4).fn(
        rgb=np.zeros((0, 10, 10, 3), np.uint8), inside=np.zeros((0, 2), np.int32), tissue_threshold=np.zeros(1)
    )
    assert made["tissue"].shape == (0, 8, 8)
    assert made["tissue_share"].shape == (0,)


def test_equality_keeps() -> None:
    shares = np.array([0.7, np.nextafter(np.float32(0.7), np.float32(0)), 1, 0, np.nan], np.float32)
    assert tissue.keep(shares).tolist() == [True, False, True, False, False]
    assert tissue.keep(np.array([0.5]), 0.5).tolist() == [True]


def test_the_stages_chain_and_travel() -> None:
    made = chain([tissue.fit_threshold()], [OVERVIEW])
    joined = chain([tissue.mask()], [RGB, INSIDE, *made.outputs.values()])
    assert joined.halo == 1
    again = pickle.loads(pickle.dumps(tissue.mask(scale=8)))
    assert again.spec() == tissue.mask(scale=8).spec()
    assert again.outputs[0].scale == 8


@pytest.mark.parametrize("wrong", [{"median_px": 2}, {"scale": 0}, {"method": "best"}])
def test_wrong_settings(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="correct"):
        tissue.mask(**wrong)
