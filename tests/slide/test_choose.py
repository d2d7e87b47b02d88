"""Which reader opens what, and what is said where none does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.slide.test_tiled import scenery, write
from wsipipe.errors import MppError, SlideOpenError, SlideReadError
from wsipipe.grid import Box, Frame
from wsipipe.slide import MemorySlide, Slide, open_slide
from wsipipe.units import Mpp


def test_importing_the_room_imports_no_library() -> None:
    code = "import sys, wsipipe.slide; print([m for m in ('openslide', 'tifffile', 'pydicom', 'zarr', 'PIL', 'torch', "
    code += "'tiatoolbox', 'imagecodecs') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_openslide_comes_first_and_native_tiles_take_the_rest(tmp_path: Path) -> None:
    full = scenery(300, 400, 3)
    jpeg = open_slide(write(tmp_path / "a.tif", full, compression="jpeg", tile=(128, 128)))
    webp = open_slide(write(tmp_path / "b.svs", full, compression="webp"))
    assert jpeg.info.reader.startswith("openslide 4.")
    assert webp.info.reader.startswith("tifffile 20")
    assert "+ imagecodecs 20" in webp.info.reader
    assert isinstance(jpeg, Slide)
    assert isinstance(webp, Slide)


def test_ome_pyramids_keep_their_levels_and_mpp(tmp_path: Path) -> None:
    full = scenery(512, 512, 3)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        options = {"tile": (128, 128), "photometric": "rgb", "compression": "jpeg"}
        sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        file.write(full, subifds=1, metadata={"axes": "YXS", **sizes}, **options)
        file.write(full[::2, ::2], subfiletype=1, metadata=None, **options)
    slide = open_slide(tmp_path / "a.ome.tif")
    assert (len(slide.info.levels), slide.info.mpp) == (2, 0.5)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    from PIL import Image

    pixels = scenery(40, 50, 3)
    with (tmp_path / "a.svs").open("wb") as file:
        Image.fromarray(pixels).save(file, format="png")
    slide = open_slide(tmp_path / "a.svs")
    assert np.array_equal(slide.read(Box(0, 0, 40, 50), level=0), pixels)


def test_a_given_mpp_replaces_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", scenery(300, 400, 3))
    assert open_slide(path, mpp=0.4).info.mpp == 0.4
    assert open_slide(path, mpp=0.4).id == open_slide(path).id
    for wrong in (-1.0, 0.0, 90.0, float("nan")):
        with pytest.raises(MppError, match=r"0\.05 to 20"):
            open_slide(path, mpp=wrong)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("empty.svs", b"", r"is empty \(0 bytes"),
        ("text.svs", b"no slide at all", r"no reader takes it.*copy the file again"),
        ("cut.tif", b"II*\x00\x08\x00\x00\x00\xff", r"no reader takes it.*tiled: reading its TIFF directories"),
        ("cut.dcm", bytes(128) + b"DICM" + bytes(9), "no reader takes it"),
        ("cut.jp2", b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40), r"no reader takes it.*picture: .*tiatoolbox: "),
        ("cut.png", b"\x89PNG\r\n\x1a\n", r"no reader takes it.*picture: "),
        ("macro.mrxs", b"\xff\xd8\xff", "openslide: "),
    ],
    ids=["empty", "text", "tiff", "dicom", "jpeg2000", "png", "mrxs"],
)
def test_refusals_are_one_line_without_the_files_name(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SlideOpenError, match=match) as raised:
        open_slide(path)
    assert raised.value.subject == str(path)
    assert path.stem + "." not in raised.value.message
    assert "\n" not in raised.value.message


def test_paths_without_a_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SlideOpenError, match="no such file"):
        open_slide(tmp_path / "nothing.svs")
    with pytest.raises(SlideOpenError, match="a directory is a slide where"):
        open_slide(tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(SlideOpenError, match="check path"):
        open_slide(tmp_path / "file" / "below.svs")
    with pytest.raises(SlideOpenError, match="check path"):
        open_slide("a\0b.svs")
    os.mkfifo(tmp_path / "pipe.svs")  # opening one would wait for ever
    with pytest.raises(SlideOpenError, match="neither file nor directory"):
        open_slide(tmp_path / "pipe.svs")

    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(SlideOpenError, match="permission denied, change"):
        open_slide(tmp_path / "file")


def test_a_truncated_pyramid_is_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", scenery(512, 768, 3), compression="jpeg", tile=(128, 128))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SlideOpenError, match="it is truncated, copy it again"):
        open_slide(path)


def test_an_overview_of_one_huge_level_is_read_in_bounded_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    slide = MemorySlide(np.zeros((8, 8, 3), np.uint8), mpp=0.25)
    asked: list[Box] = []

    def pixels(level: int, box: Box, plane: int) -> np.ndarray:
        asked.append(box)
        return np.broadcast_to(np.uint8(7), (*box.shape, 3))

    monkeypatch.setattr(slide, "_pixels", pixels)
    from dataclasses import replace

    slide._info = replace(slide.info, levels=(replace(slide.info.levels[0], shape=(60_000, 300_000)),))
    got = slide.read(Box(0, 0, 6, 30), frame=Frame((600, 3000), 100.0, Mpp(25.0)))
    assert (got == 7).all()
    big = Box(0, 0, 15, 1500)
    assert (slide.read(big, frame=Frame((120, 1500), 200.0, Mpp(25.0))) == 7).all()
    assert max(box.area for box in asked) <= 16_000_000


def test_closing_twice_and_reading_afterwards(tmp_path: Path) -> None:
    for codec in ("jpeg", "webp"):
        slide = open_slide(write(tmp_path / f"{codec}.tif", scenery(300, 400, 3), compression=codec, tile=(128, 128)))
        slide.close()
        slide.close()
        with pytest.raises(SlideReadError, match="closed"):
            slide.read(Box(0, 0, 1, 1), level=0)


def test_tiles_too_large_to_be_true_reach_no_decoder(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", scenery(300, 400, 3), compression="jpeg", tile=(128, 128))
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[322].overwrite(
            128_000
        )  # OpenSlide would ask for gigabytes, and end the process without them
        file.pages[0].tags[323].overwrite(128_000)
    with pytest.raises(SlideOpenError, match="16384000000 px, at most 500000000"):
        open_slide(path)
