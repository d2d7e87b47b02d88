"""Native tiles of TIFF and BigTIFF: tifffile finds them, imagecodecs decodes only those that a box touches.

Enters: TIFF, OME-TIFF, SVS. Leaves: a `Slide`. Next rooms: all that read slides.

Takes what OpenSlide refuses (JPEG 2000, WebP, LZW, deflate, zstd, OME pyramids, several planes), and serves OpenSlide's
reader the levels that it would interpolate. It needs no more to become the first choice than its place in
`wsipipe.slide.choose`.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from wsipipe.errors import SlideOpenError, SlideReadError
from wsipipe.grid import Box
from wsipipe.slide.base import Pixels, SlideInfo
from wsipipe.slide.damage import Damage
from wsipipe.slide.identity import file_fingerprint, scene_fingerprint, slide_id
from wsipipe.slide.native import DECODE_ERRORS, TileCache, assemble
from wsipipe.slide.reader import Reader, brief, choose_scene
from wsipipe.slide.samples import Samples
from wsipipe.slide.scale import with_mpp_yx
from wsipipe.slide.tiff import Directory, Scene, TiffIndex, TiffLevel, check_sound, read_index


def versions() -> str:
    """Reader and decoder, as the execution fingerprint records them."""
    import imagecodecs  # deferred: only its version is wanted here

    return f"tifffile {tifffile.__version__} + imagecodecs {imagecodecs.__version__}"


class TiffTiles:
    """Decoded pixels of one scene; safe for several threads (reads at an offset share no file position)."""

    def __init__(self, path: Path, scene: Scene, samples: Samples) -> None:
        self._path, self._scene, self._samples = path, scene, samples
        self._cache, self._scratch = TileCache(), threading.local()
        self.damage: Damage | None = None
        """Where failed tiles are noted and left white; without it they are errors."""
        self._file = os.open(path, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._file)

    def close(self) -> None:
        """Give back the file; a second call does nothing."""
        self._close()
        self._cache.clear()

    def fill(self, out: Pixels, level: int, box: Box, plane: int) -> None:
        """Write the pixels of a box inside the level to `out`, ``(height, width, channel)``."""
        stored = self._scene.levels[level]
        pages = stored.pages[plane]
        step = self._samples.channels // len(pages)
        for channel in range(len(pages)):
            part = out[..., channel * step : (channel + 1) * step]
            assemble(part, box, stored.tile, partial(self._tile, level, plane, channel), fill=self._samples.fill)

    def samples(self, level: int) -> list[Box]:
        """Boxes of the tile in the middle of a level and of four others; none where the file leaves out tiles of it."""
        stored = self._scene.levels[level]
        if any(0 in page.counts or len(page.counts) < stored.tiles[0] * stored.tiles[1] for page in stored.pages[0]):
            return []
        places = ((1 / 2, 1 / 2), (1 / 4, 1 / 4), (3 / 4, 3 / 4), (1 / 4, 3 / 4), (3 / 4, 1 / 4))
        cells = [[int(count * part) for count, part in zip(stored.tiles, at, strict=True)] for at in places]
        boxes = [Box(row * stored.tile[0], column * stored.tile[1], *stored.tile) for row, column in cells]
        return [box.intersect(Box(0, 0, *stored.shape)) for box in boxes]

    def _tile(self, level: int, plane: int, channel: int, row: int, column: int, keep: bool) -> Pixels | None:
        stored = self._scene.levels[level]
        page, index = stored.pages[plane][channel], row * stored.tiles[1] + column
        if index >= len(page.counts) or page.counts[index] == 0:
            return None  # a sparse file leaves out empty tiles
        key = (level, plane, channel, index)
        try:
            if not keep and page.into is not None:
                held = self._cache.peek(key)
                return self._passing(stored, page, index) if held is None else held
            return self._cache.get(key, partial(self._decoded, stored, page, index), keep=keep)
        except DECODE_ERRORS as exc:
            if self.damage is not None:
                self.damage.add(level, plane, Box(row * stored.tile[0], column * stored.tile[1], *stored.tile))
                return None
            raise SlideReadError(
                f"decoding tile row {row}, column {column} of level {level}, plane {plane}: {brief(exc)}: "
                "the file is damaged there, copy or export it again",
                subject=str(self._path),
            ) from exc

    def _passing(self, level: TiffLevel, page: Directory, index: int) -> Pixels:
        """A tile for this moment: in memory that the thread's next one overwrites, which stays in the core's cache."""
        held: Pixels | None = getattr(self._scratch, "tile", None)
        if held is None or held.shape[:2] != level.tile:
            held = self._scratch.tile = np.empty((*level.tile, self._samples.channels), np.uint8)
        data = self._bytes(page, index)
        try:
            assert page.into is not None
            page.into(data, out=held)
        except DECODE_ERRORS:  # of another size than the others, or damaged: as every other tile
            return self._decoded(level, page, index)
        return held

    def _decoded(self, level: TiffLevel, page: Directory, index: int) -> Pixels:
        tile = self._samples.finish(self._stored(level, page, index))
        tile.flags.writeable = False
        return tile

    def _stored(self, level: TiffLevel, page: Directory, index: int) -> Pixels:
        """``(height, width, sample)`` as the file has it."""
        if not level.separate:
            return self._segment(page, index)
        step = level.tiles[0] * level.tiles[1]
        return np.concatenate([self._segment(page, index + s * step) for s in range(level.separate)], axis=2)

    def _bytes(self, page: Directory, index: int) -> bytes:
        data = os.pread(self._file, page.counts[index], page.offsets[index])
        if len(data) < page.counts[index]:
            raise ValueError(f"{page.counts[index]} bytes expected, the file gives {len(data)}")
        return data

    def _segment(self, page: Directory, index: int) -> Pixels:
        data = self._bytes(page, index)
        if not data.startswith(page.starts):
            raise ValueError("its codes start with no clear code")
        pixels, _, _ = page.decode(data, index, **page.options)
        if pixels is None:
            raise ValueError("no pixels in it")
        return pixels[0]


class TiledSlide(Reader):
    """A TIFF read tile by tile."""

    def __init__(self, info: SlideInfo, *, slide_id: str, subject: str, tiles: TiffTiles) -> None:
        super().__init__(info, slide_id=slide_id, subject=subject)
        self._tiles = tiles

    def _into(self, out: Pixels, level: int, box: Box, plane: int) -> None:
        self._tiles.fill(out, level, box, plane)

    def _native_tiles(self) -> TiffTiles:
        return self._tiles

    def _release(self) -> None:
        self._tiles.close()


def open_tiled(path: Path, scene: int | None = None, *, index: TiffIndex | None = None) -> TiledSlide:
    """Open a TIFF.

    Parameters
    ----------
    path : Path
    scene : int, optional
        Which one, where the file has several.
    index : TiffIndex, optional
        If it was read already.

    Raises
    ------
    SlideOpenError
        Damaged or cut off, of a layout that is not read, or of several scenes with none chosen.
    """
    index = index or read_index(path)
    check_sound(index, path)
    chosen = choose_scene([describe(s) for s in index.scenes], scene, path)
    found = index.scenes[chosen]
    if found.samples is None or found.problem:
        raise SlideOpenError(found.problem, subject=str(path))
    _check_levels(found, path)
    print_ = file_fingerprint(path, index.digest)
    print_ = scene_fingerprint(print_, chosen if len(index.scenes) > 1 else None)
    info = SlideInfo(
        found.facts(), None, found.samples.channels, found.samples.dtype, print_, versions(), planes=found.planes,
        icc=index.icc, objective=index.objective, vendor=index.vendor, associated=index.associated,
        properties=index.properties, fill=found.samples.fill,
    )  # fmt: skip
    tiles = TiffTiles(path, found, found.samples)
    return TiledSlide(with_mpp_yx(info, found.mpp_yx), slide_id=slide_id(path, print_), subject=str(path), tiles=tiles)


def describe(scene: Scene) -> str:
    """A scene in a list of them."""
    return f"{scene.name or 'unnamed'} {scene.shape[1]} x {scene.shape[0]}"


def _check_levels(scene: Scene, path: Path) -> None:
    if len({len(level.pages) for level in scene.levels}) > 1:
        raise SlideOpenError("its levels hold different numbers of planes: export the planes alike", subject=str(path))
