"""Regions: exact at seams, equal to a union of pixels and to scipy's labels."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

from wsipipe.errors import ConfigError
from wsipipe.grid import Box, blocks
from wsipipe.lesion.regions import Region, outline, regions

Map = NDArray[np.uint8]
MAPS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 0, 90, 128, 200, 255])
)


def whole(values: Map, **options: float) -> list[Region]:
    return regions([(Box(0, 0, *values.shape), values)], mpp=1, **options)


def numbers(found: list[Region]) -> list[tuple[bytes, float, float, float]]:
    return [(r.polygon.wkb, r.area_um2, r.mean, r.maximum) for r in found]


@settings(deadline=None)
@given(MAPS)
def test_regions_are_the_union_of_their_pixels(values: Map) -> None:
    found = whole(values)
    y, x = np.nonzero(values > 127.5)
    pixels = shapely.union_all(shapely.box(x, y, x + 1, y + 1)) if len(x) else shapely.Polygon()
    assert shapely.MultiPolygon([r.polygon for r in found]).equals(pixels)
    assert all(r.polygon.is_valid for r in found)
    assert sum(r.area_um2 for r in found) == len(x)


@settings(deadline=None)
@given(MAPS)
def test_numbers_equal_those_of_labels_in_reading_order(values: Map) -> None:
    found = whole(values)
    labels, count = ndimage.label(values > 127.5)
    assert len(found) == count
    for region, label in zip(found, range(1, count + 1), strict=True):
        inside = values[labels == label] / 255
        assert region.area_um2 == region.polygon.area == len(inside)
        assert region.mean == pytest.approx(inside.mean())
        assert region.maximum == inside.max()


@settings(deadline=None)
@given(MAPS, st.integers(1, 7), st.randoms(use_true_random=False), st.sampled_from([0.0, 1.5, 3.0]))
def test_blocks_cut_anywhere_give_the_same_regions(values: Map, side: int, random: object, least: float) -> None:
    parts = [(box, values[box.slices()]) for box in blocks(values.shape, side)]
    random.shuffle(parts)  # type: ignore[attr-defined]  # Hypothesis types its randoms as object
    cut = regions(parts, mpp=1, min_area_um2=least)
    assert numbers(cut) == numbers(whole(values, min_area_um2=least))
    assert all(r.area_um2 >= least for r in cut)


@settings(deadline=None)
@given(MAPS)
def test_rings_have_corners_only(values: Map) -> None:
    for region in whole(values):
        for ring in (region.polygon.exterior, *region.polygon.interiors):
            step = np.diff(np.array([*ring.coords, ring.coords[1]]), axis=0)
            assert np.all((step == 0).sum(axis=1) == 1), "every edge is horizontal or vertical"
            assert np.all((step[1:] * step[:-1]).sum(axis=1) == 0), "every point is a turn"


def test_a_ring_with_an_island_in_its_hole() -> None:
    values = np.zeros((9, 9), np.uint8)
    values[1:8, 1:8], values[2:7, 2:7], values[4, 4] = 255, 0, 200
    ring, island = whole(values)
    assert (ring.area_um2, len(ring.polygon.interiors)) == (24, 1)
    assert ring.polygon.bounds == (1, 1, 8, 8)
    assert (island.area_um2, island.mean) == (1, pytest.approx(200 / 255))


def test_pixels_that_touch_at_a_corner_are_two_regions_and_holes_likewise() -> None:
    assert len(whole(np.array([[255, 0], [0, 255]], np.uint8))) == 2
    values = np.full((4, 4), 255, np.uint8)
    values[1, 1] = values[2, 2] = 0
    (only,) = whole(values)
    assert (len(only.polygon.interiors), only.polygon.area, only.polygon.is_valid) == (2, 14, True)


def test_the_threshold_must_be_exceeded() -> None:
    values = np.array([[51, 52]], np.uint8)
    assert whole(values, threshold=0.2)[0].polygon.bounds == (1, 0, 2, 1)
    assert whole(values, threshold=1) == []
    assert whole(np.full((2, 2), 255, np.uint8), threshold=1) == []


def test_positions_areas_and_scales() -> None:
    (only,) = regions([(Box(10, 20, 2, 3), np.full((2, 3), 255, np.uint8))], mpp=2.0, l0_per_px=8.0)
    assert only.polygon.bounds == (160, 80, 184, 96)
    assert only.area_um2 == 6 * 4
    assert regions([], mpp=1) == []


def test_wrong_numbers_are_refused() -> None:
    for options in ({"threshold": 1.5}, {"l0_per_px": 0.0}):
        with pytest.raises(ConfigError, match="are needed"):
            whole(np.zeros((1, 1), np.uint8), **options)


@settings(deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_outline_is_the_rim_of_the_mask(mask: NDArray[np.bool_]) -> None:
    height, width = mask.shape
    expected = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        expected[y, x] = any(0 <= v < height and 0 <= u < width and not mask[v, u] for v, u in near)
    np.testing.assert_array_equal(outline(mask), expected)
    assert not (outline(mask) & ~outline(mask, width_px=2)).any()
