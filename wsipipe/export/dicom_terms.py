"""Codes, UIDs and times that the DICOM exports share.

Enters: names. Leaves: coded concepts, UIDs under 2.25 that are the same at every export, the maker's description.
Next rooms: `wsipipe.export.dicom_source`, `wsipipe.export.dicom`.

What DICOM and SNOMED have no code for that we are sure of carries our private scheme ``99WSIPIPE``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import highdicom as hd
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from wsipipe import __version__
from wsipipe.export.text import named_uuid
from wsipipe.query import SlideResult
from wsipipe.store import published

SCHEME = "99WSIPIPE"
MEANINGS = {
    "negative": "Negative",
    "low_grade": "Low-grade neoplasia",
    "high_grade": "High-grade neoplasia",
    "invasive": "Invasive carcinoma",
}
NOTICE = "Made by software; not for clinical use."
SOURCE_SERIES, ANN_SERIES, SEG_SERIES, SR_SERIES = 1, 2, 3, 4
MAKER = {
    "manufacturer": "wsipipe",
    "manufacturer_model_name": "wsipipe",
    "software_versions": __version__,
    "device_serial_number": "none",
}


def uid(name: str) -> UID:
    """The UID of a name: its UUID (version 5) under the root 2.25."""
    return UID(f"2.25.{named_uuid(name).int}")


def instance_uid(slide: SlideResult, name: str) -> UID:
    """The UID of something made of a slide's results: another setting of the run, another UID."""
    return uid(f"{slide.id}/{published.marked(slide.path)['published']}/{name}")


def own(value: str, meaning: str) -> CodedConcept:
    """A code of our private scheme; values are of at most 16 characters, meanings of 64."""
    return CodedConcept(value=value[:16], scheme_designator=SCHEME, meaning=meaning[:64])


def column_code(name: str) -> CodedConcept:
    """The code of a column of the tile table, its meaning is the column's name."""
    return own(name, name)


def algorithm() -> Any:
    """Who made it, as ANN and SEG want it said."""
    family = codes.DCM.ArtificialIntelligence
    return hd.AlgorithmIdentificationSequence(name="wsipipe", family=family, version=__version__)


def settle(dataset: Any, when: float | None) -> Any:
    """Give a made instance the run's time and UIDs of ours in place of the export's time and random ones.

    Equal results then give equal files, which two instances of one UID must be.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Changed in place, and returned.
    when : float or None
        Seconds since 1970; a run that has not ended tells none, then it is the time at which this is called.
    """
    at = datetime.now(UTC) if when is None else datetime.fromtimestamp(when, UTC)
    date, time = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
    dataset.ContentDate = dataset.InstanceCreationDate = date
    dataset.ContentTime = dataset.InstanceCreationTime = time
    if "AcquisitionDateTime" in dataset and not dataset.AcquisitionDateTime:
        dataset.AcquisitionDateTime = date + time
    for equipment in dataset.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = date + time
    organization = uid(f"{dataset.SOPInstanceUID}/dimensions")
    for sequence in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(sequence, []):
            item.DimensionOrganizationUID = organization
    return dataset
