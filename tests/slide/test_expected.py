"""The table of all real slides holds, and their pixels are what a plain reference decoder gives.

``expected.csv``: one line per slide that `find_slides` finds below ``slides/`` (a DICOM series is one): who reads it,
its size, levels and stored mpp (empty: none), or the error that it fails with.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tests.contract.slide_contract import SlideContract
from wsipipe import errors
from wsipipe.grid import Box
from wsipipe.slide import Slide, find_slides, open_slide
from wsipipe.slide.tiled import open_tiled

with (Path(__file__).parent / "expected.csv").open(newline="") as table:
    ROWS = list(csv.DictReader(table))
GOOD = [row["path"] for row in ROWS if not row["error"]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["path"])
def test_each_slide_opens_as_the_table_says(row: dict[str, str], shared_data: Path) -> None:
    path = shared_data / "slides" / row["path"]
    if row["error"]:
        with pytest.raises(getattr(errors, row["error"])) as caught:
            open_slide(path)
        assert caught.value.subject == str(path)
        assert "\n" not in str(caught.value)
        return
    slide = open_slide(path)
    known = slide.info
    slide.close()
    mpp = "" if known.mpp is None else f"{known.mpp:.6g}"
    got = (known.reader.split()[0], *map(str, known.shape), str(len(known.levels)), mpp)
    assert got == tuple(row[name] for name in ("reader", "height", "width", "levels", "mpp"))


def test_the_table_names_all_slides(shared_data: Path) -> None:
    root = shared_data / "slides"
    assert [str(path.relative_to(root)) for path in find_slides([root])] == [row["path"] for row in ROWS]


def reference(path: Path) -> NDArray[np.uint8] | None:
    """Level 0 decoded whole by another route than ours; None for JPEG 2000 with YCbCr, which tifffile does not turn."""
    if path.is_dir():
        headers = {one: pydicom.dcmread(one, stop_before_pixels=True) for one in sorted(path.iterdir())}
        path = max(headers, key=lambda one: int(headers[one].NumberOfFrames))
    if path.suffix == ".dcm":
        return frames(pydicom.dcmread(path))
    with tifffile.TiffFile(path) as file:
        return None if int(file.pages[0].compression) == 33005 else file.series[0].asarray()


def frames(header: pydicom.Dataset) -> NDArray[np.uint8]:
    """Frames of a TILED_FULL volume laid out, each decoded by Pillow."""
    height, width = int(header.TotalPixelMatrixRows), int(header.TotalPixelMatrixColumns)
    rows, columns = int(header.Rows), int(header.Columns)
    across = -(-width // columns)
    out = np.zeros((-(-height // rows) * rows, across * columns, 3), np.uint8)
    parts = pydicom.encaps.generate_frames(header.PixelData, number_of_frames=int(header.NumberOfFrames))
    for index, part in enumerate(parts):
        y, x = index // across * rows, index % across * columns
        out[y : y + rows, x : x + columns] = jpeg(part)
    return out[:height, :width]


def jpeg(stream: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(stream)).convert("RGB"))


@pytest.mark.parametrize("name", GOOD)
def test_pixels_equal_a_whole_decode(name: str, shared_data: Path) -> None:
    path = shared_data / "slides" / name
    want = reference(path)
    if want is None:
        pytest.skip("tifffile does not convert the YCbCr of Aperio's JPEG 2000; compared in test_jpeg_2000_svs")
    slide = open_slide(path)
    height, width = slide.info.shape
    assert want.shape == (height, width, 3)
    for box in (Box(0, 0, 65, 70), Box(height // 2 - 40, width // 3, 131, 90), Box(height - 33, width - 61, 33, 61)):
        difference = np.abs(slide.read(box, level=0).astype(int) - want[box.slices()])
        assert difference.max() <= 1, box
    slide.close()


def test_tiles_of_our_own_equal_openslide(shared_data: Path) -> None:
    path = shared_data / "slides" / "cmu-1-small-region.svs"
    theirs, ours = open_slide(path), open_tiled(path)
    box = Box(0, 0, *theirs.info.shape)
    assert theirs.info.reader.startswith("openslide")
    assert np.abs(theirs.read(box, level=0).astype(int) - ours.read(box, level=0)).max() <= 1


def test_dicom_is_the_svs_that_it_was_made_from(shared_data: Path) -> None:
    svs = open_slide(shared_data / "slides" / "cmu-1-small-region.svs")
    box = Box(700, 900, 600, 500)
    want = svs.read(box, level=0).astype(int)
    for folder in ("dicom-j2k", "dicom-jpeg"):
        dicom = open_slide(shared_data / "slides" / "formats" / folder)
        assert np.abs(dicom.read(box, level=0) - want).max() <= 1
        assert dicom.info.mpp == pytest.approx(0.499)
        assert set(dicom.info.associated) == {"label", "overview"}


def test_jpeg_2000_svs(shared_data: Path) -> None:
    """Level 1 lies where level 0's means of 2 x 2 lie: sharper there than one pixel off in any direction."""
    slide = open_slide(shared_data / "slides" / "tcga-cr-7395-01a-01-ts1.svs")
    fine = slide.read(Box(2 * 1500, 2 * 1900, 400, 400), level=0).reshape(200, 2, 200, 2, 3).mean(axis=(1, 3))

    def off(dy: int, dx: int) -> float:
        return float(np.abs(slide.read(Box(1500 + dy, 1900 + dx, 200, 200), level=1) - fine).mean())

    assert off(0, 0) < 4 < min(off(0, 1), off(1, 0), off(0, -1), off(-1, 0))
    assert slide.info.mpp is None
    assert len(slide.info.icc or b"") == 3144


class TestSvs(SlideContract):
    @pytest.fixture
    def slide(self, shared_data: Path) -> Slide:
        return open_slide(shared_data / "slides" / "cmu-1-small-region.svs")


class TestSvsPyramid(SlideContract):
    @pytest.fixture
    def slide(self, shared_data: Path) -> Slide:
        return open_slide(shared_data / "slides" / "tcga-cr-7395-01a-01-ts1.svs")


class TestJpeg2000Tiff(SlideContract):
    @pytest.fixture
    def slide(self, shared_data: Path) -> Slide:
        return open_slide(shared_data / "slides" / "formats" / "CMU-1-Small-Region.jp2.tiff")


class TestDicom(SlideContract):
    @pytest.fixture
    def slide(self, shared_data: Path) -> Slide:
        return open_slide(shared_data / "slides" / "formats" / "dicom-jpeg")


class TestPlainTiff(SlideContract):
    @pytest.fixture
    def slide(self, shared_data: Path) -> Slide:
        return open_slide(shared_data / "slides" / "kidney-48-5.tif")


class TestJpegPicture(SlideContract):
    @pytest.fixture
    def slide(self, shared_data: Path) -> Slide:
        return open_slide(shared_data / "fields" / "he-3x3" / "00001_x1_y1_zp1.jpg")
