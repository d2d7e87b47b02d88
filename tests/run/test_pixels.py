"""Which pixels a tile, a unit and the overview get: every pixel says where it is from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.run.coordinates import CoordinateSlide, pixel
from wsipipe.errors import SlideReadError
from wsipipe.grid import Box, Frame, Grid, choose_frame
from wsipipe.run import pixels
from wsipipe.slide.base import Slide
from wsipipe.slide.memory import MemorySlide

SIDE = 64


def setting(slide: CoordinateSlide, *, mpp: float = 0.5, halo: int = 0) -> tuple[Frame, Grid]:
    frame = choose_frame(slide.info.frames(), mpp)
    return frame, Grid(frame.shape, SIDE, halo, 4)


def test_the_fake_is_a_slide() -> None:
    assert isinstance(CoordinateSlide(), Slide)


@pytest.mark.parametrize("halo", [0, 3])
@pytest.mark.parametrize("mpp", [0.5, 0.9])
def test_tiles_are_the_read_boxes_in_the_working_frame(mpp: float, halo: int) -> None:
    slide = CoordinateSlide()
    frame, grid = setting(slide, mpp=mpp, halo=halo)
    ids = grid.ids()[[0, 7, -1]]
    found = pixels.read_tiles(slide, frame, grid, ids, plane=2)
    assert found.shape == (3, SIDE + 2 * halo, SIDE + 2 * halo, 3)
    assert found.dtype == np.uint8
    assert slide.calls == [(grid.at(i).read, frame, 2) for i in ids.tolist()]
    for tile, tile_id in zip(found, ids.tolist(), strict=True):
        box = grid.at(tile_id).write
        assert tuple(tile[halo, halo]) == pixel(box.y, box.x, frame)
        assert tuple(tile[halo + box.height - 1, halo + box.width - 1]) == pixel(box.y1 - 1, box.x1 - 1, frame)


def test_pixels_outside_the_plane_are_fill() -> None:
    slide = CoordinateSlide()
    frame, grid = setting(slide, halo=2)
    last = grid.at(int(grid.ids()[-1]))
    first, tile = pixels.read_tiles(slide, frame, grid, grid.ids()[[0, -1]])
    assert (first[:2] == 255).all()
    assert (first[:, :2] == 255).all()
    assert (tile[2 + last.write.height :] == 255).all()
    assert (tile[:, 2 + last.write.width :] == 255).all()


def test_no_tiles_is_an_empty_batch() -> None:
    slide = CoordinateSlide()
    frame, grid = setting(slide)
    assert pixels.read_tiles(slide, frame, grid, np.zeros(0, np.int64)).shape == (0, SIDE, SIDE, 3)
    assert slide.calls == []


@pytest.mark.parametrize("halo", [0, 2])
@pytest.mark.parametrize("scale", [1, 4, 16])
def test_a_unit_is_one_read_cut_into_its_tiles(scale: int, halo: int) -> None:
    slide = CoordinateSlide()
    frame, grid = setting(slide, halo=halo)
    coarse = frame.coarser(scale)
    for unit in (0, grid.units[1] + 1, grid.n_units - 1):
        slide.calls.clear()
        ids, found = pixels.read_unit(slide, frame, grid, unit, scale=scale, plane=1)
        assert ids.tolist() == grid.ids(unit).tolist()
        assert [(box, plane) for box, _, plane in slide.calls] == [(grid.unit_box(unit).shrink(scale).pad(halo), 1)]
        for tile_id, tile in zip(ids.tolist(), found, strict=True):
            box = Box(*(int(v) for v in grid.cells_of(np.array([tile_id]))[0] * SIDE), SIDE, SIDE).shrink(scale)
            alone = slide.read(box.pad(halo), frame=coarse)
            np.testing.assert_array_equal(tile, alone)


def test_a_unit_at_scale_1_equals_its_tiles() -> None:
    slide = CoordinateSlide()
    frame, grid = setting(slide, halo=3)
    ids, found = pixels.read_unit(slide, frame, grid, 5, scale=1)
    np.testing.assert_array_equal(found, pixels.read_tiles(slide, frame, grid, ids))


def test_coarse_pixels_come_from_a_stored_level_where_one_fits() -> None:
    slide = CoordinateSlide(downsamples=(1.0, 4.0, 16.0))
    frame, grid = setting(slide)
    for scale, level in ((1, 0), (4, 1), (8, None), (16, 2)):
        pixels.read_unit(slide, frame, grid, 0, scale=scale)
        assert slide.calls[-1][1].level == level


@pytest.mark.parametrize(
    "how",
    [{"downsamples": (1.0, 4.01)}, {"downsamples": (1.0, 4.0), "shape": (1001, 1400), "rounds_down": True}],
    ids=["downsample", "shape"],
)
def test_a_level_of_another_downsample_or_shape_is_no_fit(how: dict[str, Any]) -> None:
    slide = CoordinateSlide(**how)
    frame, grid = setting(slide)
    pixels.read_unit(slide, frame, grid, 0, scale=4)
    assert slide.calls[-1][1].level is None


@pytest.mark.parametrize(("longest_px", "scale"), [(1400, 1), (1399, 2), (700, 2), (699, 4), (88, 16), (87, 32)])
def test_overview_is_the_finest_power_of_two_that_fits(longest_px: int, scale: int) -> None:
    slide = CoordinateSlide()
    frame, _ = setting(slide)
    found, said = pixels.read_overview(slide, frame, longest_px=longest_px)
    assert said == scale == pixels.overview_scale(frame, longest_px=longest_px)
    assert found.shape == (-(-1000 // scale), -(-1400 // scale), 3)
    assert max(found.shape) <= longest_px
    assert tuple(found[-1, -1]) == pixel(found.shape[0] - 1, found.shape[1] - 1, frame.coarser(scale))


def test_grey_slides_become_three_equal_channels() -> None:
    slide = CoordinateSlide(channels=1)
    frame, grid = setting(slide)
    tiles = pixels.read_tiles(slide, frame, grid, grid.ids()[:2])
    _, unit = pixels.read_unit(slide, frame, grid, 0, scale=4)
    for found in (tiles, unit, pixels.read_overview(slide, frame, longest_px=500)[0]):
        assert found.shape[-1] == 3
        assert (found[..., :1] == found).all()


@pytest.mark.parametrize("how", [{"dtype": "uint16"}, {"dtype": "float32"}, {"channels": 2}], ids=str)
def test_pixels_that_stages_do_not_take_are_refused_not_wrapped_around(how: dict[str, Any]) -> None:
    slide = CoordinateSlide(**how)
    frame, grid = setting(slide)
    with pytest.raises(SlideReadError, match="8-bit pixels of 1 or 3 channels"):
        pixels.read_tiles(slide, frame, grid, grid.ids()[:1])
    with pytest.raises(SlideReadError, match="8-bit pixels of 1 or 3 channels"):
        pixels.read_overview(slide, frame, longest_px=500)


@pytest.mark.parametrize(("n", "size", "lengths"), [(0, 4, []), (3, 4, [3]), (8, 4, [4, 4]), (9, 4, [4, 4, 1])])
def test_batches_cover_all_in_order(n: int, size: int, lengths: list[int]) -> None:
    ids = np.arange(n)
    parts = [ids[part] for part in pixels.batches(ids, size)]
    assert [len(part) for part in parts] == lengths
    assert [i for part in parts for i in part.tolist()] == ids.tolist()


@pytest.mark.parametrize("mpp", [0.5, 0.9])
@pytest.mark.parametrize("scale", [1, 4, 16])
def test_units_of_a_real_slide_join_to_the_whole_coarse_plane(mpp: float, scale: int) -> None:
    """Grouping changes nothing: unit by unit equals one read of everything."""
    noise = np.random.default_rng(3).integers(0, 256, (301, 437, 3)).astype(np.uint8)
    slide = MemorySlide(noise, mpp=0.5)
    frame = choose_frame(slide.info.frames(), mpp)
    grid, coarse = Grid(frame.shape, SIDE, 0, 2), frame.coarser(scale)
    joined = np.zeros((*coarse.shape, 3), np.uint8)
    for unit in range(grid.n_units):
        for tile_id, tile in zip(*pixels.read_unit(slide, frame, grid, unit, scale=scale), strict=True):
            part = grid.at(int(tile_id)).write.shrink(scale)
            joined[part.slices()] = tile[: part.height, : part.width]
    np.testing.assert_array_equal(joined, slide.read(coarse.box, frame=coarse))
