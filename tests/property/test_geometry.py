"""Properties of the geometry that everything else rests on: partitions, halos, ids, pairs, pyramids."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsipipe.grid import Box, Frame, Grid, blocks, level_shapes, neighbours, shard_side, touching
from wsipipe.units import Mpp

SIDE = st.integers(1, 40)
SHAPES = st.tuples(SIDE, SIDE)
GRIDS = st.builds(Grid, SHAPES, st.integers(3, 17), st.integers(0, 5), st.integers(1, 5))
DOWNSAMPLES = st.floats(0.25, 70.0)
TABLES = st.lists(
    st.tuples(st.integers(-40, 40), st.integers(-40, 40), st.integers(0, 25), st.integers(0, 25)), max_size=25
)


def painted(boxes: Iterable[Box], plane: Box) -> np.ndarray:
    """How often each pixel of `plane` is covered."""
    count = np.zeros(plane.shape, int)
    for box in boxes:
        count[box.intersect(plane).slices(plane)] += 1
    return count


def write_boxes(grid: Grid) -> list[Box]:
    return [grid.at(tile_id).write for tile_id in grid.ids().tolist()]


@given(GRIDS)
def test_write_boxes_partition_the_plane(grid: Grid) -> None:
    assert (painted(write_boxes(grid), Box(0, 0, *grid.shape)) == 1).all()
    assert sum(box.area for box in write_boxes(grid)) == grid.shape[0] * grid.shape[1]


@given(GRIDS)
def test_read_contains_write_with_its_halo_and_has_one_shape(grid: Grid) -> None:
    for tile_id in grid.ids().tolist():
        tile = grid.at(tile_id)
        assert tile.read.contains(tile.write.pad(grid.halo))
        assert tile.read.shape == (grid.tile + 2 * grid.halo,) * 2
        assert (tile.read.y, tile.read.x) == (tile.write.y - grid.halo, tile.write.x - grid.halo)


@given(GRIDS)
def test_id_at_is_the_inverse_of_cells_of(grid: Grid) -> None:
    ids = grid.ids()
    assert [grid.id_at(y, x) for y, x in grid.cells_of(ids).tolist()] == ids.tolist()
    assert len(ids) == grid.cells[0] * grid.cells[1] == len(set(ids.tolist()))


@given(GRIDS)
def test_units_own_disjoint_slices_of_rows_and_squares_of_pixels(grid: Grid) -> None:
    rows = np.concatenate([np.arange(grid.n_rows)[grid.unit_rows(unit)] for unit in range(grid.n_units)])
    assert rows.tolist() == list(range(grid.n_rows))
    assert (painted(map(grid.unit_box, range(grid.n_units)), Box(0, 0, *grid.shape)) == 1).all()
    for unit in range(grid.n_units):
        assert len(grid.ids(unit)) > 0
        assert all(grid.unit_box(unit).contains(grid.at(i).write) for i in grid.ids(unit).tolist())


@given(GRIDS)
def test_ids_of_the_units_are_the_ids(grid: Grid) -> None:
    by_unit = np.concatenate([grid.ids(unit) for unit in range(grid.n_units)])
    assert by_unit.tolist() == grid.ids().tolist() == sorted(by_unit.tolist())


@given(GRIDS, st.integers(0, 9))
def test_ids_do_not_depend_on_the_halo(grid: Grid, halo: int) -> None:
    other = Grid(grid.shape, grid.tile, halo, grid.unit)
    assert other.ids().tolist() == grid.ids().tolist()
    assert (other.write_boxes(grid.ids()) == grid.write_boxes(grid.ids())).all()


@given(GRIDS, st.integers(0, 400))
def test_growing_the_plane_down_within_its_units_moves_no_id(grid: Grid, more: int) -> None:
    taller = Grid((grid.shape[0] + more, grid.shape[1]), grid.tile, grid.halo, grid.unit)
    assert set(grid.ids().tolist()) <= set(taller.ids().tolist())
    assert (taller.cells_of(grid.ids()) == grid.cells_of(grid.ids())).all()


@given(GRIDS)
def test_arrays_and_values_of_write_boxes_agree(grid: Grid) -> None:
    table = grid.write_boxes(grid.ids())
    assert [Box(*row) for row in table.tolist()] == write_boxes(grid)
    past = np.setdiff1d(np.arange(grid.n_rows), grid.ids())
    assert (grid.write_boxes(past)[:, 2:].prod(axis=1) == 0).all()


@given(GRIDS, DOWNSAMPLES)
def test_level_0_boxes_of_a_partition_are_a_partition(grid: Grid, downsample: float) -> None:
    frame = Frame(grid.shape, downsample, Mpp(0.5))
    l0_plane = frame.to_l0(frame.box)
    l0_boxes = [frame.to_l0(box) for box in write_boxes(grid)]
    assert sum(box.area for box in l0_boxes) == l0_plane.area
    full = [box for box in l0_boxes if not box.is_empty]
    assert all(l0_plane.contains(box) for box in full)
    table = np.array([[box.y, box.x, *box.shape] for box in full], np.int64).reshape(-1, 4)
    assert len(neighbours(table)) == 0


@given(st.integers(-(10**6), 10**6), st.integers(0, 4096), DOWNSAMPLES)
def test_level_0_edges_are_within_half_a_pixel_of_the_true_ones(start: int, length: int, downsample: float) -> None:
    l0_box = Frame((1, 1), downsample, Mpp(0.5)).to_l0(Box(start, start, length, length))
    assert abs(l0_box.y - start * downsample) <= 0.5
    assert abs(l0_box.y1 - (start + length) * downsample) <= 0.5


@given(SHAPES, st.integers(1, 9), DOWNSAMPLES)
def test_a_coarser_frame_covers_the_finer_one(shape: tuple[int, int], factor: int, downsample: float) -> None:
    fine = Frame(shape, downsample, Mpp(0.5))
    assert fine.coarser(factor).shape == fine.box.shrink(factor).shape
    assert fine.coarser(factor).coarser(2).shape == fine.coarser(2 * factor).shape


@given(TABLES, st.integers(0, 6))
def test_neighbours_equal_the_naive_loop(table: list[tuple[int, int, int, int]], reach: int) -> None:
    boxes = [Box(*row) for row in table]
    naive = [
        [a, b]
        for a in range(len(boxes))
        for b in range(a + 1, len(boxes))
        if not boxes[a].is_empty
        and not boxes[b].is_empty
        and not boxes[a].pad(reach).intersect(boxes[b].pad(reach)).is_empty
    ]
    assert neighbours(np.array(table, np.int64).reshape(-1, 4), reach=reach).tolist() == naive


@given(TABLES, st.integers(0, 6), st.randoms(use_true_random=False))
def test_neighbours_are_symmetric(table: list[tuple[int, int, int, int]], reach: int, random: object) -> None:
    boxes = np.array(table, np.int64).reshape(-1, 4)
    order = list(range(len(table)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    found = {tuple(sorted((order[a], order[b]))) for a, b in neighbours(boxes[order], reach=reach).tolist()}
    assert found == {tuple(pair) for pair in neighbours(boxes, reach=reach).tolist()}


@given(SHAPES, st.integers(1, 70))
def test_blocks_partition_the_picture(shape: tuple[int, int], side: int) -> None:
    found = list(blocks(shape, side))
    assert (painted(found, Box(0, 0, *shape)) == 1).all()
    assert not any(box.is_empty or max(box.shape) > side for box in found)
    assert found == sorted(found)


@given(TABLES, SHAPES)
def test_touching_is_every_box_that_shares_a_pixel(
    table: list[tuple[int, int, int, int]], shape: tuple[int, int]
) -> None:
    block = Box(3, 2, *shape)
    naive = [i for i, row in enumerate(table) if not block.intersect(Box(*row)).is_empty]
    assert touching(block, np.array(table, np.int64).reshape(-1, 4)).tolist() == naive


@given(GRIDS, st.integers(5, 70))
def test_blocks_pull_every_tile_pixel_exactly_once(grid: Grid, side: int) -> None:
    ids = grid.ids()
    table = grid.write_boxes(ids)
    plane = np.full(grid.shape, -1)
    for block in blocks(grid.shape, side):
        for index in touching(block, table).tolist():
            part = Box(*table[index].tolist()).intersect(block)
            assert (plane[part.slices()] == -1).all()
            plane[part.slices()] = ids[index]
    assert (plane >= 0).all()


@given(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), st.integers(1, 2048))
def test_pyramid_shapes_halve_until_small(shape: tuple[int, int], smallest: int) -> None:
    shapes = level_shapes(shape, smallest=smallest)
    assert shapes[0] == shape
    assert max(shapes[-1]) <= smallest
    assert all(max(finer) > smallest for finer in shapes[:-1])
    for level, found in enumerate(shapes):
        assert found == Box(0, 0, *shape).shrink(2**level).shape


@given(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), st.integers(1, 2048), st.integers(1, 100))
def test_shards_are_few_and_no_larger_than_needed(shape: tuple[int, int], chunk: int, most: int) -> None:
    def files(side: int) -> int:
        return -(-shape[0] // side) * -(-shape[1] // side)

    side = shard_side(shape, chunk, most=most, least=1)
    assert files(side) <= most
    assert side % chunk == 0
    assert (side // chunk).bit_count() == 1
    assert side == chunk or files(side // 2) > most
