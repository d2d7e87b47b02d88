"""A folder of fields as a slide of planes, and how it is known where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.contract.slide_contract import SlideContract
from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box
from wsipipe.slide import open_slide
from wsipipe.slide.base import Slide
from wsipipe.slide.field_places import Arrangement, cell_of
from wsipipe.slide.fields import open_fields

RNG = np.random.default_rng(5)
NAMES = ("a_x1_y1.png", "a_x2_y1.png", "a_x1_y2.png", "a_x2_y2.png")


def folder(path: Path, names: tuple[str, ...] = NAMES, shape: tuple[int, ...] = (120, 100, 3)) -> Path:
    path.mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(RNG.integers(0, 256, shape).astype(np.uint8)).save(path / name)
    return path


class TestFields(SlideContract):
    @pytest.fixture
    def slide(self, tmp_path: Path) -> Slide:
        return open_slide(folder(tmp_path / "f"))


def test_planes_are_by_row_and_column(tmp_path: Path) -> None:
    slide = open_fields(folder(tmp_path / "f"))
    assert [place.cell for place in slide.places] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    pixels = np.asarray(Image.open(tmp_path / "f" / "a_x2_y1.png"))
    assert np.array_equal(slide.read(Box(0, 0, 120, 100), level=0, plane=1), pixels)


def test_a_pattern_that_matches_nothing_says_what_names_look_like(tmp_path: Path) -> None:
    with pytest.raises(SlideOpenError, match=r"a_x1_y1\.png.*try --pattern 'x\{x\}_y\{y\}'"):
        open_fields(folder(tmp_path / "f"), Arrangement("{row}-{col}"))


def test_a_pattern_without_its_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SlideOpenError, match="x, y, row, col or index"):
        open_fields(folder(tmp_path / "f"), Arrangement("{z}"))


def test_a_place_that_stands_twice_names_both(tmp_path: Path) -> None:
    with pytest.raises(SlideOpenError, match=r"b_x1_y1\.png.*row 0, column 0"):
        open_fields(folder(tmp_path / "f", (*NAMES, "b_x1_y1.png")), Arrangement("x{x}_y{y}"))


def test_a_table_wins_and_its_files_must_be_there(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    table = tmp_path / "p.csv"
    table.write_text("file,y,x\n" + "".join(f"{name},{10 * i},{7 * i}\n" for i, name in enumerate(NAMES)))
    assert open_fields(path, Arrangement(positions=str(table))).places[3].yx == (30.0, 21.0)
    table.write_text("file,y,x\nother.png,1,2\n")
    with pytest.raises(SlideOpenError, match=r"names other\.png"):
        open_fields(path, Arrangement(positions=str(table)))
    table.write_text("file,y,x\na_x1_y1.png,one,2\n")
    with pytest.raises(SlideOpenError, match="give numbers"):
        open_fields(path, Arrangement(positions=str(table)))
    table.write_text("what\n1\n")
    with pytest.raises(SlideOpenError, match="columns file, y, x"):
        open_fields(path, Arrangement(positions=str(table)))


def test_fields_of_other_channels_are_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    Image.fromarray(np.zeros((120, 100), np.uint8)).save(path / "a_x2_y2.png")
    with pytest.raises(SlideOpenError, match=r"a_x2_y2\.png is 120 x 100 px, 1 channels"):
        open_fields(path)


@pytest.mark.parametrize(
    ("layout", "cells"),
    [
        ("raster", [(0, 0), (0, 1), (1, 0), (1, 1)]),
        ("snake", [(0, 0), (0, 1), (1, 1), (1, 0)]),
        ("raster_down", [(0, 0), (1, 0), (0, 1), (1, 1)]),
        ("snake_down", [(0, 0), (1, 0), (1, 1), (0, 1)]),
    ],
)
def test_layouts(layout: str, cells: list[tuple[int, int]]) -> None:
    assert [cell_of(order, 2, 2, layout) for order in range(4)] == cells
