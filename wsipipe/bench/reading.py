"""Reading tiles: through our `Slide` as a run reads them, beside the bare decoder and the peers.

Enters: a slide. Leaves: figures in Mpx/s. The bare decoder decodes the native tiles that the same tiles touch, each
once, with imagecodecs, and does nothing with them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from wsipipe.bench.figure import LIMIT, OURS, Figure, Job, figure
from wsipipe.bench.peers import installed
from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box, Frame, Grid
from wsipipe.run.pixels import read_tiles
from wsipipe.slide import Slide, open_slide
from wsipipe.slide.native import cells
from wsipipe.units import Mpp

TILE, UNIT, BATCH, JPEG = 512, 8, 8, 7
Array = np.ndarray[Any, Any]
Ids = np.ndarray[Any, np.dtype[np.int64]]
Read = Callable[[Box], Array]


@dataclass(frozen=True)
class Sample:
    """Tiles of a slide that are read again and again: whole units around its middle."""

    path: Path
    slide: Slide
    frame: Frame
    grid: Grid
    ids: tuple[Ids, ...]

    @cached_property
    def boxes(self) -> list[Box]:
        """Level-0 boxes of the tiles."""
        return self.grid.read_boxes(np.concatenate(self.ids))

    @property
    def megapixels(self) -> float:
        """In all tiles."""
        return len(self.boxes) * TILE * TILE / 1e6


def sample(path: Path, *, tiles: int = 256) -> Sample:
    """The units of level 0 nearest to the middle of a slide, at least `tiles` tiles where it has so many."""
    slide = open_slide(path)
    frame = Frame(slide.info.shape, 1.0, Mpp(slide.info.mpp or 0.5), 0)
    grid = Grid(frame.shape, TILE, unit=UNIT)
    whole = Box(0, 0, *frame.shape)
    chosen: list[Ids] = []
    for unit in sorted(range(grid.n_units), key=partial(_off_middle, grid)):
        if sum(map(len, chosen)) >= tiles:
            break
        ids = grid.ids(unit)
        inside = [whole.contains(box) for box in grid.read_boxes(ids)]
        chosen.append(ids[inside])
    return Sample(path, slide, frame, grid, tuple(chosen))


def _off_middle(grid: Grid, unit: int) -> int:
    box = grid.unit_box(unit)
    return abs(box.y + box.y1 - grid.shape[0]) + abs(box.x + box.x1 - grid.shape[1])


def figures(path: Path, *, peers: bool, rounds: int) -> Iterator[Figure]:
    """One thread beside the bare decoder and the peers; then two threads beside two threads of the bare decoder."""
    found = sample(path)
    try:
        jobs: dict[str, Job] = {OURS: partial(ours, found), LIMIT: partial(bare, _native(found))}
        readers = _peers() if peers else {}
        jobs |= {name: partial(_each, found, read) for name, read in readers.items()}
        yield figure("read tiles of 512 px", "Mpx/s", jobs, rounds=rounds, note="limit: the bare decoder, one thread")
        both: dict[str, Job] = {
            OURS: partial(ours, found, threads=2),
            LIMIT: partial(bare, _native(found), threads=2),
            "wsipipe, 1 thread": jobs[OURS],
        }
        yield figure("read tiles, two threads", "Mpx/s", both, rounds=rounds, note="limit: the bare decoder, two")
    finally:
        found.slide.close()


def ours(found: Sample, *, threads: int = 1) -> float:
    """Batches of tiles, unit by unit, as a run reads them, from a slide opened anew; returns megapixels."""
    batches = [unit[start : start + BATCH] for unit in found.ids for start in range(0, len(unit), BATCH)]
    slide, again = open_slide(found.path), threading.local()

    def read(ids: Ids) -> None:
        if not hasattr(again, "out"):
            again.out = np.empty((BATCH, TILE, TILE, 3), np.uint8)
        read_tiles(slide, found.frame, found.grid, ids, out=again.out)

    _shared(read, batches, threads)
    slide.close()
    return found.megapixels


def _shared(work: Callable[[Any], Any], parts: list[Any], threads: int) -> None:
    """All parts in order by one thread, or half and half by two."""
    if threads == 1:
        for part in parts:
            work(part)
        return
    middle = len(parts) // 2
    with ThreadPoolExecutor(threads) as pool:
        for half in [pool.submit(_shared, work, some, 1) for some in (parts[:middle], parts[middle:])]:
            half.result()


def _each(found: Sample, maker: Callable[[Path], Read]) -> float:
    """All tiles by a peer that is opened anew: nothing is still in its cache."""
    read = maker(found.path)
    for box in found.boxes:
        read(box)
    return found.megapixels


@dataclass(frozen=True)
class Native:
    """Native tiles: where they lie, how they are decoded, and their megapixels."""

    path: Path
    places: tuple[tuple[int, int], ...]
    decode: Callable[[bytes], Any]
    megapixels: float


def _native(found: Sample) -> Native:
    """The native tiles that the sample's boxes touch, each once, in the order of the file."""
    import tifffile  # as all peers: only to be measured

    with tifffile.TiffFile(found.path) as file:
        page = file.pages.first.aspage()
        if not page.is_tiled:
            raise SlideOpenError("benchmarking: the bare decoder needs a tiled TIFF or SVS", subject=str(found.path))
        high, wide = int(page.tilelength), int(page.tilewidth)
        across = -(-int(page.imagewidth) // wide)
        touched = {row * across + column for box in found.boxes for row, column, _ in cells(box, (high, wide))}
        places = tuple((page.dataoffsets[i], page.databytecounts[i]) for i in sorted(touched))
        return Native(found.path, places, _decoder(page), len(places) * high * wide / 1e6)


def _decoder(page: Any) -> Callable[[bytes], Any]:
    import imagecodecs
    import tifffile

    if int(page.compression) != JPEG:
        return lambda data: page.decode(data, 0)
    space, out = tifffile.tifffile.jpeg_decode_colorspace(
        page.photometric, page.planarconfig, page.extrasamples, page.is_jfif
    )
    return partial(imagecodecs.jpeg8_decode, tables=page.jpegtables, colorspace=space, outcolorspace=out)


def bare(native: Native, *, threads: int = 1) -> float:
    """Decode all native tiles once; returns their megapixels."""
    handle = os.open(native.path, os.O_RDONLY)
    try:
        _shared(lambda at: native.decode(os.pread(handle, at[1], at[0])), list(native.places), threads)
    finally:
        os.close(handle)
    return native.megapixels


def _peers() -> dict[str, Callable[[Path], Read]]:
    """A reader of tiles by each installed peer, as its users read them at level 0."""
    makers = {"OpenSlide": _openslide, "TIAToolbox": _tiatoolbox, "tiffslide": _tiffslide}
    return {name: maker for name, maker in makers.items() if installed(name)}


def _openslide(path: Path) -> Read:
    import openslide

    handle = openslide.OpenSlide(path)
    return lambda box: np.asarray(handle.read_region((box.x, box.y), 0, (box.width, box.height)))[..., :3]


def _tiatoolbox(path: Path) -> Read:
    from tiatoolbox.wsicore.wsireader import WSIReader

    reader: Any = WSIReader.open(path)
    return lambda box: np.asarray(
        reader.read_rect((box.x, box.y), (box.width, box.height), resolution=0, units="level")
    )


def _tiffslide(path: Path) -> Read:
    import tiffslide

    handle = tiffslide.TiffSlide(path)
    return lambda box: np.asarray(handle.read_region((box.x, box.y), 0, (box.width, box.height), as_array=True))
