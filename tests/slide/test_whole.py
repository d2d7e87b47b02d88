"""Slides through OpenSlide: exact levels, damage, bounds and transparency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from tests.contract.slide_contract import SlideContract
from tests.slide.test_tiled import damaged, scenery, write
from wsipipe.errors import SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.phantom.pyramid_file import write_pyramid
from wsipipe.slide import whole as module
from wsipipe.slide.base import Slide
from wsipipe.slide.tiff import read_index
from wsipipe.slide.tiled import open_tiled
from wsipipe.slide.whole import open_whole


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Levels of 1, 2.002... and 4.009... to OpenSlide, cut from 2 and 4."""
    full, path = scenery(1201, 1403, 3), tmp_path_factory.mktemp("pyramid") / "p.tiff"
    return write(path, full, full[:1200:2, :1402:2], full[:1200:4, :1400:4], compression="jpeg", tile=(128, 128))


class TestPyramidByTheFilesTiles(SlideContract):
    @pytest.fixture
    def slide(self, pyramid: Path) -> Slide:
        return open_whole(pyramid, index=read_index(pyramid))


class TestPyramidInCells(SlideContract):
    @pytest.fixture
    def slide(self, pyramid: Path) -> Slide:
        return open_whole(pyramid)


def test_every_level_equals_a_full_decode(pyramid: Path) -> None:
    path = pyramid
    slide = open_whole(path, index=read_index(path))
    for level in range(3):
        want = tifffile.imread(path, series=0, level=level)
        for box in (Box(0, 0, *want.shape[:2]), Box(131, 97, 140, 133)):
            assert np.array_equal(slide.read(box, level=level), want[box.slices()])
    assert [level.downsample for level in slide.info.levels] == [1, 2, 4]
    assert "openslide" in slide.info.reader
    assert "tifffile" in slide.info.reader


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Levels of 1 and 2, which OpenSlide reads exactly."""
    full = scenery(1024, 1280, 3)
    return write(tmp_path / "p.tiff", full, full[::2, ::2], compression="jpeg", tile=(128, 128))


@pytest.mark.parametrize("level", [0, 1])
def test_native_tiles_are_what_openslide_shows(halves: Path, level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(100, 33, 300, 400)
    want = open_whole(halves).read(box, level=level)
    slide = open_whole(halves, index=read_index(halves))
    slide.read(Box(0, 0, 9, 9), level=level)  # compares
    monkeypatch.setattr(slide, "_region", None)  # OpenSlide is not asked any more
    assert np.array_equal(slide.read(box, level=level), want)
    assert slide.info.reader.startswith(f"openslide {openslide.__library_version__}; tifffile ")


def test_where_native_tiles_differ_openslide_reads(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(100, 33, 300, 400)
    want = open_whole(halves).read(box, level=0)
    slide = open_whole(halves, index=read_index(halves))
    for name in ("_decoded", "_passing"):
        real = getattr(slide._tiles, name)
        monkeypatch.setattr(slide._tiles, name, lambda *found, real=real: real(*found) ^ 1)
    assert np.array_equal(slide.read(box, level=0), want)


def test_openslide_and_native_tiles_agree_on_a_real_svs(shared_data: Path) -> None:
    path = shared_data / "slides" / "cmu-1-small-region.svs"
    whole, tiled = open_whole(path), open_tiled(path)
    for box in (Box(0, 0, 500, 500), Box(1201, 777, 640, 333), Box(2700, 2000, 400, 400)):
        a, b = (slide.read(box, level=0).astype(int) for slide in (whole, tiled))
        assert np.abs(a - b).max() <= 1
    assert (whole.info.mpp, tiled.info.mpp) == (0.499, 0.499)
    assert set(whole.info.associated) == set(tiled.info.associated) == {"label", "macro", "thumbnail"}


def test_the_second_level_of_a_real_svs_is_exact(shared_data: Path) -> None:
    path = shared_data / "slides" / "tcga-cr-7395-01a-01-ts1.svs"
    slide, want = open_whole(path, index=read_index(path)), tifffile.imread(path, series=0, level=1)
    assert np.array_equal(slide.read(Box(501, 503, 300, 300), level=1), want[501:801, 503:803])
    assert slide.info.icc is not None
    assert len(slide.info.icc) == 3144


def test_a_damaged_region_is_named_and_others_are_still_read(tmp_path: Path) -> None:
    path = write(tmp_path / "d.tiff", scenery(512, 512, 3), compression="jpeg", tile=(128, 128))
    want = tifffile.imread(path)
    slide = open_whole(damaged(path, 5))
    for _ in range(2):
        with pytest.raises(SlideReadError, match=r"130 x 140 px at x 128, y 128 of level 0") as raised:
            slide.read(Box(128, 128, 140, 130), level=0)
        assert str(path) not in raised.value.message
        assert np.array_equal(slide.read(Box(0, 0, 100, 100), level=0), want[:100, :100])


def test_what_the_generic_driver_would_pass_over_is_left_to_the_other_reader(tmp_path: Path) -> None:
    full = scenery(400, 400, 3)
    with tifffile.TiffWriter(tmp_path / "planes.tiff") as file:
        for _ in range(3):
            file.write(full, tile=(128, 128), photometric="rgb", compression="jpeg", metadata=None)
    path = tmp_path / "planes.tiff"
    with pytest.raises(SlideOpenError, match="3 planes"):
        open_whole(path, index=read_index(path))
    path = write(tmp_path / "one.tiff", full, compression="jpeg", tile=(128, 128))
    with pytest.raises(SlideOpenError, match="no scene 1"):
        open_whole(path, 1)


class Handle:
    """An OpenSlide of a format of which there is no file here: bounds, and a transparent half."""

    properties = {
        "openslide.vendor": "mirax", "openslide.quickhash-1": "ab" * 32, "openslide.mpp-x": "0.25",
        "openslide.mpp-y": "0.2502", "openslide.bounds-x": "10", "openslide.bounds-y": "20",
        "openslide.bounds-width": "300", "openslide.bounds-height": "200", "openslide.objective-power": "40",
    }  # fmt: skip
    level_dimensions, level_downsamples, level_count = ((400, 300),), (1.0,), 1
    associated_images, color_profile = {"label": None}, None

    def __init__(self, path: Path) -> None:
        pass

    def read_region(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        rgba = np.zeros((size[1], size[0], 4), np.uint8)
        rgba[..., :3], rgba[:, ::2, 3] = 100, 255
        rgba[:, 1::4, 3] = 51
        return Image.fromarray(rgba)

    def close(self) -> None:
        pass


def test_bounds_are_kept_and_transparent_pixels_lie_on_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.openslide, "OpenSlide", Handle)
    slide = open_whole(tmp_path / "s.mrxs")
    assert slide.info.bounds == Box(20, 10, 200, 300)
    assert (slide.info.mpp, slide.info.objective) == (pytest.approx(0.2501), 40)
    assert slide.info.associated == ("label",)
    assert slide.id == "s-abababababab"
    row = slide.read(Box(0, 0, 1, 4), level=0)[0, :, 0].tolist()
    assert row == [100, 224, 100, 255]  # opaque, a fifth (0.2 * 100 + 0.8 * 255), opaque, clear


def test_an_aperio_slide_without_a_thumbnail_is_read_by_its_own_tiles(tmp_path: Path) -> None:
    picture = scenery(1024, 1280, 3)
    write_pyramid(tmp_path / "p.svs", [picture[:512], picture[512:]], (1024, 1280), 0.5, quality=85)
    slide = open_whole(tmp_path / "p.svs", index=read_index(tmp_path / "p.svs"))
    assert (slide.info.vendor, slide.info.mpp, slide.info.objective) == ("aperio", 0.5, 20.0)
    assert [level.shape for level in slide.info.levels] == [(1024, 1280), (512, 640), (256, 320)]
    assert "tifffile" in slide.info.reader
    shown = openslide.OpenSlide(tmp_path / "p.svs").read_region((200, 100), 1, (300, 200))
    assert np.array_equal(slide.read(Box(50, 100, 200, 300), level=1), np.asarray(shown)[..., :3])
