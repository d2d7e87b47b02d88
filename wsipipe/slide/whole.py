"""Whole slides through OpenSlide: the checked reference for every format that it reads.

Enters: SVS, NDPI, MRXS, SCN, BIF, VMS, DICOM, generic tiled TIFF. Leaves: a `Slide`. Next rooms: all that read slides.

Where a file is a tiled TIFF, its native tiles are decoded directly (`wsipipe.slide.tiled`), which takes a quarter of
the time, at every level whose middle tile OpenSlide sees as the same bytes; at the others OpenSlide itself reads.

OpenSlide takes positions in level-0 pixels. Where a level's downsample is no whole number (2.0005 for a level that was
rounded down) a box of that level has none, and OpenSlide interpolates: up to 32 grey levels off on a real SVS, and
depending on where the box starts. Such levels are read from the file's own tiles where it is a TIFF, else in fixed
cells, so that a pixel never depends on the box that it is read in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openslide
from PIL import ImageCms

from wsipipe.errors import SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.slide.base import Level, Pixels, SlideInfo
from wsipipe.slide.colour import on_fill
from wsipipe.slide.identity import file_fingerprint, slide_id
from wsipipe.slide.native import cells
from wsipipe.slide.reader import Reader, choose_scene
from wsipipe.slide.scale import level_downsample, number, with_mpp_yx
from wsipipe.slide.tiff import Scene, TiffIndex
from wsipipe.slide.tiled import TiffTiles, versions
from wsipipe.units import round_half_up

BLOCK_PX = 2048
"""Side of the largest region asked of OpenSlide at once (16 MB of its four bytes per pixel)."""
CELL_PX = 512
"""Side of the fixed cells in which levels without whole positions are read."""
FILL = 255
NATIVE_VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats whose tiles lie side by side, each at its place in the level."""


class WholeSlide(Reader):
    """A slide that OpenSlide reads.

    Parameters
    ----------
    handle : openslide.OpenSlide
        Taken over.
    tiles : TiffTiles, optional
        The same file's native tiles: for the levels that OpenSlide would interpolate, and where both show the same.
    """

    def __init__(
        self, info: SlideInfo, *, slide_id: str, path: Path, handle: openslide.OpenSlide, tiles: TiffTiles | None
    ) -> None:
        super().__init__(info, slide_id=slide_id, subject=str(path))
        self._path, self._handle, self._tiles = path, handle, tiles
        self._ratios = tuple(handle.level_downsamples)  # OpenSlide's own: it divides positions by them
        self._renewing, self._comparing = threading.Lock(), threading.Lock()
        self._native: dict[int, bool] = {}

    def _into(self, out: Pixels, level: int, box: Box, plane: int) -> None:
        whole = _is_whole(self._ratios[level])
        if self._tiles is not None and (not whole or self._is_native(level)):
            self._tiles.fill(out, level, box, plane)
            return
        side = BLOCK_PX if whole else CELL_PX
        for _, _, cell in cells(box, (side, side)):
            part = cell.intersect(box)
            region = part if whole else cell.intersect(Box(0, 0, *self._info.levels[level].shape))
            out[part.slices(box)] = self._region(level, region)[part.slices(region)]

    def _is_native(self, level: int) -> bool:
        """Whether the level's native tiles are what OpenSlide shows; compared once, at a sound tile near the middle."""
        with self._comparing:
            if level not in self._native:
                self._native[level] = self._info.vendor in NATIVE_VENDORS and self._same(level)
            return self._native[level]

    def _same(self, level: int) -> bool:
        assert self._tiles is not None
        for box in self._tiles.samples(level):
            native = np.empty((*box.shape, 3), np.uint8)
            try:
                self._tiles.fill(native, level, box, 0)
                shown = self._region(level, box)
            except SlideReadError:
                continue  # damaged there: another one tells
            if self._tiles.damage is None or not self._tiles.damage.share(level, 0, box):
                return bool(np.array_equal(native, shown))
        return False

    def _region(self, level: int, box: Box) -> Pixels:
        handle, scale = self._handle, self._ratios[level]
        corner = round_half_up(box.x * scale), round_half_up(box.y * scale)
        try:
            picture = handle.read_region(corner, level, (box.width, box.height))
        except openslide.OpenSlideError as exc:
            self._renew(handle)
            raise SlideReadError(
                f"decoding {box.width} x {box.height} px at x {box.x}, y {box.y} of level {level}: OpenSlide says "
                f"{_without(str(exc), self._path)}: the file is damaged there, copy or export it again",
                subject=self._subject,
            ) from exc
        rgba = np.asarray(picture)
        return on_fill(rgba[..., :3], rgba[..., 3], FILL)

    def _renew(self, broken: openslide.OpenSlide) -> None:
        """OpenSlide refuses everything after the first error: open anew, so that other tiles can still be read.

        The broken handle is not closed here, another thread may be inside it; the last to let go of it frees it.
        """
        with self._renewing:
            if self._handle is broken:
                self._handle = openslide.OpenSlide(self._path)

    def _native_tiles(self) -> TiffTiles | None:
        return self._tiles

    def _release(self) -> None:
        self._handle.close()
        if self._tiles is not None:
            self._tiles.close()


def open_whole(
    path: Path, scene: int | None = None, *, index: TiffIndex | None = None, entry: Path | None = None
) -> WholeSlide:
    """Open a slide with OpenSlide.

    Parameters
    ----------
    path : Path
        What the user named.
    scene : int, optional
        OpenSlide shows all of a file as one scene, number 0.
    index : TiffIndex, optional
        The directories, where the file is a TIFF: tells what OpenSlide's generic driver would pass over in silence.
    entry : Path, optional
        The file to give to OpenSlide, where it is not `path`: a volume of a DICOM series.

    Raises
    ------
    SlideOpenError
        Where OpenSlide refuses, or would show less than the file holds.
    """
    try:
        handle = openslide.OpenSlide(entry or path)
    except (openslide.OpenSlideError, OSError) as exc:
        raise SlideOpenError(_without(str(exc), entry or path), subject=str(path)) from exc
    try:
        return _opened(path, entry or path, handle, scene, index)
    except SlideOpenError:
        handle.close()
        raise


def _opened(
    path: Path, entry: Path, handle: openslide.OpenSlide, scene: int | None, index: TiffIndex | None
) -> WholeSlide:
    properties = dict(handle.properties)
    vendor = properties.get("openslide.vendor", "")
    if index is not None and vendor == "generic-tiff":
        _check_generic(handle, index, path)
    choose_scene(["whole slide"], scene, path)
    levels = _levels(handle)
    tiles = _twin(path, index, levels, vendor, handle.level_downsamples)
    print_ = properties.get("openslide.quickhash-1") or file_fingerprint(entry, index.digest if index else b"")
    info = SlideInfo(
        levels, None, 3, np.dtype(np.uint8), print_, _reader(tiles), bounds=_bounds(properties),
        icc=index.icc if index else _icc(handle), vendor=vendor,
        objective=number(properties.get("openslide.objective-power")),
        associated=tuple(sorted(handle.associated_images)), properties=properties, fill=FILL,
    )  # fmt: skip
    mpp_yx = number(properties.get("openslide.mpp-y")), number(properties.get("openslide.mpp-x"))
    return WholeSlide(
        with_mpp_yx(info, mpp_yx), slide_id=slide_id(path, print_), path=entry, handle=handle, tiles=tiles
    )


def _check_generic(handle: openslide.OpenSlide, index: TiffIndex, path: Path) -> None:
    """OpenSlide's generic driver shows the first picture and the reduced pages of the main chain, and no more."""
    first = index.scenes[0]
    alone = index.vendor == "generic-tiff" and len(index.scenes) == 1 and first.planes == 1
    if first.problem or (alone and len(first.levels) <= handle.level_count):
        return
    raise SlideOpenError(
        f"OpenSlide's generic driver sees 1 plane of {handle.level_count} levels, the file holds {len(index.scenes)} "
        f"scenes, {first.planes} planes of {len(first.levels)} levels ({index.vendor})",
        subject=str(path),
    )


def _levels(handle: openslide.OpenSlide) -> tuple[Level, ...]:
    shapes = [(height, width) for width, height in handle.level_dimensions]
    return tuple(Level(shape, level_downsample(shapes[0], shape) if i else 1.0) for i, shape in enumerate(shapes))


def _twin(
    path: Path, index: TiffIndex | None, levels: tuple[Level, ...], vendor: str, ratios: Iterable[float]
) -> TiffTiles | None:
    """The file's own tiles, where they may serve and they are the same levels."""
    if index is None or (vendor not in NATIVE_VENDORS and all(map(_is_whole, ratios))):
        return None
    scene: Scene = index.scenes[0]
    rgb = scene.samples is not None and scene.samples.channels == 3 and scene.samples.dtype == np.uint8
    same = [level.shape for level in scene.levels] == [level.shape for level in levels]
    return TiffTiles(path, scene, scene.samples) if scene.samples and rgb and same else None


def _is_whole(downsample: float) -> bool:
    return float(downsample).is_integer()


def _reader(tiles: TiffTiles | None) -> str:
    version = f"openslide {openslide.__library_version__}"
    return version if tiles is None else f"{version}; {versions()} for native tiles"


def _bounds(properties: Mapping[str, Any]) -> Box | None:
    sides = [number(properties.get(f"openslide.bounds-{name}")) for name in ("y", "x", "height", "width")]
    known = [int(side) for side in sides if side is not None]
    return Box(*known) if len(known) == 4 and min(known[2:]) >= 0 else None


def _icc(handle: openslide.OpenSlide) -> bytes | None:
    try:
        profile = handle.color_profile
    except ImageCms.PyCMSError:  # damaged: nothing but colours depends on it
        return None
    return None if profile is None else bytes(profile.tobytes())


def _without(text: str, path: Path) -> str:
    """An error's text without the file's name, on one line."""
    return " ".join(text.replace(str(path), "the file").split())
