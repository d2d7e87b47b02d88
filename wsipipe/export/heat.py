"""The probability map as pictures: a pyramidal OME-TIFF, and a PNG over the overview.

Enters: a `Job`. Leaves: ``<slide id>.ome.tif``, ``<slide id>.png``. Next rooms: QuPath, Fiji, OMERO, `open_slide`;
people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsipipe.export.job import Job
from wsipipe.export.place import placed
from wsipipe.export.text import named_uuid
from wsipipe.query import SlideResult
from wsipipe.store import published
from wsipipe.store.lazy import Lazy

TILE = 512
OVERVIEW_PX = 4096
"""Longer side of the overview that is drawn on is at most this."""
PROBABILITY, OVERVIEW = "images/probability", "images/overview"


def tiff_names(job: Job) -> list[Path]:
    """The files that `ome_tiff` writes."""
    return [job.out / f"{slide_id}.ome.tif" for slide_id in job.ids]


def png_names(job: Job) -> list[Path]:
    """The files that `png` writes."""
    return [job.out / f"{slide_id}.png" for slide_id in job.ids]


def ome_tiff(job: Job) -> Iterator[Path]:
    """The probability map as a tiled, compressed pyramid: 8 bits where 255 is 1, or RGB with `Options.color`.

    One tile is in memory at a time. Levels below the first are SubIFDs; ``PhysicalSizeX`` and ``-Y`` give its scale.
    """
    for path, slide in zip(tiff_names(job), job, strict=True):
        with placed(path) as partial:
            _pyramid(partial, slide, color=job.options.color)
        yield path


def png(job: Job) -> Iterator[Path]:
    """The probability map laid over the slide's overview."""
    from wsipipe.report.canvas import save_png

    for path, slide in zip(png_names(job), job, strict=True):
        with placed(path) as partial:
            save_png(partial, overlay(slide))
        yield path


def overlay(slide: SlideResult) -> NDArray[np.uint8]:
    """The overview ``(y, x, 3)`` uint8 with the probability map over it, as the report paints it."""
    from wsipipe.report.heat import painted

    channels = [published.small(slide.path, OVERVIEW, longest_px=OVERVIEW_PX, channel=index) for index in range(3)]
    rgb = np.stack([np.asarray(channel) for channel in channels], axis=-1).astype(np.float32)
    heat = painted(_at_scale(slide, rgb.shape[:2], channels[0].l0_scale)).astype(np.float32)
    share = heat[..., 3:] / 255
    return np.floor(rgb * (1 - share) + heat[..., :3] * share + 0.5).astype(np.uint8)


def _at_scale(slide: SlideResult, shape: tuple[int, ...], l0_scale: float) -> NDArray[Any]:
    """The map's pixel under the middle of every pixel of a picture of `l0_scale`; 0 beyond the map's edge."""
    best = published.picture(slide.path, PROBABILITY)
    for level in range(1, published.levels(slide.path, PROBABILITY)):
        coarser = published.picture(slide.path, PROBABILITY, level=level)
        if coarser.l0_scale > l0_scale:
            break
        best = coarser
    whole = np.asarray(best)
    y, x = (np.floor((np.arange(side) + 0.5) * l0_scale / best.l0_scale).astype(np.int64) for side in shape)
    seen = whole[np.minimum(y, whole.shape[0] - 1)][:, np.minimum(x, whole.shape[1] - 1)]
    seen[y >= whole.shape[0]] = 0
    seen[:, x >= whole.shape[1]] = 0
    return seen


def _pyramid(path: Path, slide: SlideResult, *, color: bool) -> None:
    count = published.levels(slide.path, PROBABILITY)
    levels = [published.picture(slide.path, PROBABILITY, level=level) for level in range(count)]
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        for index, level in enumerate(levels):
            first = index == 0
            file.write(
                _tiles(level, color=color),
                shape=(*level.shape, 3) if color else level.shape,
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="rgb" if color else "minisblack",
                compression="zlib",
                subifds=count - 1 if first else None,
                subfiletype=0 if first else 1,
                resolution=(1e4 / level.mpp, 1e4 / level.mpp),
                resolutionunit="CENTIMETER",
                software="wsipipe" if first else None,
                metadata=_ome(slide.id, level, color=color) if first else None,
            )


def _ome(slide_id: str, level: Lazy, *, color: bool) -> dict[str, Any]:
    """What the OME-XML says. Its UUID is ours: tifffile's own would hold the host's network address and the time."""
    size = {"PhysicalSizeX": level.mpp, "PhysicalSizeY": level.mpp}
    told = f"urn:uuid:{named_uuid(f'{slide_id}/ome-tiff/{color}')}"
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    return {"axes": "YXS" if color else "YX", "Name": "positive probability", "UUID": told, **size, **units}


def _tiles(level: Lazy, *, color: bool) -> Iterator[NDArray[np.uint8]]:
    """Tiles row by row; the last ones are filled up with 0."""
    from wsipipe.report.heat import painted

    height, width = level.shape
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            part = np.asarray(level[y : y + TILE, x : x + TILE], np.uint8)
            full = np.pad(part, ((0, TILE - part.shape[0]), (0, TILE - part.shape[1])))
            yield np.ascontiguousarray(painted(full)[..., :3]) if color else full
