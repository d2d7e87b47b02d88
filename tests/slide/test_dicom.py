"""DICOM frame by frame: written here with pydicom, and the real folders against the SVS they were made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    VLWholeSlideMicroscopyImageStorage,
)

from tests.contract.slide_contract import SlideContract
from tests.slide.test_tiled import scenery, whole
from wsipipe.errors import SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.slide import open_slide
from wsipipe.slide.base import Slide
from wsipipe.slide.colour import jpeg_space
from wsipipe.slide.dicom import open_dicom
from wsipipe.slide.dicom_files import read_instance

Array = NDArray[Any]
ENCODE: dict[str, Callable[[Array], bytes]] = {
    JPEG2000Lossless: lambda tile: imagecodecs.jpeg2k_encode(tile, level=0, reversible=True, codecformat="j2k"),
    JPEGBaseline8Bit: lambda tile: imagecodecs.jpeg_encode(tile, level=90),
    JPEGLSLossless: imagecodecs.jpegls_encode,
}
SIDE = 64


def tiles_of(pixels: Array) -> list[Array]:
    """White-padded square tiles, row by row."""
    height, width = pixels.shape[:2]
    padded = np.full((-(-height // SIDE) * SIDE, -(-width // SIDE) * SIDE, *pixels.shape[2:]), 255, pixels.dtype)
    padded[:height, :width] = pixels
    rows, columns = range(0, padded.shape[0], SIDE), range(0, padded.shape[1], SIDE)
    return [np.ascontiguousarray(padded[y : y + SIDE, x : x + SIDE]) for y in rows for x in columns]


def write(
    path: Path, planes: list[Array], *, syntax: str = JPEG2000Lossless, table: str = "basic", **tags: Any
) -> Path:
    """One instance; `table` is basic, extended or none; `sparse` = list of (tile, y, x, z) replaces the order."""
    height, width = planes[0].shape[:2]
    frames = [tile for plane in planes for tile in tiles_of(plane)]
    sparse, flavour = tags.pop("sparse", None), tags.pop("flavour", "VOLUME")
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    header.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    header.SeriesInstanceUID, header.SOPInstanceUID = "1.2.3", f"1.2.3.{width}.{len(path.stem)}"
    header.ImageType = ["ORGINAL", "PRIMARY", flavour, "NONE"]
    header.Rows, header.Columns = SIDE, SIDE
    header.TotalPixelMatrixRows, header.TotalPixelMatrixColumns = height, width
    header.TotalPixelMatrixFocalPlanes, header.NumberOfFrames = len(planes), len(frames)
    header.SamplesPerPixel = planes[0].shape[2] if planes[0].ndim == 3 else 1
    header.PhotometricInterpretation = "RGB" if header.SamplesPerPixel == 3 else "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = planes[0].dtype.itemsize * 8
    header.PixelRepresentation = header.PlanarConfiguration = 0
    header.DimensionOrganizationType = "TILED_SPARSE" if sparse else "TILED_FULL"
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [0.00025, 0.00025]
    shared.PixelMeasuresSequence = [measures]
    header.SharedFunctionalGroupsSequence = [shared]
    if sparse:
        header.PerFrameFunctionalGroupsSequence = [placed(y, x, z) for _, y, x, z in sparse]
        frames = [frames[tile] for tile, *_ in sparse]
        header.NumberOfFrames = len(frames)
    for name, value in tags.items():
        setattr(header, name, value)
    put_pixels(header, frames, syntax, table)
    pydicom.dcmwrite(path, header, enforce_file_format=True)
    return path


def placed(y: int, x: int, z: float) -> Dataset:
    place, frame = Dataset(), Dataset()
    place.RowPositionInTotalImagePixelMatrix, place.ColumnPositionInTotalImagePixelMatrix = y + 1, x + 1
    place.ZOffsetInSlideCoordinateSystem = z
    frame.PlanePositionSlideSequence = [place]
    return frame


def put_pixels(header: Dataset, frames: list[Array], syntax: str, table: str) -> None:
    if syntax not in ENCODE:
        header.PixelData = b"".join(frame.tobytes() for frame in frames)
        header["PixelData"].VR = "OW" if header.BitsAllocated == 16 else "OB"
        return
    coded = [ENCODE[syntax](frame) for frame in frames]
    if table == "extended":
        header.PixelData, header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths = encapsulate_extended(coded)
    else:
        header.PixelData = encapsulate(coded, has_bot=table == "basic")
    header["PixelData"].VR = "OB"


class TestSeries(SlideContract):
    @pytest.fixture
    def slide(self, tmp_path: Path) -> Slide:
        full = scenery(301, 411, 3)
        write(tmp_path / "a.dcm", [full])
        write(tmp_path / "bb.dcm", [full[:300:2, :410:2]])
        return open_dicom(tmp_path)


@pytest.mark.parametrize("table", ["basic", "extended", "none"])
def test_frames_are_found_by_any_offset_table(tmp_path: Path, table: str) -> None:
    full = scenery(201, 300, 3)
    assert np.array_equal(whole(open_dicom(write(tmp_path / "a.dcm", [full], table=table))), full)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless])
def test_other_transfer_syntaxes(tmp_path: Path, syntax: str) -> None:
    full = scenery(130, 140, 3)
    assert np.array_equal(whole(open_dicom(write(tmp_path / "a.dcm", [full], syntax=syntax))), full)


def test_grey_of_sixteen_bits(tmp_path: Path) -> None:
    full = scenery(130, 140, dtype="uint16")
    slide = open_dicom(write(tmp_path / "a.dcm", [full], syntax=ExplicitVRLittleEndian))
    assert (slide.info.channels, slide.info.dtype, slide.info.fill) == (1, np.uint16, 0)
    assert np.array_equal(whole(slide)[..., 0], full)


def test_focal_planes_are_planes(tmp_path: Path) -> None:
    planes = [scenery(100, 140, 3, seed=seed) for seed in range(3)]
    slide = open_dicom(write(tmp_path / "a.dcm", planes))
    assert slide.info.planes == 3
    for index, plane in enumerate(planes):
        assert np.array_equal(whole(slide, plane=index), plane)


def test_sparse_frames_lie_where_they_say_and_the_rest_is_fill(tmp_path: Path) -> None:
    full = scenery(128, 192, 3)
    where = [(4, 64, 64, 0.0), (0, 0, 0, 0.0)]
    got = whole(open_dicom(write(tmp_path / "a.dcm", [full], sparse=where)))
    want = np.full_like(full, 255)
    want[64:, 64:128], want[:64, :64] = full[64:, 64:128], full[:64, :64]
    assert np.array_equal(got, want)
    with pytest.raises(SlideOpenError, match="off the grid"):
        open_dicom(write(tmp_path / "a.dcm", [full], sparse=[(0, 3, 0, 0.0)]))


def test_labels_are_named_and_never_read(tmp_path: Path) -> None:
    full = scenery(128, 130, 3)
    write(tmp_path / "vol.dcm", [full])
    write(tmp_path / "label.dcm", [scenery(300, 300, 3)], flavour="LABEL")
    for path in (tmp_path, tmp_path / "vol.dcm", tmp_path / "label.dcm"):
        slide = open_slide(path)
        assert (slide.info.associated, slide.info.shape) == (("label",), (128, 130))
        assert np.array_equal(whole(slide), full)


def test_several_series_in_a_folder_must_be_chosen(tmp_path: Path) -> None:
    one, two = scenery(128, 130, 3), scenery(100, 90, 3)
    write(tmp_path / "a.dcm", [one])
    write(tmp_path / "b.dcm", [two], SeriesInstanceUID="1.2.4")
    with pytest.raises(SlideOpenError, match="2 scenes"):
        open_slide(tmp_path)
    assert np.array_equal(whole(open_slide(tmp_path, scene=1)), two)
    assert np.array_equal(whole(open_slide(tmp_path / "a.dcm")), one)


def test_the_stream_says_its_colours_before_the_header_does() -> None:
    pixels = scenery(32, 32, 3)
    jfif = imagecodecs.jpeg_encode(pixels, level=90)
    assert jpeg_space(jfif, "RGB") == "YCBCR"
    bare = bytes.fromhex("ffd8ffc0001108002000200300110001110002110 0ffda".replace(" ", ""))
    assert jpeg_space(bare, "YCBCR") == "RGB"  # ids 0, 1, 2 without subsampling: a scanner's RGB
    assert jpeg_space(bare.replace(b"\x00\x11\x00\x01", b"\x00\x22\x00\x01"), "RGB") == "YCBCR"
    numbered = bytes.fromhex("ffd8ffc00011080020002003011100021100031100ffda")
    assert [jpeg_space(numbered, declared) for declared in ("RGB", "YCBCR")] == ["RGB", "YCBCR"]
    adobe = numbered[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" + numbered[2:]
    assert jpeg_space(adobe, "YCBCR") == "RGB"


def test_a_truncated_or_damaged_instance_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", [scenery(201, 300, 3)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(SlideOpenError, match="truncated") as raised:
        open_slide(path)
    assert path.name not in raised.value.message
    path.write_bytes(data[:400])
    with pytest.raises(SlideOpenError):
        open_slide(path)


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", [scenery(128, 192, 3)], syntax=JPEGBaseline8Bit)
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data) - 2) if data[i : i + 3] == b"\xff\xd8\xff"]
    data[starts[4] : starts[4] + 300] = bytes(300)
    path.write_bytes(data)
    slide = open_dicom(path)
    assert slide.read(Box(0, 0, 64, 64), level=0).any()
    with pytest.raises(SlideReadError, match=r"frame 4 \(tile row 1, column 1\)"):
        whole(slide)


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ({"SOPClassUID": CTImageStorage}, "no whole-slide volume"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR of 3 samples"),
        ({"NumberOfOpticalPaths": 2}, "2 optical paths"),
        ({"TotalPixelMatrixFocalPlanes": 2}, "frames, 12 are needed"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(tmp_path: Path, tags: dict[str, Any], match: str) -> None:
    with pytest.raises(SlideOpenError, match=match):
        open_dicom(write(tmp_path / "a.dcm", [scenery(128, 192, 3)], **tags))


@pytest.mark.parametrize("folder", ["dicom-j2k", "dicom-jpeg"])
def test_real_folders_equal_the_svs_they_were_made_from(shared_data: Path, folder: str) -> None:
    slide = open_slide(shared_data / "slides" / "formats" / folder)
    want = tifffile.imread(shared_data / "slides" / "cmu-1-small-region.svs", series=0)
    assert slide.info.mpp == pytest.approx(0.499)
    assert slide.info.associated == ("label", "overview")
    for box in (Box(0, 0, 300, 300), Box(2900, 2100, 67, 120), Box(1111, 999, 500, 250)):
        assert np.array_equal(slide.read(box, level=0), want[box.slices()])


def test_a_file_of_a_real_series_opens_the_series(shared_data: Path) -> None:
    folder = shared_data / "slides" / "formats" / "dicom-jpeg"
    prints = {open_slide(path).info.fingerprint for path in (folder, *folder.iterdir())}
    assert len(prints) == 1


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_header_cut_anywhere_is_no_instance_or_one(tmp_path: Path) -> None:
    """Whatever pydicom raises on it, also what `struct` raises inside it."""
    data = write(tmp_path / "whole.dcm", [scenery(SIDE, SIDE)]).read_bytes()
    path = tmp_path / "cut.dcm"
    for length in range(129, min(len(data), 1600), 9):
        path.write_bytes(data[:length])
        found = read_instance(path)
        assert found is None or found.path == path
