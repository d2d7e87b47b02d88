"""The index of a TIFF: scenes, levels, planes, and where each tile or strip lies. No pixel is decoded here.

Enters: a path. Leaves: a `TiffIndex`. Next rooms: `wsipipe.slide.tiled` decodes, `wsipipe.slide.whole` compares.

Strips are tiles as wide as the picture. tifffile finds the pyramids (SubIFDs, reduced pages, vendors' orders).
"""

from __future__ import annotations

import hashlib
import logging
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from wsipipe.errors import SlideOpenError
from wsipipe.slide.base import Level, Pixels
from wsipipe.slide.native import MOST_PX
from wsipipe.slide.samples import Samples, UnsupportedError, samples_of
from wsipipe.slide.scale import MppYX, level_downsample
from wsipipe.slide.tiff_facts import mpp_yx_of, objective_of, ome_images, properties_of, vendor_of

PARSE_ERRORS = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError, MemoryError, OSError, RuntimeError,
    struct.error,
)  # fmt: skip
"""What tifffile raises on damaged directories; `tifffile.TiffFileError` is a ValueError."""

LZW_CLEAR = b"\x80"
"""LZW starts with a clear code (TIFF 6.0, section 13); imagecodecs 2026.1 crashes on damaged tiles that do not."""

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong with a file, our errors say

_ASSOCIATED = re.compile(r"\b(label|macro|map|thumbnail|overview|preview|reference)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """One page's tiles: where they lie and how they are decoded. ``starts`` is what every one of them begins with.

    ``into(data, out=...)`` decodes a tile into memory that is given, where that can be done: RGB as 8-bit JPEG.
    """

    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    decode: Callable[..., tuple[Pixels | None, Any, Any]]
    options: dict[str, Any]
    starts: bytes = b""
    into: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TiffLevel:
    """One resolution: its shape, its tiles' shape, and a page per plane and channel.

    ``separate`` is the number of sample planes that a page stores one after the other (PlanarConfiguration 2),
    0 where samples are interleaved.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    separate: int
    pages: tuple[tuple[Directory, ...], ...]

    @property
    def tiles(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.shape[0] // self.tile[0]), -(-self.shape[1] // self.tile[1])


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One picture with its levels; `problem` says why it cannot be read, and then there are none."""

    name: str
    shape: tuple[int, int]
    levels: tuple[TiffLevel, ...] = ()
    samples: Samples | None = None
    mpp_yx: MppYX = (None, None)
    problem: str = ""

    @property
    def planes(self) -> int:
        """Focal planes, time points or frames."""
        return len(self.levels[0].pages) if self.levels else 1

    def facts(self) -> tuple[Level, ...]:
        """The levels as `SlideInfo` has them."""
        return tuple(
            Level(at.shape, level_downsample(self.shape, at.shape) if i else 1.0) for i, at in enumerate(self.levels)
        )


@dataclass(frozen=True, slots=True, eq=False)
class TiffIndex:
    """All that a TIFF says of itself.

    ``digest`` hashes every tile's place and length; ``end`` is the byte after the last of them,
    ``largest_px`` the area of the largest.
    """

    scenes: tuple[Scene, ...]
    associated: tuple[str, ...]
    vendor: str
    digest: bytes
    properties: dict[str, str]
    objective: float | None
    icc: bytes | None
    end: int
    largest_px: int


def read_index(path: Path) -> TiffIndex:
    """Parse the directories of a TIFF.

    Raises
    ------
    SlideOpenError
        Where they are damaged.
    """
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            return _index(file)
    except PARSE_ERRORS as exc:
        raise SlideOpenError(
            f"reading its TIFF directories: they are damaged or cut off ({exc}): copy or export the file again",
            subject=str(path),
        ) from exc


def check_sound(index: TiffIndex, path: Path) -> None:
    """Whether all tiles that the directories name can be there and are of a size to be decoded.

    OpenSlide takes the size for granted, and ends the process where the memory is not there.

    Raises
    ------
    SlideOpenError
        Where the file ends before the last of them, or one is larger than 500 Mpx.
    """
    if index.largest_px > MOST_PX:
        raise SlideOpenError(
            f"reading its TIFF directories: a tile or strip has {index.largest_px} px, at most {MOST_PX} are decoded: "
            "save it with tiles, or copy it again if it should have them",
            subject=str(path),
        )
    size = path.stat().st_size
    if index.end > size:
        raise SlideOpenError(
            f"reading its TIFF directories: tiles reach to byte {index.end}, the file ends at {size}: it is truncated, "
            "copy it again",
            subject=str(path),
        )


def _index(file: Any) -> TiffIndex:
    pages = _all_pages(file)
    first, text = file.pages[0], file.ome_metadata
    images = ome_images(text)
    main, reduced = _main_series(file)
    scenes = [
        _scene(file, [*series.levels, *(reduced if i == 0 else [])], images[i] if i < len(images) else {})
        for i, series in enumerate(main)
    ]
    slides, associated = _split(scenes, [bool(series.keyframe.is_tiled) for series in main])
    properties = properties_of(first)
    icc = first.tags.valueof(34675)
    return TiffIndex(
        slides, associated, vendor_of(file), _digest(pages), properties, objective_of(properties, text),
        bytes(icc) if icc else None, _end(pages), max(_tile_px(page) for page in pages),
    )  # fmt: skip


def _main_series(file: Any) -> tuple[list[Any], list[Any]]:
    """Pictures, and reduced pages of the first that tifffile does not count as levels.

    Those are steps other than 2, 4, ...; and the second page of an Aperio slide, which it takes for the thumbnail also
    where there is none and the page has tiles.
    """
    first, *others = file.series
    reduced = [one for one in others if (one.keyframe.is_reduced or file.is_svs) and _is_smaller(one, first)]
    return [first, *(one for one in others if one not in reduced)], reduced


def _is_smaller(one: Any, first: Any) -> bool:
    """Whether a series has the kind and the proportions of the first, within a pixel."""
    (height, width), (full_height, full_width) = ((s.keyframe.imagelength, s.keyframe.imagewidth) for s in (one, first))
    alike = one.axes == first.axes and one.dtype == first.dtype and len(one.pages) == len(first.pages)
    tiled = one.keyframe.is_tiled == first.keyframe.is_tiled
    return (
        alike and tiled and width < full_width and abs(height - full_height * width / full_width) <= 1 + height / width
    )


def _all_pages(file: Any) -> list[Any]:
    """Every page that a series names, reduced ones included."""
    found = [page for series in file.series for level in series.levels for page in level.pages if page is not None]
    if not found:
        raise tifffile.TiffFileError("no picture in it")
    return found


def _tile_px(page: Any) -> int:
    """Area of a page's tiles or strips."""
    page = page.keyframe
    if page.is_tiled:
        return int(page.tilelength) * int(page.tilewidth)
    return min(int(page.rowsperstrip), int(page.imagelength)) * int(page.imagewidth)


def _end(pages: Iterable[Any]) -> int:
    ends = [int(np.add(page.dataoffsets, page.databytecounts).max()) for page in pages if len(page.dataoffsets)]
    return max(ends, default=0)


def _split(scenes: list[Scene], tiled: list[bool]) -> tuple[tuple[Scene, ...], tuple[str, ...]]:
    """Slides and the names of what only accompanies them: labels by name, untiled pages beside tiled ones."""
    plain = [not _ASSOCIATED.search(scene.name) for scene in scenes]
    main = [is_plain and (is_tiled or not any(tiled)) for is_plain, is_tiled in zip(plain, tiled, strict=True)]
    if not any(main):
        main = [True] * len(scenes)
    slides = tuple(scene for scene, is_main in zip(scenes, main, strict=True) if is_main)
    others = (scene.name or f"picture {i}" for i, scene in enumerate(scenes) if not main[i])
    return slides, tuple(name.lower() for name in others)


def _scene(file: Any, stored: list[Any], image: dict[str, str]) -> Scene:
    page = stored[0].keyframe
    name, shape = str(stored[0].name or ""), (int(page.imagelength), int(page.imagewidth))
    try:
        samples = samples_of(page)
        levels = tuple(sorted((_level(level) for level in stored), key=lambda level: -level.shape[1]))
        mpp_yx = mpp_yx_of(file, page, image)
    except UnsupportedError as exc:
        return Scene(name, shape, problem=str(exc))
    return Scene(name, shape, levels, _stacked(samples, levels), mpp_yx)


def _stacked(samples: Samples, levels: tuple[TiffLevel, ...]) -> Samples:
    """Channels on pages of their own (OME's C axis) are put together behind one another."""
    pages = {len(plane) for level in levels for plane in level.pages}
    if pages == {1}:
        return samples
    if len(pages) > 1 or samples.channels > 1:
        raise UnsupportedError("channels are stored in two ways at once, or not alike in all levels")
    return Samples(pages.pop(), samples.dtype, min_is_white=samples.min_is_white)


def _level(series: Any) -> TiffLevel:
    page = series.keyframe
    shape = int(page.imagelength), int(page.imagewidth)
    tile = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, shape[0]), shape[1])
    separate = int(page.samplesperpixel) if int(page.planarconfig) == 2 and page.samplesperpixel > 1 else 0
    return TiffLevel(shape, (int(tile[0]), int(tile[1])), separate, _planes(series))


def _planes(series: Any) -> tuple[tuple[Directory, ...], ...]:
    """Pages by plane and channel: every axis before y but C is planes, in the file's order."""
    page, pages = series.keyframe, list(series.pages)
    leading = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS"]
    sizes = tuple(int(size) for _, size in leading)
    if int(np.prod(sizes)) != len(pages) or any(item is None for item in pages):
        raise UnsupportedError(f"axes {series.axes} of {series.shape} on {len(pages)} pages: pages are missing")
    order = np.arange(len(pages)).reshape(sizes or (1,))
    channel = [i for i, (axis, _) in enumerate(leading) if axis == "C"]
    order = np.moveaxis(order, channel[0], -1).reshape(-1, sizes[channel[0]]) if channel else order.reshape(-1, 1)
    known = {int(i): _directory(pages[int(i)], page) for i in order.flat}
    return tuple(tuple(known[int(i)] for i in row) for row in order)


def _directory(page: Any, keyframe: Any) -> Directory:
    """A page's tiles; the decoder is the keyframe's, by which tifffile promises that all of a series are coded."""
    decode = keyframe.decode
    if getattr(decode, "__name__", "").startswith("decode_raise"):  # tifffile's way to say that it has no decoder
        raise UnsupportedError(f"no decoder for {keyframe.compression!s} with predictor {keyframe.predictor!s}")
    options = {"jpegtables": page.jpegtables} if page.jpegtables is not None else {}
    header = getattr(keyframe, "jpegheader", None)  # NDPI's; frames have none of their own
    if header is not None:
        options["jpegheader"] = header
    starts = LZW_CLEAR if int(keyframe.compression) == 5 else b""
    into = _jpeg_into(page, keyframe) if header is None else None
    return Directory(tuple(page.dataoffsets), tuple(page.databytecounts), decode, options, starts, into)


def _jpeg_into(page: Any, keyframe: Any) -> Callable[..., Any] | None:
    """The decoder of 8-bit JPEG as tifffile would ask it (imagecodecs); None for tiles of another kind."""
    plain = keyframe.is_tiled and keyframe.bitspersample == 8 and keyframe.samplesperpixel == 3
    if not plain or int(keyframe.compression) != 7 or int(keyframe.planarconfig) != 1:
        return None
    space, out = tifffile.tifffile.jpeg_decode_colorspace(
        keyframe.photometric, keyframe.planarconfig, keyframe.extrasamples, keyframe.is_jfif
    )
    return partial(imagecodecs.jpeg8_decode, tables=page.jpegtables, colorspace=space, outcolorspace=out)


def _digest(pages: Iterable[Any]) -> bytes:
    hashed = hashlib.sha256()
    for page in pages:
        hashed.update(np.asarray(page.dataoffsets, np.int64).tobytes())
        hashed.update(np.asarray(page.databytecounts, np.int64).tobytes())
    return hashed.digest()
