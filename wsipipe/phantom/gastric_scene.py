"""Everything that is on one made slide, in micrometres, before any pixel is drawn.

Enters: contours and nuclei. Leaves: a `Scene`, drawn by `wsipipe.phantom.gastric_canvas` and asked for truth
by `wsipipe.phantom.gastric_record`. `Floor` keeps glands from overlapping.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from wsipipe.phantom.gastric_sprite import FORMS, Kind
from wsipipe.phantom.gastric_style import Colour

Floats = NDArray[np.float64]
FLOOR_UM = 2.0
"""Micrometres per pixel of the occupancy map."""


class Layer(IntEnum):
    """Order of drawing."""

    TISSUE = 0
    GROUND = 1
    FIBRE = 2
    CELL = 3
    HALO = 4
    BASE = 5
    MIDDLE = 6
    APEX = 7
    BORDER = 8
    LUMEN = 9
    CONTENT = 10


@dataclass(slots=True)
class Floor:
    """Which places are taken, at 2 micrometres per pixel."""

    taken: NDArray[np.uint8]

    @classmethod
    def of(cls, side_um: float) -> Floor:
        """An empty floor for a square field."""
        return cls(np.zeros((int(side_um / FLOOR_UM) + 1,) * 2, np.uint8))

    def claim(self, contour: Floats, *, slack: float = 0.02) -> bool:
        """Take the inside of a contour if at most the share `slack` of it is taken already."""
        points = np.rint(contour[:, ::-1] / FLOOR_UM).astype(np.int32)
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0) + 1
        x0, y0 = max(int(x0), 0), max(int(y0), 0)
        room = self.taken[y0 : max(int(y1), 0), x0 : max(int(x1), 0)]
        if room.size == 0:
            return False
        mask = cv2.fillPoly(np.zeros(room.shape, np.uint8), [points - np.array([x0, y0], np.int32)], 1)
        if cv2.countNonZero(mask & room) > slack * cv2.countNonZero(mask):
            return False
        np.maximum(room, mask, out=room)
        return True

    def at(self, yx: Floats) -> NDArray[np.bool_]:
        """Whether points are taken; places outside the field are."""
        cell = np.rint(yx / FLOOR_UM).astype(np.intp)
        high, wide = self.taken.shape
        inside = (cell >= 0).all(axis=1) & (cell[:, 0] < high) & (cell[:, 1] < wide)
        cell = np.clip(cell, 0, (high - 1, wide - 1))
        return np.asarray(~inside | (self.taken[cell[:, 0], cell[:, 1]] > 0), dtype=np.bool_)

    def room(self, yx: Floats) -> Floats:
        """Micrometres from each point to the nearest taken place; 0 outside the field."""
        away = np.minimum(cv2.distanceTransform(1 - self.taken, cv2.DIST_L2, 3), 1e4) * FLOOR_UM
        cell = np.clip(np.rint(yx / FLOOR_UM), 0, np.array(self.taken.shape) - 1).astype(np.intp)
        inside = ((yx >= 0) & (yx < np.array(self.taken.shape) * FLOOR_UM)).all(axis=1)
        return np.where(inside, away[cell[:, 0], cell[:, 1]], 0.0)


@dataclass(slots=True)
class Scene:
    """Contours, lines, cell bodies and nuclei of one square field.

    ``fills[layer]`` holds (contour, colour); ``lines[layer]`` (contours, colour, width); ``bodies`` rows of
    y, x, radius, eosin, haematoxylin; ``nuclei`` rows of y, x, kind, relative size, angle, category of the cell;
    ``lesions`` (category, contour); ``glands`` contours of basement membranes. All in micrometres.
    """

    side_um: float
    floor: Floor
    outlines: list[Floats] = field(default_factory=list)
    fills: dict[Layer, list[tuple[Floats, Colour]]] = field(default_factory=dict)
    lines: dict[Layer, list[tuple[list[Floats], Colour, float]]] = field(default_factory=dict)
    bodies: list[Floats] = field(default_factory=list)
    nuclei: list[Floats] = field(default_factory=list)
    lesions: list[tuple[int, Floats]] = field(default_factory=list)
    glands: list[Floats] = field(default_factory=list)

    @classmethod
    def of(cls, side_um: float) -> Scene:
        """An empty field."""
        return cls(side_um, Floor.of(side_um))

    def fill(self, layer: Layer, contour: Floats, colour: Colour) -> None:
        """Paint the inside of a contour."""
        self.fills.setdefault(layer, []).append((contour, colour))

    def line(self, layer: Layer, lines: list[Floats], colour: Colour, *, width_um: float) -> None:
        """Paint open lines."""
        self.lines.setdefault(layer, []).append((lines, colour, width_um))

    def put_nuclei(
        self, yx: Floats, kind: NDArray[np.int64], size: Floats, angle: Floats, tone: Floats, *, category: int = 0
    ) -> None:
        """Add nuclei; `angle` of the long axis as atan2(dy, dx), `tone` 0 (pale) to 1 (dark)."""
        same = np.full(len(yx), float(category))
        self.nuclei.append(np.column_stack([yx, kind, size, angle, tone, same]))

    def thin_nuclei(self) -> None:
        """Take away nuclei that would lie on an earlier one (closer than 0.42 of their widths added)."""
        rows = self.all_nuclei()
        widths = np.array([FORMS[kind].width for kind in Kind])[rows[:, 2].astype(np.intp)] * rows[:, 3]
        pairs = cKDTree(rows[:, :2]).query_pairs(8.0, output_type="ndarray")
        away = np.hypot(*(rows[pairs[:, 0], :2] - rows[pairs[:, 1], :2]).T)
        near = away < 0.42 * (widths[pairs[:, 0]] + widths[pairs[:, 1]])
        gone = np.zeros(len(rows), dtype=bool)
        for first, second in sorted(map(tuple, pairs[near].tolist())):
            gone[second] |= not gone[first]
        self.nuclei = [rows[~gone]]

    def all_nuclei(self) -> Floats:
        """(n, 7): y, x, kind, size, angle, tone, category."""
        return np.concatenate(self.nuclei) if self.nuclei else np.zeros((0, 7))
