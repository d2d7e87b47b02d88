"""Stage positions that a microscope wrote into its files.

Enters: a TIFF or OME-TIFF. Leaves: the upper left corner in pixels. Next room: `wsipipe.slide.field_places`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tifffile
from defusedxml import ElementTree

from wsipipe.slide.scale import length_um, number


def stage_yx(path: Path) -> tuple[float, float] | None:
    """Position of a field in its own pixels, or None where the file says nothing.

    Read are OME's ``Plane`` (PositionY, PositionX over PhysicalSizeY, PhysicalSizeX; units as stated, micrometres
    where none is), then TIFF's XPosition and YPosition times its resolution.
    """
    try:
        with tifffile.TiffFile(path) as file:
            found = _from_ome(file.ome_metadata) if file.ome_metadata else None
            return found or _from_tags(file.pages[0])
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, ElementTree.ParseError):
        return None


def _from_ome(text: str) -> tuple[float, float] | None:
    root = ElementTree.fromstring(text)
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    pixels, plane = root.find(f".//{space}Pixels"), root.find(f".//{space}Plane")
    if pixels is None or plane is None:
        return None
    found: list[float] = []
    for axis in ("Y", "X"):
        at = number(plane.get(f"Position{axis}"))
        unit_um = length_um(1.0, plane.get(f"Position{axis}Unit", "µm"))
        size = number(pixels.get(f"PhysicalSize{axis}"))
        size_um = length_um(size, pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if at is None or unit_um is None or size_um is None:
            return None
        found.append(at * unit_um / size_um)
    return found[0], found[1]


def _from_tags(page: Any) -> tuple[float, float] | None:
    found = []
    for position, resolution in ((287, 283), (286, 282)):
        at, per = page.tags.valueof(position), page.tags.valueof(resolution)
        if not at or not per or not at[1] or not per[1]:
            return None
        found.append(at[0] / at[1] * per[0] / per[1])
    return found[0], found[1]
