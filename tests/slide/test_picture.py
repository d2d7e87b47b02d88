"""Plain pictures: bits, palettes, alpha, turns, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.contract.slide_contract import SlideContract
from tests.slide.test_tiled import scenery, whole
from wsipipe.errors import MppError, SlideOpenError, SlideReadError
from wsipipe.slide import picture as module
from wsipipe.slide.base import Slide
from wsipipe.slide.picture import open_picture


def save(path: Path, picture: Any, mode: str | None = None, **options: Any) -> Path:
    made = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    (made.convert(mode) if mode else made).save(path, **options)
    return path


class TestPng(SlideContract):
    @pytest.fixture
    def slide(self, tmp_path: Path) -> Slide:
        return open_picture(save(tmp_path / "a.png", scenery(121, 133, 3)))


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "jpg"])
def test_formats_equal_pillows_decode(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", scenery(61, 73, 3))
    with Image.open(path) as picture:
        assert np.array_equal(whole(open_picture(path)), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("bands", [0, 3])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, bands: int) -> None:
    pixels = scenery(31, 40, *([bands] * bool(bands)), dtype="uint16")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    slide = open_picture(tmp_path / "a.png")
    assert (slide.info.dtype, slide.info.fill) == (np.uint16, 65535 if bands else 0)
    assert np.array_equal(np.squeeze(whole(slide)), pixels)


def test_grey_bilevel_and_palette(tmp_path: Path) -> None:
    grey = scenery(31, 40)
    slide = open_picture(save(tmp_path / "g.png", grey))
    assert (slide.info.channels, slide.info.fill) == (1, 0)
    assert np.array_equal(whole(slide)[..., 0], grey)
    slide = open_picture(save(tmp_path / "b.png", Image.fromarray(grey > 128)))
    assert np.array_equal(whole(slide)[..., 0], np.where(grey > 128, 255, 0))
    path = save(tmp_path / "p.png", Image.fromarray(scenery(31, 40, 3)).quantize(16))
    with Image.open(path) as picture:
        assert np.array_equal(whole(open_picture(path)), np.asarray(picture.convert("RGB")))


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    rgba = np.dstack([scenery(20, 30, 3), np.full((20, 30), 255, np.uint8)])
    rgba[5:10, :, 3], rgba[10:, :, 3] = 0, 51
    got = whole(open_picture(save(tmp_path / "a.png", rgba)))
    assert np.array_equal(got[:5], rgba[:5, :, :3])
    assert (got[5:10] == 255).all()
    assert np.abs(got[10:] - (rgba[10:, :, :3] * 0.2 + 255 * 0.8)).max() <= 0.5
    rgba = rgba.astype(np.uint16) * 257
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(rgba))
    assert (whole(open_picture(tmp_path / "b.png"))[5:10] == 65535).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turns_the_picture_upright(tmp_path: Path, turn: int) -> None:
    stored = scenery(40, 56, 3)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = save(tmp_path / "a.png", stored, exif=exif)
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1), 7: stored[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(stored),
    }[turn]  # fmt: skip
    slide = open_picture(path)
    assert slide.info.shape == upright.shape[:2]
    assert np.array_equal(whole(slide), upright)


def test_density_is_the_mpp_as_stated(tmp_path: Path) -> None:
    slide = open_picture(save(tmp_path / "a.png", scenery(20, 30, 3), dpi=(50800, 50800)))
    assert slide.info.mpp == pytest.approx(0.5, rel=1e-4)
    slide = open_picture(save(tmp_path / "a.jpg", scenery(20, 30, 3), dpi=(72, 72)))
    assert slide.info.mpp == pytest.approx(352.78, rel=1e-4)
    with pytest.raises(MppError, match="352"):
        slide.info.frames()
    assert open_picture(save(tmp_path / "b.jpg", scenery(20, 30, 3))).info.mpp is None


def test_the_colour_profile_is_kept(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", scenery(20, 30, 3), icc_profile=b"profile" * 20)
    assert open_picture(path).info.icc == b"profile" * 20


def test_small_jpeg_2000_is_read_whole(tmp_path: Path) -> None:
    pixels = scenery(61, 73, 3)
    for codec in ("jp2", "j2k"):
        (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat=codec))
        assert np.array_equal(whole(open_picture(tmp_path / "a.jp2")), pixels)


def test_capture_resolution_of_jpeg_2000() -> None:
    from wsipipe.slide.picture_file import _capture_resolution

    box = b"....resc" + bytes.fromhex("0002 0001 0004 0001 06 06")
    assert _capture_resolution(box) == (pytest.approx(0.5), pytest.approx(0.25))
    assert _capture_resolution(b"nothing") == (None, None)


def test_what_is_not_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SlideOpenError, match="CMYK"):
        open_picture(save(tmp_path / "c.jpg", scenery(20, 30, 3), "CMYK"))
    frames = [Image.fromarray(scenery(20, 30, 3, seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / "m.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(SlideOpenError, match="animation of 3 frames"):
        open_picture(tmp_path / "m.webp")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    with pytest.raises(SlideOpenError, match="header"):
        open_picture(tmp_path / "x.png")
    with pytest.raises(SlideOpenError, match="no scene 1"):
        open_picture(save(tmp_path / "a.png", scenery(20, 30, 3)), 1)


def test_too_large_pictures_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", scenery(20, 30, 3))
    monkeypatch.setattr(module, "MOST_PX", 599)
    with pytest.raises(SlideOpenError, match=r"30 x 20 px, at most .* tiled TIFF"):
        open_picture(path)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_cut_picture_cannot_be_read(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", scenery(200, 300, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SlideReadError, match="cut off"):
        whole(open_picture(path))
