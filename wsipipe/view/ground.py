"""Pixels of Deep Zoom tiles: from the slide's best stored level with at most one resample, or from the overview.

Enters: an open slide, and the overview picture that the run published. Leaves: ``(height, width, 3)`` uint8. Next
room: `wsipipe.view.encode`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box, Frame
from wsipipe.slide.base import Slide
from wsipipe.units import Mpp
from wsipipe.view.deepzoom import DeepZoom

RGB = NDArray[np.uint8]
COSTLY = 16.0
"""A tile that would be resampled by more than this from the slide is taken from the overview where there is one: of a
large slide without stored levels all pixels would have to be decoded for the first look at it."""


@dataclass(frozen=True)
class Ground:
    """Where the pixels of one slide come from.

    Parameters
    ----------
    zoom : DeepZoom
        Over level 0 of the slide.
    slide : Slide or None
        Opened from its file; None where it is not at hand.
    overview : Slide or None
        The published picture of the whole slide, as a slide of its own.
    l0_scale : float
        Level-0 pixels per pixel of `overview`.
    """

    zoom: DeepZoom
    slide: Slide | None
    overview: Slide | None
    l0_scale: float = 1.0

    @property
    def finest(self) -> int:
        """The finest level worth asking for: the last, or without the slide the first that shows all the overview."""
        if self.slide is not None:
            return self.zoom.last
        coarse = [level for level in range(self.zoom.last) if self.zoom.downsample(level) > self.l0_scale * 1.0001]
        return len(coarse)

    def tile(self, level: int, row: int, column: int) -> RGB:
        """Pixels of one tile.

        Returns
        -------
        (height, width, 3) uint8
            As `DeepZoom.box` has it.

        Raises
        ------
        IndexError
            Where there is no such tile, or the level is finer than `finest`.
        SlideReadError
            Where the pixels cannot be decoded.
        """
        box, down = self.zoom.box(level, row, column), float(self.zoom.downsample(level))
        if level > self.finest:
            raise IndexError(f"levels are 0 to {self.finest}, got {level}")
        if self.slide is not None and (self.overview is None or _ratio(self.slide, down) <= COSTLY):
            return as_rgb(_read(self.slide, box, self.zoom.shape_of(level), down))
        if self.overview is None:
            raise IndexError("neither the slide nor its overview is there")
        return as_rgb(_read(self.overview, box, self.zoom.shape_of(level), down / self.l0_scale))


def _ratio(slide: Slide, down: float) -> float:
    """Stored pixels per asked pixel, along a side."""
    return down / max(level.downsample for level in slide.info.levels if level.downsample <= down * 1.0001)


def _read(slide: Slide, box: Box, shape: tuple[int, int], down: float) -> NDArray[Any]:
    """A box of the frame `down` times coarser: a stored level as it is, where one is exactly that, else resampled."""
    for index, level in enumerate(slide.info.levels):
        if level.downsample == down and Box(0, 0, *level.shape).contains(box):
            return slide.read(box, level=index)
    return slide.read(box, frame=Frame(shape, down, Mpp((slide.info.mpp or 1.0) * down)))


def as_rgb(pixels: NDArray[Any]) -> RGB:
    """Three eight-bit channels of whatever a slide has: grey is repeated, more channels are left out.

    Parameters
    ----------
    pixels : (height, width, channel) array
        Sixteen bits are shown by their upper eight; floats are 0 to 1.
    """
    if pixels.dtype.kind == "f":
        pixels = np.clip(np.nan_to_num(pixels), 0, 1) * 255 + 0.5
    elif pixels.dtype.itemsize > 1:
        pixels = np.right_shift(pixels, 8 * (pixels.dtype.itemsize - 1))
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels, np.uint8)
