"""Results as DICOM: tiles and regions as annotations, the lesion map as a segmentation, the category as a report.

Enters: a `Job`. Leaves: a folder per slide with ``annotations.dcm`` (Microscopy Bulk Simple Annotations),
``lesion.dcm`` (Segmentation), ``report.dcm`` (Comprehensive SR, TID 1500), and ``source.dcm`` where the slide is no
DICOM. Next rooms: archives and viewers.

All refer to one VL Whole Slide Microscopy instance and lie in its frame of reference. UIDs are derived from the slide
id, times are those of the run: exporting the same results again gives the same files.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.sr.codedict import codes

from wsipipe import __version__
from wsipipe.export.dicom_annotation import annotation_groups
from wsipipe.export.dicom_source import Source, source_of
from wsipipe.export.dicom_terms import (
    ANN_SERIES,
    MAKER,
    MEANINGS,
    NOTICE,
    SEG_SERIES,
    SR_SERIES,
    algorithm,
    instance_uid,
    own,
    settle,
    uid,
)  # fmt: skip
from wsipipe.export.job import Job
from wsipipe.export.place import placed
from wsipipe.query import SlideResult
from wsipipe.store import published
from wsipipe.store.records import PROBABILITY_COLUMNS

MAP_PX = 8192
"""Longer side of the segmentation is at most this; it bounds memory (highdicom takes the map as one array)."""
FRAME_PX = 256
FILES = ("source.dcm", "annotations.dcm", "lesion.dcm", "report.dcm")


def names(job: Job) -> list[Path]:
    """The files that `dicom` may write; a slide that is DICOM needs no source, one without findings no annotations."""
    return [job.out / slide_id / name for slide_id in job.ids for name in FILES]


def dicom(job: Job) -> Iterator[Path]:
    """DICOM objects of every slide.

    Raises
    ------
    UsageError
        Where a slide is DICOM and cannot be referred to (`wsipipe.export.dicom_source.source_of`).
    """
    for slide in job:
        for name, dataset in _objects(job, slide):
            path = job.out / slide.id / name
            with placed(path) as partial:
                settle(dataset, job.results.run.get("started")).save_as(partial, enforce_file_format=True)
            yield path


def _objects(job: Job, slide: SlideResult) -> Iterator[tuple[str, Any]]:
    source = source_of(slide)
    if source.made:
        yield FILES[0], source.dataset
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="highdicom")  # of names and codes that a source lacks
        groups = annotation_groups(job, slide, source.l0_scale)
        if groups:
            yield FILES[1], _annotations(slide, source, groups, tiles=job.options.tiles)
        yield FILES[2], _segmentation(slide, source)
        yield FILES[3], _report(slide, source)


def _annotations(slide: SlideResult, source: Source, groups: list[Any], *, tiles: str) -> Any:
    return hd.ann.MicroscopyBulkSimpleAnnotations(
        source_images=[source.dataset],
        annotation_coordinate_type=hd.ann.AnnotationCoordinateTypeValues.SCOORD,
        annotation_groups=groups,
        series_instance_uid=instance_uid(slide, "annotations-series"),
        series_number=ANN_SERIES,
        sop_instance_uid=instance_uid(slide, f"annotations-{tiles}"),
        instance_number=1,
        content_label="TILES",
        content_description=NOTICE,
        **MAKER,
    )


def _segmentation(slide: SlideResult, source: Source) -> Any:
    """The lesion mask, one bit a pixel; TILED_SPARSE: frames without lesion are left out unless all are."""
    mask = published.small(slide.path, "labels/lesion", longest_px=MAP_PX)
    pixels = (np.asarray(mask) > 0).astype(np.uint8)
    spacing = source.spacing_mm[0] / source.l0_scale * mask.l0_scale
    description = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="suspected lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm(),
        tracking_uid=instance_uid(slide, "lesion-tracking"),
        tracking_id="suspected lesion",
    )
    found = hd.seg.Segmentation(
        source_images=[source.dataset],
        pixel_array=pixels[None],
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[description],
        series_instance_uid=instance_uid(slide, "lesion-series"),
        series_number=SEG_SERIES,
        sop_instance_uid=instance_uid(slide, "lesion"),
        instance_number=1,
        content_label="LESION",
        content_description=NOTICE,
        pixel_measures=hd.PixelMeasuresSequence([spacing, spacing], slice_thickness=1.0),
        plane_orientation=hd.PlaneOrientationSequence("SLIDE", source.dataset.ImageOrientationSlide),
        plane_positions=[_position(source, spacing)],
        tile_pixel_array=True,
        tile_size=(FRAME_PX, FRAME_PX),
        omit_empty_frames=bool(pixels.any()),
        dimension_organization_type=hd.DimensionOrganizationTypeValues.TILED_SPARSE,
        **MAKER,
    )
    found.PatientOrientation = []  # its module asks for it, known or not; highdicom leaves it out
    return found


def _position(source: Source, spacing: float) -> Any:
    """Where the middle of the map's first pixel lies: both pictures share a corner, not the middle of a pixel."""
    origin = source.dataset.TotalPixelMatrixOriginSequence[0]
    at = np.array([
        float(origin.XOffsetInSlideCoordinateSystem), float(origin.YOffsetInSlideCoordinateSystem),
        float(origin.get("ZOffsetInSlideCoordinateSystem", 0.0) or 0.0),
    ])  # fmt: skip
    along, down = np.array(source.dataset.ImageOrientationSlide, np.float64).reshape(2, 3)
    shift = np.array([spacing - source.spacing_mm[1], spacing - source.spacing_mm[0]]) / 2
    at = at + along * shift[0] + down * shift[1]
    return hd.PlanePositionSequence("SLIDE", [round(float(v), 6) for v in at], pixel_matrix_position=(1, 1))


def _report(slide: SlideResult, source: Source) -> Any:
    measurements = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(instance_uid(slide, "category-tracking"), "gastric category"),
        finding_type=own("slide-category", "Gastric category of the slide"),
        algorithm_id=hd.sr.AlgorithmIdentification("wsipipe", __version__),
        measurements=_probabilities(slide),
        qualitative_evaluations=[_category(slide)],
        source_images=[hd.sr.SourceImageForMeasurementGroup(source.dataset.SOPClassUID, source.dataset.SOPInstanceUID)],
    )
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=uid("device"), name="wsipipe", manufacturer_name="wsipipe", model_name="wsipipe"
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, device)
        ),
        procedure_reported=codes.SCT.LightMicroscopy,
        imaging_measurements=[measurements],
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[source.dataset],
    )
    return hd.sr.ComprehensiveSR(
        evidence=[source.dataset],
        content=content,
        series_instance_uid=instance_uid(slide, "report-series"),
        series_number=SR_SERIES,
        sop_instance_uid=instance_uid(slide, "report"),
        instance_number=1,
        manufacturer=MAKER["manufacturer"],
        is_complete=True,
    )


def _probabilities(slide: SlideResult) -> list[Any]:
    """The categories' probabilities where there are any, and the number of tiles."""
    unit, record = codes.UCUM.NoUnits, slide.record
    known = {name: record.get(name) for name in PROBABILITY_COLUMNS}
    found = [
        hd.sr.Measurement(own(name, f"Probability: {MEANINGS[name[2:]]}"), float(value), unit)
        for name, value in known.items()
        if value is not None and np.isfinite(value)
    ]
    return [*found, hd.sr.Measurement(own("tiles", "Number of tiles"), float(slide.row["tiles"] or 0), unit)]


def _category(slide: SlideResult) -> Any:
    category = slide.record.get("category")
    why = slide.record.get("reason") or "no reason given"
    value = own(category, MEANINGS[category]) if category else own("none", f"No category: {why}")
    return hd.sr.QualitativeEvaluation(own("category", "Category"), value)
