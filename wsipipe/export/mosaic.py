"""A mosaic as a pyramidal OME-TIFF.

Enters: an OME-Zarr mosaic. Leaves: one file, tiled, JPEG-free (Deflate), its levels as SubIFDs. Next room: other tools.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsipipe.grid import Box, blocks
from wsipipe.slide import open_slide
from wsipipe.slide.base import Slide

TILE_PX = 256


def write_ome_tiff(mosaic: Path, path: Path) -> None:
    """Write a mosaic as OME-TIFF, row of tiles by row of tiles; a file that is there is replaced once it is whole.

    Samples are those of the mosaic: Deflate loses nothing. The file's UUID is made of the mosaic's fingerprint, so the
    same mosaic gives the same bytes.
    """
    slide = open_slide(mosaic)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with tifffile.TiffWriter(partial, bigtiff=True, ome=False) as file:
            for level in range(len(slide.info.levels)):
                _write_level(file, slide, level)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
        slide.close()


def _write_level(file: tifffile.TiffWriter, slide: Slide, level: int) -> None:
    levels = slide.info.levels
    how: dict[str, Any] = {"subfiletype": 1}
    if level == 0:
        how = {"subifds": len(levels) - 1, "description": _xml(slide)}
    mpp = slide.info.mpp
    if mpp is not None:
        per_cm = 1e4 / (mpp * levels[level].downsample)
        how |= {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}
    file.write(
        _tiles(slide, level), shape=(*levels[level].shape, 3), dtype=np.uint8, photometric="rgb",
        tile=(TILE_PX, TILE_PX), compression="zlib", metadata=None, software="wsipipe", maxworkers=1, **how,
    )  # fmt: skip


def _tiles(slide: Slide, level: int) -> Iterator[NDArray[np.uint8]]:
    """Whole tiles in row-major order; past the edge they are white."""
    for box in blocks(slide.info.levels[level].shape, TILE_PX):
        yield slide.read(Box(box.y, box.x, TILE_PX, TILE_PX), level=level)


def _xml(slide: Slide) -> str:
    height, width = slide.info.shape
    mpp = slide.info.mpp
    sides = [f' PhysicalSize{axis}="{mpp:.10g}" PhysicalSize{axis}Unit="µm"' for axis in "XY"] if mpp else []
    size = "".join(sides)
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"wsipipe:{slide.info.fingerprint}")
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="urn:uuid:{number}" Creator="wsipipe"><Image ID="Image:0" Name="mosaic"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYCZT" Type="uint8" SizeX="{width}" SizeY="{height}" SizeC="3" SizeZ="1" SizeT="1"{size}>'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
    )
    return text.encode("ascii", "xmlcharrefreplace").decode()
