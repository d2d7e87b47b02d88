"""What TIFF tags and the texts in them say about a slide: scale, vendor, properties.

Enters: an open tifffile file. Leaves: numbers and strings. Next room: `wsipipe.slide.tiff`.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from wsipipe.slide.scale import MppYX, length_um, number, resolution_um

VENDORS = {
    "svs": "aperio", "ndpi": "hamamatsu", "scn": "leica", "bif": "ventana", "philips": "philips", "qpi": "perkinelmer",
    "avs": "avs", "ome": "ome", "imagej": "imagej",
}  # fmt: skip
"""tifffile's flag to the vendor's name as OpenSlide spells it; the first that is set counts."""

_OWN_SCALE = ("leica", "ventana", "philips", "perkinelmer", "avs")
"""Vendors whose resolution tags are not the slide's scale; OpenSlide knows where they keep it."""

_TEXT_TAGS = {
    270: "ImageDescription",
    271: "Make", 272: "Model", 305: "Software", 306: "DateTime", 315: "Artist", 316: "HostComputer",
}  # fmt: skip


def vendor_of(file: Any) -> str:
    """The vendor, or ``generic-tiff``."""
    return next((name for flag, name in VENDORS.items() if getattr(file, f"is_{flag}")), "generic-tiff")


def properties_of(page: Any) -> dict[str, str]:
    """Texts of the first directory as stored, and the ``key = value`` pairs of an Aperio description."""
    found = {f"tiff.{name}": str(page.tags.valueof(code)) for code, name in _TEXT_TAGS.items() if code in page.tags}
    return found | {
        f"aperio.{key}": value for key, value in aperio_pairs(found.get("tiff.ImageDescription", "")).items()
    }


def aperio_pairs(description: str) -> dict[str, str]:
    """``{"MPP": "0.499", "AppMag": "20", ...}`` of an Aperio description, else nothing."""
    if not description.startswith("Aperio"):
        return {}
    pairs = (item.split("=", 1) for item in description.split("|")[1:] if "=" in item)
    return {key.strip(): value.strip() for key, value in pairs}


def mpp_yx_of(file: Any, page: Any, image: dict[str, str]) -> MppYX:
    """Micrometres per pixel, down and across.

    Aperio: the description's MPP and nothing else. OME: PhysicalSizeX and -Y with their units. ImageJ: the
    resolution in the unit of its description. Otherwise the resolution tags.
    """
    vendor = vendor_of(file)
    if vendor == "aperio":
        mpp = number(aperio_pairs(str(page.tags.valueof(270, ""))).get("MPP"))
        return mpp, mpp
    stated = tuple(
        length_um(number(image.get(f"PhysicalSize{a}")), image.get(f"PhysicalSize{a}Unit", "µm")) for a in "YX"
    )
    if any(stated):
        return stated[0], stated[1]
    if vendor in _OWN_SCALE:
        return None, None
    if vendor == "imagej":
        unit = str((file.imagej_metadata or {}).get("unit", ""))
        return length_um(1 / _ratio(page, 283), unit), length_um(1 / _ratio(page, 282), unit)
    unit_code = int(page.tags.valueof(296, 2))  # TIFF 6.0: inch where the tag is missing
    return resolution_um(_ratio(page, 283), unit_code), resolution_um(_ratio(page, 282), unit_code)


def ome_images(text: str | None) -> list[dict[str, str]]:
    """Attributes of every ``Image`` of an OME-XML, with those of its ``Pixels``; none for a text that is no XML."""
    if not text:
        return []
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (expat >= 2.4.1 bounds entity expansion; nothing is fetched)
    except ElementTree.ParseError:
        return []
    return [image.attrib | _pixels(image) for image in root.iter() if _local(image) == "Image"]


def objective_of(properties: dict[str, str], text: str | None) -> float | None:
    """Nominal magnification, for people only."""
    found = re.search(r'NominalMagnification="([0-9.]+)"', text or "")
    return number(properties.get("aperio.AppMag")) or (number(found[1]) if found else None)


def _pixels(image: Any) -> dict[str, str]:
    return next((dict(child.attrib) for child in image if _local(child) == "Pixels"), {})


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _ratio(page: Any, code: int) -> float:
    """A rational tag; infinity where it is missing or says 0, so that its inverse says nothing."""
    value = page.tags.valueof(code)
    above, below = value if isinstance(value, tuple) and len(value) == 2 else (value or 0, 1)
    return above / below if above and below else float("inf")
