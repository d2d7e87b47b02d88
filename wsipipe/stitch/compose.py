"""Blocks of the mosaic: each pulls the fields that touch it and lays them over each other without a seam.

Enters: where fields are, how they are lit, their pixels on demand. Leaves: the pixels of any box of the mosaic, the
same whatever box they are asked in. Next room: the store writes them, once.

At every pixel the field counts whose nearest edge is farthest away; where two are about equally far they are mixed, in
a band of twice `feather_px`. So a seam runs along the middle of an overlap, where both fields are lit best, and what
does not lie over each other to the pixel is not averaged over the whole overlap. Fields that are neither turned nor
bent by the lens are put at whole pixels and not resampled: their samples are those of the mosaic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.grid import Box, touching
from wsipipe.stitch.light import Light
from wsipipe.stitch.solve import bowed, turned

F32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Read = Callable[[int, Box], NDArray[np.integer]]
"""``read(field, box)``: ``(h, w, C)`` of a box inside the field."""
TURN_PX = 0.35
"""A field whose corners move by less than this when it is turned is not turned."""
UNBEND_STEPS = 5
"""Of the fixed point that undoes the lens; each gains two digits for bends of a hundredth."""
REACH_PX = 3
"""Pixels that interpolation asks for around a point."""


@dataclass(frozen=True)
class Placement:
    """Where fields lie in the mosaic.

    Parameters
    ----------
    middle : (N, 2) float
        Of each field, ``y, x``, pixels of the mosaic.
    turn : (N,) float
        Radians.
    shape : (int, int)
        Of the fields.
    size : (int, int)
        Of the mosaic.
    used : (N,) bool
        Fields that are laid down.
    top : float
        The value that becomes 255.
    feather_px : float
        Half of the band in which two fields are mixed.
    fill : int
        Where no field is.
    bend : float
        Of the lens, see `wsipipe.stitch.solve.bowed`.
    """

    middle: NDArray[np.float64]
    turn: NDArray[np.float64]
    shape: tuple[int, int]
    size: tuple[int, int]
    used: NDArray[np.bool_]
    top: float = 255.0
    feather_px: float = 24.0
    fill: int = 255
    bend: float = 0.0

    def resampled(self, field: int) -> bool:
        """Whether a field is interpolated: the lens bends, or its corners move by `TURN_PX` where it is turned."""
        return self.bend != 0 or abs(float(self.turn[field])) * np.hypot(*self.shape) / 2 >= TURN_PX

    def corner(self, field: int) -> tuple[int, int]:
        """Upper left corner of a field that is not turned, whole pixels."""
        y, x = self.middle[field] - (np.array(self.shape) - 1) / 2
        return int(np.floor(y + 0.5)), int(np.floor(x + 0.5))

    def boxes(self) -> NDArray[np.int64]:
        """``(N, 4)``: the box that each field touches; empty for those that are not used."""
        found = np.zeros((len(self.middle), 4), np.int64)
        for field in np.flatnonzero(self.used):
            found[field] = self._box(int(field))
        return found

    def _box(self, field: int) -> tuple[int, int, int, int]:
        if not self.resampled(field):
            return (*self.corner(field), *self.shape)
        half = (np.array(self.shape) - 1) / 2
        sides = np.linspace(-1, 1, 9)
        rim = [(s, t) for s in sides for t in (-1, 1)] + [(t, s) for s in sides for t in (-1, 1)]
        points = turned(bowed(np.array(rim) * half, self.bend), float(self.turn[field])) + self.middle[field]
        start, stop = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int) + 1
        return int(start[0]), int(start[1]), int(stop[0] - start[0]), int(stop[1] - start[1])


def placed(whole: Placement) -> Placement:
    """The same placement in a mosaic that starts at the first pixel of the first field and ends with the last.

    Where the whole lies is free by a part of a pixel: it is moved so that corners come as near to whole pixels as they
    can, and fields that differ by whole pixels are rounded alike.
    """
    corners = whole.middle[whole.used] - (np.array(whole.shape) - 1) / 2
    part = np.angle(np.exp(2j * np.pi * corners).mean(axis=0)) / (2 * np.pi)
    whole = replace(whole, middle=whole.middle - part)
    boxes = whole.boxes()[whole.used]
    start = boxes[:, :2].min(axis=0)
    size = (boxes[:, :2] + boxes[:, 2:]).max(axis=0) - start
    return replace(whole, middle=whole.middle - start, size=(int(size[0]), int(size[1])))


def block(box: Box, placement: Placement, light: Light, read: Read) -> Pixels:
    """Pixels of the mosaic.

    Parameters
    ----------
    box : Box
        Of the mosaic; may reach outside it.
    read : callable
        Called for each field that has a say in a part of the box, with the part of it that is needed.

    Returns
    -------
    (h, w, 3) uint8
        Grey fields give three equal channels; what no field covers is ``placement.fill``.

    Notes
    -----
    The box is cut along the edges of the fields that touch it. Most parts lie in one field only: there is nothing to
    blend there, which saves nine tenths of the time.
    """
    out = np.full((*box.shape, 3), placement.fill, np.uint8)
    boxes = placement.boxes()
    for part, fields in _parts(box, boxes, touching(box, boxes)):
        if len(fields) == 1 and not placement.resampled(fields[0]):
            pixels = laid_pixels(part, placement, light, fields[0], read)
            made = pixels if pixels.dtype == np.uint8 else _rounded(pixels)
        else:
            made = _blended(part, placement, light, fields, read)
        out[part.slices(box)] = made
    return out


def _parts(box: Box, boxes: NDArray[np.int64], touched: NDArray[np.int64]) -> Iterator[tuple[Box, list[int]]]:
    """The box in parts whose every pixel lies in the same fields, and these; parts in no field are left out."""
    start, stop = boxes[touched, :2], boxes[touched, :2] + boxes[touched, 2:]
    rows, columns = (
        np.unique(np.clip([low, high, *start[:, axis], *stop[:, axis]], low, high)).tolist()
        for axis, (low, high) in enumerate(((box.y, box.y1), (box.x, box.x1)))
    )
    for y, y1 in pairwise(rows):
        for x, x1 in pairwise(columns):
            inside = (start <= (y, x)).all(axis=1) & (stop >= (y1, x1)).all(axis=1)
            if inside.any():
                yield Box.from_edges(y, x, y1, x1), touched[inside].tolist()


def _blended(box: Box, placement: Placement, light: Light, fields: list[int], read: Read) -> Pixels:
    """Where several fields, or a turned one, have a say: a weighted mean, feathered towards the field that is left."""
    depth = np.zeros(box.shape, np.float32)
    depths = {field: _depth(box, placement, field) for field in fields}
    for one in depths.values():
        np.maximum(depth, one, out=depth)
    total, weights = np.zeros((*box.shape, 3), np.float32), np.zeros(box.shape, np.float32)
    for field in fields:
        weight = _weight(depths.pop(field), depth, placement.feather_px)
        part = _bounds(weight, box)
        if not part.is_empty:
            own = weight[part.slices(box)]
            pixels = laid_pixels(part, placement, light, field, read)
            total[part.slices(box)] += own[..., None] * pixels
            weights[part.slices(box)] += own
    empty = weights <= 0
    total /= np.where(empty, 1.0, weights)[..., None]
    out = _rounded(total)
    out[empty] = placement.fill
    return out


def _rounded(light: NDArray[Any]) -> Pixels:
    """To the nearest of 0 to 255, half up; changes what it is given."""
    light += np.float32(0.5)
    return np.clip(light, 0, 255.5, out=light).astype(np.uint8)


def _weight(own: F32, deepest: F32, feather_px: float) -> F32:
    """A field's say: 0 where another is more than the feather deeper, or where it is not at all."""
    weight = own - np.maximum(deepest - feather_px, 0)
    weight[own <= 0] = 0
    return np.asarray(np.maximum(weight, 0), np.float32)


def _depth(box: Box, placement: Placement, field: int) -> F32:
    """Pixels from the field's nearest edge, 1 at its outermost pixel, 0 outside."""
    height, width = placement.shape
    if not placement.resampled(field):
        y0, x0 = placement.corner(field)
        y, x = np.arange(box.y, box.y1) - y0, np.arange(box.x, box.x1) - x0
        rows, columns = np.minimum(y, height - 1 - y) + 1, np.minimum(x, width - 1 - x) + 1
        return np.asarray(np.maximum(np.minimum(rows[:, None], columns[None]), 0), np.float32)
    v, u = _seen(box, placement, field)
    near = np.minimum(np.minimum(v, height - 1 - v), np.minimum(u, width - 1 - u)) + 1
    near[near < 1] = 0
    return near.astype(np.float32)


def _seen(box: Box, placement: Placement, field: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the box's pixels lie in a field that is turned or bent."""
    turn, middle = placement.turn[field], placement.middle[field]
    half = (np.array(placement.shape) - 1) / 2
    v = (np.arange(box.y, box.y1) - middle[0])[:, None]
    u = (np.arange(box.x, box.x1) - middle[1])[None]
    cos, sin = np.cos(turn), np.sin(turn)
    y, x = cos * v - sin * u, sin * v + cos * u
    if placement.bend:
        square = y**2 + x**2
        far = square.copy()
        for _ in range(UNBEND_STEPS):  # q = p (1 + k |p|^2) solved for p
            far = square / (1 + placement.bend * far) ** 2
        by = 1 / (1 + placement.bend * far)
        y, x = y * by, x * by
    return y + half[0], x + half[1]


def _bounds(weight: F32, box: Box) -> Box:
    """The smallest box with all of a field's say."""
    rows, columns = np.flatnonzero(weight.any(axis=1)), np.flatnonzero(weight.any(axis=0))
    if len(rows) == 0:
        return Box(box.y, box.x, 0, 0)
    return Box.from_edges(box.y + rows[0], box.x + columns[0], box.y + rows[-1] + 1, box.x + columns[-1] + 1)


def laid_pixels(box: Box, placement: Placement, light: Light, field: int, read: Read) -> F32 | Pixels:
    """A field's pixels over a box of the mosaic, evenly lit, 0 to 255; those outside the field are of no account.

    8-bit pixels that nothing changes leave as they are.
    """
    inside = Box(0, 0, *placement.shape)
    if not placement.resampled(field):
        y, x = placement.corner(field)
        own = box.shift(-y, -x)
        found = own.intersect(inside)
        seen = read(field, found)
        if light.even and seen.dtype == np.uint8 and placement.top == 255:
            return np.asarray(np.repeat(seen, 3, axis=2) if seen.shape[2] == 1 else seen[..., :3], np.uint8)
        return _lit(_rgb(seen, placement.top), found, placement, light, field)
    v, u = _seen(box, placement, field)
    start = [int(np.floor(at.min())) - REACH_PX for at in (v, u)]
    stop = [int(np.ceil(at.max())) + REACH_PX + 1 for at in (v, u)]
    own = Box.from_edges(start[0], start[1], stop[0], stop[1])
    found = own.intersect(inside)
    lit = _lit(_rgb(read(field, found), placement.top), found, placement, light, field)
    maps = ((u - found.x).astype(np.float32), (v - found.y).astype(np.float32))
    moved = cv2.remap(lit, *maps, interpolation=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(moved, 0, 255), np.float32)


def _rgb(pixels: NDArray[np.integer], top: float) -> F32:
    rgb = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return rgb.astype(np.float32) if top == 255 else rgb.astype(np.float32) * np.float32(255 / top)


def _lit(pixels: F32, box: Box, placement: Placement, light: Light, field: int) -> F32:
    if light.even:
        return pixels
    y, x = np.arange(box.y, box.y1, dtype=float), np.arange(box.x, box.x1, dtype=float)
    pixels *= light.factors(field, y, x, placement.shape)
    return np.clip(pixels, 0, 255, out=pixels)
