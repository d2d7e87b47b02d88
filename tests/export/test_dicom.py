"""DICOM objects: read back by highdicom and pydicom, in the slide's frame of reference, the same at every export."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import wsipipe
from tests.export import made
from wsipipe.errors import UsageError
from wsipipe.export import export
from wsipipe.export.dicom_source import NEEDED
from wsipipe.grid import Box
from wsipipe.query import Results
from wsipipe.store import records

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # while it is imported
    import highdicom as hd
    from highdicom.spatial import PixelToReferenceTransformer

Written = Callable[..., list[Path]]
VALIDATOR_IS_WRONG = "Only valid for AnnotationCoordinateType of 3D"
"""dciodvfy of 2022 says so of every flat annotation group, also of one that has no such attribute."""


def by_name(paths: list[Path]) -> dict[str, Path]:
    return {path.stem: path for path in paths}


@pytest.fixture
def found(written: Written) -> dict[str, Path]:
    """The objects of one slide that is no DICOM."""
    return by_name(written("dicom", "alpha"))


def to_mm(dataset: Any, spacing: Any, at: Any) -> Any:
    """Millimetres on the slide of (column, row) positions counted from the corner of the first pixel."""
    origin = dataset.TotalPixelMatrixOriginSequence[0]
    position = [
        float(origin[name].value) for name in ("XOffsetInSlideCoordinateSystem", "YOffsetInSlideCoordinateSystem")
    ]
    place = PixelToReferenceTransformer([*position, 0.0], dataset.ImageOrientationSlide, spacing)
    (x0, y0, _), (x1, y1, _), (x2, y2, _) = place(np.array([[0, 0], [1, 0], [0, 1]]))
    along, down = np.array([x1 - x0, y1 - y0]), np.array([x2 - x0, y2 - y0])
    return np.array([x0, y0]) + (at[:, :1] - 0.5) * along + (at[:, 1:] - 0.5) * down


def test_the_source_is_the_overview(found: dict[str, Path]) -> None:
    source = pydicom.dcmread(found["source"])
    assert source.SOPClassUID.name == "VL Whole Slide Microscopy Image Storage"
    assert (source.TotalPixelMatrixRows, source.TotalPixelMatrixColumns) == made.OVERVIEW.shape[:2]
    assert source.NumberOfFrames == 4
    assert [name for name in NEEDED if name not in source] == []
    slide = wsipipe.open_slide(str(found["source"]))
    try:
        assert slide.info.mpp == pytest.approx(4.0)
        shown = slide.read(Box(0, 0, *made.OVERVIEW.shape[:2]), level=0)
    finally:
        slide.close()
    assert shown.shape == made.OVERVIEW.shape  # JPEG of noise: only its mean is kept
    np.testing.assert_allclose(shown.mean(axis=(0, 1)), made.OVERVIEW.mean(axis=(0, 1)), atol=3)


def test_tiles_and_regions_are_annotations(found: dict[str, Path], results: Results) -> None:
    ann = hd.ann.annread(found["annotations"])
    tiles, regions = ann.get_annotation_groups()
    table = results.slide("alpha").tiles
    scale = made.FRAME.downsample * 8
    corners = np.stack(tiles.get_graphic_data("2D"))
    assert corners.shape == (5, 4, 2)
    np.testing.assert_allclose(corners[:, 0] * scale, table[["x", "y"]], rtol=1e-5)
    sides = (corners[:, 2] - corners[:, 0]) * scale
    np.testing.assert_allclose(sides, table[["width", "height"]], rtol=1e-4)
    names, values, _ = tiles.get_measurements()
    at = [name.meaning for name in names].index("focus")
    np.testing.assert_array_equal(values[:, at], table["focus"])  # one is missing
    assert np.isnan(values[1, at])
    ring = regions.get_graphic_data("2D")[0]
    np.testing.assert_allclose(ring * scale, np.asarray(made.RING.exterior.coords)[:-1], rtol=1e-5)
    _, values, units = regions.get_measurements()
    assert values[:, 1].tolist() == [26_000.0, 1.5]
    assert units[1].value == "um2"


def test_the_lesion_map_lies_where_the_slide_does(found: dict[str, Path]) -> None:
    seg, source = hd.seg.segread(found["lesion"]), pydicom.dcmread(found["source"])
    shown = seg.get_total_pixel_matrix(combine_segments=True)
    np.testing.assert_array_equal(shown, made.P > 200)
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    spacing = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    assert [float(v) for v in spacing] == pytest.approx([0.002, 0.002])
    corners = np.array([[0.0, 0.0], [100.0, 60.0]])
    own = source.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    np.testing.assert_allclose(to_mm(seg, spacing, corners), to_mm(source, own, corners / 2), atol=2e-6)


def test_the_report_gives_the_category(written: Written, found: dict[str, Path]) -> None:
    report = hd.sr.srread(found["report"])
    (group,) = report.content.get_image_measurement_groups()
    (told,) = group.get_qualitative_evaluations()
    assert (told.value.value, told.value.meaning) == ("invasive", "Invasive carcinoma")
    values = {m.name.value: m.value for m in group.get_measurements()}
    assert values == {"p_negative": 0.05, "p_low_grade": 0.1, "p_high_grade": 0.15, "p_invasive": 0.7, "tiles": 5.0}
    source = pydicom.dcmread(found["source"])
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    empty = hd.sr.srread(by_name(written("dicom", "empty"))["report"])
    (told,) = empty.content.get_image_measurement_groups()[0].get_qualitative_evaluations()
    assert told.value.meaning == "No category: too little tissue"


def test_a_slide_without_findings_has_no_annotations(written: Written) -> None:
    files = by_name(written("dicom", "empty"))
    assert set(files) == {"source", "lesion", "report"}
    assert not hd.seg.segread(files["lesion"]).pixel_array.any()


def test_all_are_of_one_study_and_name_nobody(found: dict[str, Path]) -> None:
    read = [pydicom.dcmread(path) for path in found.values()]
    assert len({item.StudyInstanceUID for item in read}) == 1
    assert len({item.SOPInstanceUID for item in read}) == len({item.SeriesInstanceUID for item in read}) == 4
    for item in read:
        assert not item.PatientName
        assert item.PatientID == "alpha-111"
        assert item.StudyInstanceUID.is_valid
        assert "there/alpha.svs" not in str(item)
        assert item.ContentDate == "20231114"  # of the run


def test_equal_results_give_equal_files(written: Written, found: dict[str, Path]) -> None:
    first = {name: path.read_bytes() for name, path in found.items()}
    again = {name: path.read_bytes() for name, path in by_name(written("dicom", "alpha")).items()}
    assert again == first


def test_another_choice_of_tiles_is_another_instance(written: Written, found: dict[str, Path]) -> None:
    first = pydicom.dcmread(found["annotations"]).SOPInstanceUID
    few = pydicom.dcmread(by_name(written("dicom", "alpha", tiles="topk"))["annotations"])
    assert few.SOPInstanceUID != first
    assert few.AnnotationGroupSequence[0].NumberOfAnnotations == 2


@pytest.fixture
def dicom_slide(found: dict[str, Path], tmp_path: Path) -> tuple[Path, Results]:
    """A slide that is DICOM: the instance made above, with results of its own."""
    (tmp_path / "slides").mkdir()
    slide = Path(shutil.copy(found["source"], tmp_path / "slides" / "slide.dcm"))
    made.publish_slide(tmp_path / "results", "dicom-1", source={"vendor": "dicom"})
    row = {"id": "dicom-1", "path": str(slide), "status": "done", "category": "invasive", "tiles": 5}
    records.write_slides(tmp_path / "results" / "slides.parquet", [row])
    return slide, wsipipe.open_results(tmp_path / "results")


def test_a_dicom_slide_is_referred_to_itself(dicom_slide: tuple[Path, Results], tmp_path: Path) -> None:
    slide, results = dicom_slide
    files = by_name(export(results, "dicom", tmp_path / "out"))
    assert set(files) == {"annotations", "lesion", "report"}
    source = pydicom.dcmread(slide)
    for path in files.values():
        assert pydicom.dcmread(path).StudyInstanceUID == source.StudyInstanceUID
    ann = hd.ann.annread(files["annotations"])
    assert ann.ReferencedImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    corners = ann.get_annotation_groups()[0].get_graphic_data("2D")[0]
    assert corners[0].tolist() == results.slide("dicom").tiles[["x", "y"]].iloc[0].tolist()  # level-0 pixels


def test_a_dicom_slide_that_cannot_be_referred_to_is_refused(dicom_slide: tuple[Path, Results], tmp_path: Path) -> None:
    slide, results = dicom_slide
    header = pydicom.dcmread(slide)
    del header.FrameOfReferenceUID
    header.save_as(slide)
    with pytest.raises(UsageError, match=r"dicom-1: .*says no FrameOfReferenceUID.*--slide"):
        export(results, "dicom", tmp_path / "out")
    slide.unlink()
    with pytest.raises(UsageError, match=r"DICOM files are gone.*put them back"):
        export(results, "dicom", tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_of_the_pipeline(real: Results, tmp_path: Path) -> None:
    files = by_name(export(real, "dicom", tmp_path))
    slide = next(iter(real))
    groups = hd.ann.annread(files["annotations"]).get_annotation_groups()
    assert groups[0].number_of_annotations == len(slide.tiles)
    shown = hd.seg.segread(files["lesion"]).get_total_pixel_matrix(combine_segments=True)
    np.testing.assert_array_equal(shown, np.asarray(slide.mask("lesion")))


def test_a_validator_finds_no_error(found: dict[str, Path]) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("needs dciodvfy (Debian's dicom3tools); pip's dicom-validator fetches the standard from the net")
    for path in found.values():
        said = subprocess.run([validator, "-new", path], capture_output=True, text=True, check=False).stderr
        assert [line for line in said.splitlines() if "Error" in line and VALIDATOR_IS_WRONG not in line] == []
