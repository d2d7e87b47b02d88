"""The slide that exported DICOM objects refer to: its own instances, or a small one made of the overview.

Enters: a finished slide. Leaves: a `Source`. Next room: `wsipipe.export.dicom`.

Annotations, segmentations and reports must refer to VL Whole Slide Microscopy instances. A slide that is DICOM has
them; for any other the export writes the overview as one, tiled, JPEG, with the slide's true size in millimetres. It
carries no name, no label and no date but the run's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage

from wsipipe import __version__
from wsipipe.errors import UsageError
from wsipipe.export.dicom_terms import SOURCE_SERIES, instance_uid, uid
from wsipipe.query import SlideResult
from wsipipe.slide.dicom_files import series_of, volumes_of
from wsipipe.store import published

FRAME_PX = 256
QUALITY = 90
ORIENTATION = (0.0, -1.0, 0.0, -1.0, 0.0, 0.0)
"""Of a made source: columns run against the slide's y, rows against its x, as scanners lay slides."""
NEEDED = (
    "StudyInstanceUID", "FrameOfReferenceUID", "ImageOrientationSlide", "TotalPixelMatrixOriginSequence",
    "TotalPixelMatrixRows", "TotalPixelMatrixColumns", "SharedFunctionalGroupsSequence",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """An instance to refer to.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Its header; with pixels where it was made here.
    l0_scale : float
        Level-0 pixels per pixel of it.
    made : bool
        Whether it must be written beside what refers to it.
    """

    dataset: Any
    l0_scale: float
    made: bool

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Millimetres from one pixel to the next, down and across."""
        down, across = self.dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
        return float(down), float(across)


def source_of(slide: SlideResult) -> Source:
    """What a slide's DICOM objects refer to.

    Raises
    ------
    UsageError
        Where the slide is DICOM and its instances are gone, or lack what a reference needs.
    """
    path = slide.row.get("path")
    if is_dicom(slide) and isinstance(path, str) and path:
        return _own(Path(path), slide.id)
    return Source(_made(slide), published.picture(slide.path, "images/overview").l0_scale, made=True)


def is_dicom(slide: SlideResult) -> bool:
    """Whether the slide's pixels came from DICOM."""
    return str(slide.record.get("source", {}).get("vendor", "")).lower() == "dicom"


def _own(path: Path, slide_id: str) -> Source:
    if not path.exists():
        raise UsageError(
            "exporting DICOM: the slide's own DICOM files are gone, and what is exported must refer to them: put them "
            "back, or leave the slide out with --slide",
            subject=slide_id,
        )
    largest = max(
        (pydicom.dcmread(item.path, stop_before_pixels=True) for item in volumes_of(series_of(path), path)),
        key=lambda header: int(header.get("TotalPixelMatrixColumns", 0)),
    )
    if missing := [name for name in NEEDED if name not in largest]:
        raise UsageError(
            f"exporting DICOM: the slide's own instance says no {', '.join(missing)}, which a reference needs: export "
            "the slide again from its scanner, or leave it out with --slide",
            subject=slide_id,
        )
    return Source(largest, 1.0, made=False)


def _made(slide: SlideResult) -> Dataset:
    """The overview as one VL Whole Slide Microscopy instance."""
    channels = [published.picture(slide.path, "images/overview", channel=index) for index in range(3)]
    rgb = np.stack([np.asarray(channel, np.uint8) for channel in channels], axis=-1)
    frames = list(_frames(rgb))
    made = Dataset()
    _identify(made, slide)
    _describe(made, rgb.shape[:2], channels[0].mpp, len(frames))
    made.LossyImageCompressionRatio = round(rgb.size / sum(map(len, frames)), 2)
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made


def _frames(rgb: NDArray[np.uint8]) -> Iterator[bytes]:
    """JPEG of every tile, row by row; the last ones are filled up with white."""
    for y in range(0, rgb.shape[0], FRAME_PX):
        for x in range(0, rgb.shape[1], FRAME_PX):
            part = rgb[y : y + FRAME_PX, x : x + FRAME_PX]
            full = np.full((FRAME_PX, FRAME_PX, 3), 255, np.uint8)
            full[: part.shape[0], : part.shape[1]] = part
            sink = io.BytesIO()
            Image.fromarray(full).save(sink, "JPEG", quality=QUALITY, subsampling="4:2:2")
            yield sink.getvalue()


def _identify(made: Dataset, slide: SlideResult) -> None:
    """Who and what: the slide id and UIDs derived from it, nothing else."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        VLWholeSlideMicroscopyImageStorage,
        instance_uid(slide, "source"),
    )
    meta.TransferSyntaxUID, meta.ImplementationClassUID = JPEGBaseline8Bit, uid("implementation")
    made.file_meta = meta
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = uid(f"{slide.id}/study"), instance_uid(slide, "source-series")
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = uid(f"{slide.id}/frame"), "SLIDE_CORNER"
    for name in (
        "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
        "ReferringPhysicianName",
    ):  # fmt: skip
        setattr(made, name, "")
    made.PatientID, made.Modality, made.SeriesNumber, made.InstanceNumber = slide.id[:64], "SM", SOURCE_SERIES, 1
    made.Manufacturer = made.ManufacturerModelName = "wsipipe"
    made.DeviceSerialNumber, made.SoftwareVersions = "none", __version__
    made.ContentDate = made.ContentTime = made.AcquisitionDateTime = ""  # `dicom_terms.settle` fills them
    made.ContainerIdentifier, made.IssuerOfTheContainerIdentifierSequence = slide.id[:64], Sequence()
    made.ContainerTypeCodeSequence = Sequence([_code(codes.SCT.MicroscopeSlide)])
    made.SpecimenDescriptionSequence = Sequence([_specimen(slide.id)])
    made.AcquisitionContextSequence = Sequence()


def _specimen(slide_id: str) -> Dataset:
    item = Dataset()
    item.SpecimenIdentifier, item.SpecimenUID = slide_id[:64], uid(f"{slide_id}/specimen")
    item.IssuerOfTheSpecimenIdentifierSequence, item.SpecimenPreparationSequence = Sequence(), Sequence()
    return item


def _describe(made: Dataset, shape: tuple[int, ...], mpp: float, frames: int) -> None:
    """Pixels, their places and their colours."""
    height, width = shape
    made.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
    made.Rows = made.Columns = FRAME_PX
    made.NumberOfFrames, made.SamplesPerPixel, made.PlanarConfiguration = frames, 3, 0
    made.PhotometricInterpretation = "YBR_FULL_422"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.LossyImageCompression, made.LossyImageCompressionMethod = "01", "ISO_10918_1"
    made.TotalPixelMatrixRows, made.TotalPixelMatrixColumns = height, width
    made.TotalPixelMatrixFocalPlanes = made.NumberOfOpticalPaths = 1
    made.ImagedVolumeHeight, made.ImagedVolumeWidth, made.ImagedVolumeDepth = height * mpp / 1e3, width * mpp / 1e3, 1.0
    made.ImageOrientationSlide = list(ORIENTATION)
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = (
        round(height * mpp / 1e3, 6),
        round(width * mpp / 1e3, 6),
    )
    made.TotalPixelMatrixOriginSequence = Sequence([origin])
    made.VolumetricProperties, made.SpecimenLabelInImage, made.BurnedInAnnotation = "VOLUME", "NO", "NO"
    made.FocusMethod, made.ExtendedDepthOfField = "AUTO", "NO"
    made.OpticalPathSequence = Sequence([_optical_path()])
    made.SharedFunctionalGroupsSequence = Sequence([_shared(mpp, made.ImageType)])
    _dimensions(made)


def _optical_path() -> Dataset:
    item = Dataset()
    item.OpticalPathIdentifier = "1"
    item.IlluminationTypeCodeSequence = Sequence([_code(codes.DCM.BrightfieldIllumination)])
    item.IlluminationColorCodeSequence = Sequence([_code(codes.SCT.FullSpectrum)])
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))  # its creation: 2000-01-01, not now
    item.ICCProfile, item.ColorSpace = bytes(profile), "SRGB"
    return item


def _shared(mpp: float, image_type: Any) -> Dataset:
    measures, kind, path, group = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [mpp / 1e3, mpp / 1e3], 1.0
    kind.FrameType = image_type
    path.OpticalPathIdentifier = "1"
    group.PixelMeasuresSequence = Sequence([measures])
    group.WholeSlideMicroscopyImageFrameTypeSequence = Sequence([kind])
    group.OpticalPathIdentificationSequence = Sequence([path])
    return group


def _dimensions(made: Dataset) -> None:
    """TILED_FULL: frames are in reading order, so none says its place; `dicom_terms.settle` gives the UID."""
    made.DimensionOrganizationType = "TILED_FULL"
    made.DimensionOrganizationSequence = Sequence([Dataset()])


def _code(code: Any) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
