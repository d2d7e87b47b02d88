"""Native tiles that cannot be decoded: an error, or white pixels that are told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsipipe.errors import SlideReadError
from wsipipe.grid import Box, Frame
from wsipipe.slide import open_slide
from wsipipe.slide.damage import Damage
from wsipipe.units import Mpp

SIDE, TILE = 512, 128
SPOILT = Box(128, 256, TILE, TILE)


def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(40, 200, (16, 16, 3), np.uint8), np.ones((32, 32, 1), np.uint8))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A tiled TIFF, the tile of row 1, column 2 spoilt."""
    path = tmp_path / "spoilt.tif"
    told = {"resolution": (2e4, 2e4), "resolutionunit": 3}
    tifffile.imwrite(path, picture(), tile=(TILE, TILE), photometric="rgb", compression="jpeg", **told)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        number = 1 * (SIDE // TILE) + 2
        offset, length = page.dataoffsets[number], page.databytecounts[number]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x5a" * length)
    return path


def test_it_is_an_error_unless_asked(path: Path) -> None:
    slide = open_slide(path)
    with pytest.raises(SlideReadError, match="damaged there"):
        slide.read(Box(0, 0, SIDE, SIDE), level=0)
    assert slide.damaged(SPOILT, level=0) == 0
    slide.close()


def test_it_is_white_and_told_of(path: Path) -> None:
    slide, whole = open_slide(path, damaged="mask"), Box(0, 0, SIDE, SIDE)
    assert "damage masked" in slide.info.reader
    sound = Box(0, 0, TILE, SIDE)
    slide.read(sound, level=0)
    assert slide.damaged(sound, level=0) == 0
    pixels = slide.read(whole, level=0)
    assert (pixels[SPOILT.slices()] == 255).all()
    others = np.ones((SIDE, SIDE), bool)
    others[SPOILT.slices()] = False
    assert np.abs(pixels.astype(int) - picture())[others].mean() < 6
    assert slide.damaged(whole, level=0) == pytest.approx(1 / 16)
    assert slide.damaged(SPOILT, level=0) == 1
    assert slide.damaged(Box(128, 192, TILE, TILE), level=0) == pytest.approx(0.5)
    slide.close()


def test_a_resampled_frame_tells_of_the_level_that_it_is_made_from(path: Path) -> None:
    slide = open_slide(path, damaged="mask")
    frame = Frame((SIDE // 2, SIDE // 2), 2.0, Mpp(1.0), None)
    box = Box(64, 128, 64, 64)
    slide.read(box, frame=frame)
    assert slide.damaged(box, frame=frame) == 1
    slide.close()


def test_tiles_are_counted_once() -> None:
    found = Damage()
    for _ in range(2):
        found.add(0, 0, Box(0, 0, 10, 10))
    assert found.share(0, 0, Box(0, 0, 10, 20)) == 0.5
    assert found.share(1, 0, Box(0, 0, 10, 20)) == 0
