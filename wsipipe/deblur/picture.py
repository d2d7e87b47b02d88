"""Whole pictures and slides, strip by strip: one blur for all of a field, memory bounded by a strip.

Enters: a `Slide`, a method. Leaves: what blur it has, and its restored strips from top to bottom. Next:
`wsipipe.cli.deblur` writes them.

A field was exposed once, so its blur is one: the classifier looks at several tiles and the pooled answer is
undone everywhere. That also keeps tiles' seams from showing a change of kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsipipe.deblur import classical
from wsipipe.deblur.blur import Blur
from wsipipe.deblur.error_map import ErrorMap
from wsipipe.deblur.network import HALO, Deblurring, Estimated
from wsipipe.deblur.sharpness import GLASS
from wsipipe.errors import SlideReadError
from wsipipe.grid import Box
from wsipipe.slide.base import Slide

Method = Literal["network", "wiener", "richardson_lucy", "none"]
METHODS = ("network", "wiener", "richardson_lucy", "none")
Rgb = NDArray[np.uint8]
TILE = 1024
LOOKS, LOOK_PX = 4, 384
"""Tiles that the classifier looks at, those with most tissue, and their side."""
LEAST_PX = 32


@dataclass
class Done:
    """What became of the tiles so far: pixels, those that fell back, and the sum of errors to expect."""

    pixels: int = 0
    fell_back: float = 0.0
    error: float = 0.0

    def add(self, pixels: int, fell_back: float, error: float) -> None:
        """One tile more."""
        self.pixels, self.fell_back, self.error = (
            self.pixels + pixels, self.fell_back + fell_back * pixels, self.error + error * pixels,
        )  # fmt: skip


@dataclass(frozen=True)
class Restoring:
    """A picture, its blur and how it is undone; `strips` does the work.

    Parameters
    ----------
    slide : Slide
        8 bit, grey or RGB.
    method : {"network", "wiener", "richardson_lucy", "none"}
    blur : Blur
    route : Deblurring
    plane : int
    done : Done
    map : ErrorMap, optional
        Both are filled while the strips are made.
    """

    slide: Slide
    method: str
    blur: Blur
    route: Deblurring
    plane: int = 0
    done: Done = field(default_factory=Done)
    map: ErrorMap | None = None

    def boxes(self) -> list[list[Box]]:
        """Write boxes of each strip's tiles, from top to bottom."""
        height, width = self.slide.info.shape
        return [
            [Box(y, x, min(TILE, height - y), min(TILE, width - x)) for x in range(0, width, TILE)]
            for y in range(0, height, TILE)
        ]

    def strips(self, told: Callable[[], None] = lambda: None) -> Iterator[Rgb]:
        """Restored strips, (up to `TILE`, width, 3) uint8; `told` is called after every tile."""
        for row in self.boxes():
            made = []
            for box in row:
                made.append(self._tile(box))
                told()
            yield np.concatenate(made, axis=1)

    def _tile(self, box: Box) -> Rgb:
        if self.method == "none" or self.blur.kind == "sharp":
            self.done.add(box.height * box.width, 0.0, 0.0)
            return read_rgb(self.slide, box, self.plane)
        halo = HALO if self.method == "network" else 2 * len(self.blur.kernel())
        height, width = self.slide.info.shape
        wide = Box.from_edges(
            max(0, box.y - halo), max(0, box.x - halo), min(height, box.y1 + halo), min(width, box.x1 + halo)
        )
        rgb = read_rgb(self.slide, wide, self.plane)
        inner = (slice(box.y - wide.y, box.y1 - wide.y), slice(box.x - wide.x, box.x1 - wide.x))
        if self.method == "network":
            made, _ = self.route.restore(rgb, self.blur)
            self.done.add(box.height * box.width, made.fell_back, float(made.error[inner].mean()))
            if self.map is not None:
                self.map.put(box, made.error[inner])
            return made.rgb[inner]
        self.done.add(box.height * box.width, 0.0, 0.0)
        return classically(rgb, self.blur, self.method)[inner]


def classically(rgb: Rgb, blur: Blur, method: str) -> Rgb:
    """A tile by Wiener's filter or Richardson and Lucy's iteration, with the kernel of a blur."""
    if blur.kind == "sharp":
        return rgb
    return classical.wiener(rgb, blur.kernel()) if method == "wiener" else classical.richardson_lucy(rgb, blur.kernel())


def look(slide: Slide, route: Deblurring, *, plane: int = 0) -> Estimated:
    """The blur of a picture: the classifier's answers for the tiles with most tissue, pooled.

    Parameters
    ----------
    slide : Slide
    route : Deblurring
    plane : int

    Returns
    -------
    Estimated
        The logarithms of probabilities are averaged, levels are medians, directions are averaged as twice the angle.

    Raises
    ------
    SlideReadError
        Where the picture is not 8 bit, has channels other than grey or RGB, or is smaller than `LEAST_PX`.
    """
    check(slide)
    found = [route.estimate(read_rgb(slide, box, plane)) for box in _looks(slide, plane)]
    prob = np.exp(np.mean([np.log(np.maximum(one.kind_prob, 1e-6)) for one in found], axis=0))
    prob = prob / prob.sum()
    kinds = zip(*(one.blurs for one in found), strict=True)
    return Estimated(tuple(float(value) for value in prob), tuple(_pooled(blurs) for blurs in kinds))


def _pooled(blurs: Sequence[Blur]) -> Blur:
    """Medians of the levels, and the direction of the mean of twice the angle."""
    twice = np.mean([np.exp(2j * np.radians(one.direction_deg)) for one in blurs])
    length, radius, turn = (
        float(np.median([getattr(one, name) for one in blurs])) for name in ("length_px", "radius_px", "turn_deg")
    )
    return Blur(length, float(np.degrees(np.angle(twice)) / 2 % 180), radius, turn)


def check(slide: Slide) -> None:
    """Refuse what the route cannot work on; see `look`."""
    info = slide.info
    if info.dtype != np.uint8 or info.channels not in (1, 3):
        raise SlideReadError(
            f"deblurring: pictures have 8 bit and are grey or RGB, this has {info.dtype} and {info.channels} channels: "
            "scale it to 8 bit over its own range, and give one RGB picture",
            subject=slide.id,
        )
    if min(info.shape) < LEAST_PX:
        raise SlideReadError(
            f"deblurring: a picture has sides of {LEAST_PX} px or more, this is {info.shape[1]} x {info.shape[0]} px: "
            "a blur cannot be told from so little",
            subject=slide.id,
        )


def read_rgb(slide: Slide, box: Box, plane: int = 0) -> Rgb:
    """Pixels of level 0 as RGB; grey three times."""
    pixels = slide.read(box, level=0, plane=plane)
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def _looks(slide: Slide, plane: int) -> list[Box]:
    """The boxes that are looked at: of a lattice of at most 64, those with most tissue."""
    height, width = slide.info.shape
    side = min(LOOK_PX, height, width)
    rows, columns = (np.unique(np.linspace(0, length - side, 8).astype(int)) for length in (height, width))
    rows, columns = (places[:: max(1, len(places) * side // max(1, 2 * length))] for places, length in
                     ((rows, height), (columns, width)))  # fmt: skip
    boxes = [Box(int(y), int(x), side, side) for y in rows for x in columns]
    share = [float((read_rgb(slide, box, plane).min(axis=2) <= GLASS).mean()) for box in boxes]
    order = sorted(range(len(boxes)), key=lambda number: (-round(share[number], 2), number))
    return [boxes[number] for number in order[:LOOKS]]
