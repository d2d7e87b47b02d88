"""TIFF tile by tile: codecs, layouts, planes, scenes and damage, against arrays that were written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.contract.slide_contract import SlideContract
from wsipipe.errors import MppError, SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.slide.base import Slide
from wsipipe.slide.tiled import open_tiled

Array = NDArray[Any]


def scenery(*shape: int, dtype: str = "uint8", seed: int = 3) -> Array:
    """Smooth enough for JPEG, noisy enough to tell pixels apart."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    base = 128 + 60 * np.sin(x / 17) + 40 * np.cos(y / 23)
    noisy = base.reshape(base.shape + (1,) * (len(shape) - 2)) + rng.normal(0, 6, shape)
    scale = 1 if dtype == "uint8" else 200
    return (np.clip(noisy, 0, 255) * scale).astype(dtype)


def write(path: Path, *pictures: Array, **options: Any) -> Path:
    given = {"tile": (64, 96), "photometric": "rgb", "metadata": None, "compression": "deflate"} | options
    with tifffile.TiffWriter(path, bigtiff=given.pop("bigtiff", False), byteorder=given.pop("byteorder", "<")) as file:
        for i, picture in enumerate(pictures):
            file.write(picture, **given, subfiletype=1 if i else 0)
    return path


def whole(slide: Slide, level: int = 0, plane: int = 0) -> Array:
    return slide.read(Box(0, 0, *slide.info.levels[level].shape), level=level, plane=plane)


class TestPyramid(SlideContract):
    @pytest.fixture
    def slide(self, tmp_path: Path) -> Slide:
        full = scenery(411, 533, 3)
        return open_tiled(write(tmp_path / "p.tif", full, full[:410:2, :532:2], full[:408:4, :532:4]))


class TestStrips(SlideContract):
    @pytest.fixture
    def slide(self, tmp_path: Path) -> Slide:
        path = write(tmp_path / "s.tif", scenery(123, 145, 3), tile=None, rowsperstrip=7, compression=None)
        return open_tiled(path)


class TestPlanesOfSixteenBits(SlideContract):
    @pytest.fixture
    def slide(self, tmp_path: Path) -> Slide:
        pages = scenery(131, 120, dtype="uint16"), scenery(131, 120, dtype="uint16", seed=4)
        with tifffile.TiffWriter(tmp_path / "z.ome.tif") as file:
            file.write(np.stack(pages), tile=(64, 64), metadata={"axes": "ZYX"}, photometric="minisblack")
        return open_tiled(tmp_path / "z.ome.tif")


@pytest.mark.parametrize(
    "options",
    [
        {"compression": None}, {"compression": "lzw"}, {"compression": "deflate", "predictor": True},
        {"compression": "zstd"}, {"compression": "lzma"}, {"compression": "packbits"}, {"bigtiff": True},
        {"byteorder": ">"}, {"byteorder": ">", "compression": None}, {"planarconfig": "separate"},
        {"compression": "png"}, {"compression": "jpeg2000", "compressionargs": {"reversible": True}},
        {"compression": "webp", "compressionargs": {"lossless": True}},
        {"tile": None, "compression": "lzw", "rowsperstrip": 13}, {"tile": None, "compression": None},
    ],
    ids=str,
)  # fmt: skip
def test_lossless_codecs_and_layouts_give_what_was_written(tmp_path: Path, options: dict[str, Any]) -> None:
    pixels = scenery(201, 257, 3)
    stored = np.moveaxis(pixels, -1, 0) if options.get("planarconfig") == "separate" else pixels
    slide = open_tiled(write(tmp_path / "a.tif", stored, **options))
    assert np.array_equal(whole(slide), pixels)
    assert np.array_equal(slide.read(Box(60, 90, 10, 12), level=0), pixels[60:70, 90:102])


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000", "webp"])
def test_lossy_codecs_agree_with_a_full_decode(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "a.tif", scenery(300, 310, 3), compression=codec)
    slide = open_tiled(path)
    for box in (Box(0, 0, 300, 310), Box(63, 95, 2, 2), Box(250, 200, 50, 110)):
        assert np.array_equal(slide.read(box, level=0), tifffile.imread(path)[box.slices()])


def test_sixteen_bits_floats_and_grey_keep_their_values(tmp_path: Path) -> None:
    for dtype in ("uint8", "uint16", "int32", "float32"):
        pixels = scenery(70, 130, dtype=dtype)
        slide = open_tiled(write(tmp_path / f"{dtype}.tif", pixels, photometric="minisblack"))
        assert (slide.info.dtype, slide.info.channels, slide.info.fill) == (np.dtype(dtype), 1, 0)
        assert np.array_equal(whole(slide)[..., 0], pixels)


def test_palette_min_is_white_and_alpha_become_what_they_look_like(tmp_path: Path) -> None:
    index = scenery(66, 70)
    palette = np.arange(3 * 256, dtype=np.uint16).reshape(3, 256) * 80
    path = write(tmp_path / "p.tif", index, photometric="palette", colormap=palette)
    assert np.array_equal(whole(open_tiled(path)), (palette >> 8).T.astype(np.uint8)[index])
    path = write(tmp_path / "w.tif", index, photometric="miniswhite")
    assert np.array_equal(whole(open_tiled(path))[..., 0], 255 - index)
    rgba = np.dstack([scenery(66, 70, 3), np.where(np.mgrid[:66, :70][0] < 30, 0, 255).astype(np.uint8)])
    slide = open_tiled(write(tmp_path / "a.tif", rgba, extrasamples=["unassalpha"]))
    assert slide.info.channels == 3
    assert (whole(slide)[:30] == 255).all()
    assert np.array_equal(whole(slide)[30:], rgba[30:, :, :3])


def test_channels_on_pages_of_their_own_are_one_plane(tmp_path: Path) -> None:
    pixels = np.stack([np.stack([scenery(80, 90, seed=z * 2 + c) for c in range(2)]) for z in range(3)])
    with tifffile.TiffWriter(tmp_path / "c.ome.tif") as file:
        file.write(pixels, tile=(32, 32), metadata={"axes": "ZCYX"}, photometric="minisblack", compression="zlib")
    slide = open_tiled(tmp_path / "c.ome.tif")
    assert (slide.info.planes, slide.info.channels, slide.info.fill) == (3, 2, 0)
    for plane in range(3):
        assert np.array_equal(whole(slide, plane=plane), np.moveaxis(pixels[plane], 0, -1))


def test_levels_of_sub_directories_and_of_the_main_chain_are_found(tmp_path: Path) -> None:
    full = scenery(400, 500, 3)
    with tifffile.TiffWriter(tmp_path / "s.ome.tif") as file:
        options = {"tile": (64, 64), "photometric": "rgb", "compression": "lzw"}
        file.write(full, subifds=1, metadata={"axes": "YXS"}, **options)
        file.write(full[::2, ::2], subfiletype=1, metadata=None, **options)
    for path in (tmp_path / "s.ome.tif", write(tmp_path / "m.tif", full, full[::2, ::2])):
        slide = open_tiled(path)
        assert [(level.shape, level.downsample) for level in slide.info.levels] == [((400, 500), 1), ((200, 250), 2)]
        assert np.array_equal(whole(slide, 1), full[::2, ::2])


def test_cut_levels_keep_the_whole_ratio_and_others_their_own(tmp_path: Path) -> None:
    full = scenery(403, 501, 3)
    slide = open_tiled(write(tmp_path / "c.tif", full, full[:402:2, :500:2]))
    assert slide.info.levels[1].downsample == 2
    slide = open_tiled(write(tmp_path / "d.tif", full, full[:150, :187]))
    assert slide.info.levels[1].downsample == pytest.approx((403 / 150 + 501 / 187) / 2)


def test_several_pictures_are_scenes_that_must_be_chosen(tmp_path: Path) -> None:
    one, two = scenery(100, 110, 3), scenery(90, 80, 3, seed=9)
    with tifffile.TiffWriter(tmp_path / "s.ome.tif") as file:
        for name, pixels in (("left", one), ("right", two), ("label image", one[:50, :50])):
            file.write(pixels, tile=(64, 64), photometric="rgb", metadata={"axes": "YXS", "Name": name})
    path = tmp_path / "s.ome.tif"
    with pytest.raises(SlideOpenError, match=r"2 scenes.*0: left 110 x 100; 1: right 80 x 90"):
        open_tiled(path)
    with pytest.raises(SlideOpenError, match="no scene 2"):
        open_tiled(path, 2)
    assert np.array_equal(whole(open_tiled(path, 1)), two)
    assert open_tiled(path, 0).id != open_tiled(path, 1).id
    assert open_tiled(path, 0).info.associated == ("label image",)


MPP = [
    ({"resolution": (40000, 40000), "resolutionunit": "CENTIMETER"}, 0.25),
    ({"resolution": (50800, 50800), "resolutionunit": "INCH"}, 0.5),
    ({"resolution": (1, 1), "resolutionunit": "INCH"}, 25400.0),
    ({"resolution": (40000, 40000), "resolutionunit": "NONE"}, None),
    ({"resolution": (0, 0), "resolutionunit": "CENTIMETER"}, None),
    ({"resolution": (40000, 39800), "resolutionunit": "CENTIMETER"}, (0.25 + 10000 / 39800) / 2),
]


@pytest.mark.parametrize(("tags", "mpp"), MPP)
def test_mpp_of_resolution_tags_is_as_stored(tmp_path: Path, tags: dict[str, Any], mpp: float | None) -> None:
    assert open_tiled(write(tmp_path / "a.tif", scenery(70, 80, 3), **tags)).info.mpp == pytest.approx(mpp)


def test_oblong_pixels_have_no_frames_until_an_mpp_is_given(tmp_path: Path) -> None:
    tags = {"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}
    slide = open_tiled(write(tmp_path / "a.tif", scenery(70, 80, 3), **tags))
    assert slide.info.mpp == pytest.approx(0.375)
    with pytest.raises(MppError, match=r"0.5 micrometres per pixel down and 0.25 across"):
        slide.info.frames()
    slide.replace_mpp(0.25)
    assert slide.info.frames()[0].mpp == 0.25


def test_ome_and_aperio_say_their_own_mpp(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(tmp_path / "o.ome.tif") as file:
        file.write(scenery(70, 80, 3), photometric="rgb", metadata={"axes": "YXS", **sizes}, resolution=(1, 1))
    assert open_tiled(tmp_path / "o.ome.tif").info.mpp == pytest.approx(0.25)
    said = "Aperio Image Library v11\r\n80x70 (64x64) JPEG/RGB Q=70|AppMag = 40|MPP = 0.2527"
    slide = open_tiled(write(tmp_path / "a.svs", scenery(70, 80, 3), description=said, resolution=(1, 1)))
    assert (slide.info.mpp, slide.info.objective, slide.info.vendor) == (0.2527, 40, "aperio")
    said = said.replace("|MPP = 0.2527", "")  # a magnification is no mpp
    assert open_tiled(write(tmp_path / "b.svs", scenery(70, 80, 3), description=said)).info.mpp is None


def damaged(path: Path, tile: int) -> Path:
    """Overwrite a tile's bytes."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[tile], page.databytecounts[tile]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codec", ["jpeg", "deflate", "zstd", "lzw", "jpeg2000", "webp"])
def test_a_damaged_tile_is_named_and_its_neighbours_are_read(tmp_path: Path, codec: str) -> None:
    pixels = scenery(256, 384, 3)
    path = write(tmp_path / "d.tif", pixels, compression=codec)
    before = whole(open_tiled(path))
    slide = open_tiled(damaged(path, 6))  # four tiles to a row
    with pytest.raises(SlideReadError, match="tile row 1, column 2 of level 0"):
        whole(slide)
    assert np.array_equal(slide.read(Box(0, 0, 64, 384), level=0), before[:64])


def test_a_missing_tile_is_fill(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", scenery(128, 192, 3))
    with tifffile.TiffFile(path, mode="r+b") as file:
        counts = list(file.pages[0].databytecounts)
        file.pages[0].tags[325].overwrite([0, *counts[1:]])
    slide = open_tiled(path)
    assert (slide.read(Box(0, 0, 64, 96), level=0) == 255).all()
    assert not (slide.read(Box(0, 96, 64, 96), level=0) == 255).all()


def test_cut_files_never_pass_for_whole_ones(tmp_path: Path) -> None:
    data = write(tmp_path / "w.tif", scenery(256, 384, 3), compression="jpeg").read_bytes()
    path = tmp_path / "cut.tif"
    for share in (0.01, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(SlideOpenError, match=r"damaged or cut off|truncated"):
            open_tiled(path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"photometric": "separated", "shape": (70, 80, 4)}, "convert them to RGB"),
        ({"shape": (70, 80), "dtype": "bool", "photometric": "minisblack", "compression": None}, "bits"),
        ({"shape": (70, 80), "dtype": "complex64", "photometric": "minisblack"}, "bits"),
        ({"extratags": [(274, "H", 1, 6, True)]}, "stored turned"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    pixels = np.zeros(options.pop("shape", (70, 80, 3)), options.pop("dtype", "uint8"))
    with pytest.raises(SlideOpenError, match=match):
        open_tiled(write(tmp_path / "n.tif", pixels, **options))


def test_content_makes_the_fingerprint(tmp_path: Path) -> None:
    one = open_tiled(write(tmp_path / "a.tif", scenery(300, 300, 3)))
    (tmp_path / "sub").mkdir()
    assert open_tiled(write(tmp_path / "sub" / "a.tif", scenery(300, 300, 3))).id == one.id
    assert open_tiled(write(tmp_path / "b.tif", scenery(300, 300, 3, seed=8))).info.fingerprint != one.info.fingerprint


def test_only_the_tiles_touched_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = open_tiled(write(tmp_path / "a.tif", scenery(512, 768, 3), compression="zstd"))
    decoded, decode = [], imagecodecs.zstd_decode
    monkeypatch.setattr(imagecodecs, "zstd_decode", lambda *a, **k: decoded.append(1) or decode(*a, **k))
    monkeypatch.setitem(tifffile.TIFF.DECOMPRESSORS._codecs, 50000, imagecodecs.zstd_decode)
    slide = open_tiled(slide._tiles._path)
    slide.read(Box(64, 96, 64, 97), level=0)
    assert len(decoded) == 2
    slide.read(Box(64, 193, 64, 9), level=0)
    assert len(decoded) == 2  # the one that reached past the first box was kept
    slide.read(Box(64, 96, 64, 96), level=0)
    assert len(decoded) == 3  # the one that lay inside was not: tiles of a run are read once


def test_jpeg_tiles_decoded_into_given_memory_are_those_that_tifffile_decodes(tmp_path: Path) -> None:
    """RGB and YCbCr, subsampled or not, in a picture that does not fill its last tiles; by several threads."""
    rgb = scenery(700, 900, 3)
    for photometric, sampling in (("rgb", (1, 1)), ("ycbcr", (1, 1)), ("ycbcr", (2, 2))):
        path = tmp_path / f"{photometric}{sampling[0]}.tif"
        layout = {"tile": (256, 256), "photometric": photometric, "subsampling": sampling}
        slide, want = open_tiled(write(path, rgb, compression="jpeg", **layout)), tifffile.imread(path)
        assert slide._tiles._scene.levels[0].pages[0][0].into is not None
        boxes = [Box(y, x, 256, 256) for y in (0, 256) for x in (0, 256, 512)] * 4
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda box, slide=slide: slide.read(box, level=0), boxes))
        for box, pixels in zip(boxes, found, strict=True):
            assert np.array_equal(pixels, want[box.slices()])
        assert slide._tiles._cache.held_bytes == 0, "whole tiles are not kept"
        assert np.array_equal(slide.read(Box(0, 0, 700, 900), level=0), want)
