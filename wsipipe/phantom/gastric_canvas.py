"""A scene drawn as stain concentrations: what is on the glass, before light and lens.

Enters: a `Scene` and micrometres per pixel. Leaves: a `Canvas` of uint8 planes (5 bytes per pixel).
Next room: `wsipipe.phantom.gastric_render`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.phantom.gastric_scene import Layer, Scene
from wsipipe.phantom.gastric_sprite import sprite_index, sprite_sheet

Floats = NDArray[np.float64]
Plane = NDArray[np.uint8]
_SHIFT = 4
"""Fractional bits of the coordinates that OpenCV draws with."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Concentrations of one square field.

    Parameters
    ----------
    paint : (y, x, 3) uint8
        Eosin and haematoxylin of everything but nuclei (100 is a concentration of 1), weight of fibres.
    nuclei : (y, x) uint8
        Haematoxylin of nuclei (100 is 1).
    tissue : (y, x) uint8
        Cover by tissue, 0 to 255.
    mpp : float
    """

    paint: Plane
    nuclei: Plane
    tissue: Plane
    mpp: float


def draw_scene(scene: Scene, mpp: float) -> Canvas:
    """Draw a whole scene (about 0.1 s per square millimetre)."""
    side = round(scene.side_um / mpp)
    plane = (side, side)
    canvas = Canvas(np.zeros((*plane, 3), np.uint8), np.zeros(plane, np.uint8), np.zeros(plane, np.uint8), mpp)
    for outline in scene.outlines:
        cv2.fillPoly(canvas.tissue, [_points(outline, mpp)], 255, cv2.LINE_AA, _SHIFT)
    for layer in Layer:
        for contour, colour in scene.fills.get(layer, ()):
            cv2.fillPoly(canvas.paint, [_points(contour, mpp)], colour, cv2.LINE_AA, _SHIFT)
        for lines, colour, width_um in scene.lines.get(layer, ()):
            width = max(1, round(width_um / mpp))
            points = [_points(line, mpp) for line in lines]
            cv2.polylines(canvas.paint, points, False, colour, width, cv2.LINE_AA, _SHIFT)
    _bodies(canvas, scene)
    _stamp(canvas, scene.all_nuclei())
    return canvas


def _points(contour: Floats, mpp: float) -> NDArray[np.int32]:
    """Micrometres yx to OpenCV's fixed-point xy; pixel centres are at whole numbers plus a half."""
    return np.asarray(np.rint((contour[:, ::-1] / mpp - 0.5) * (1 << _SHIFT)), dtype=np.int32)


def _bodies(canvas: Canvas, scene: Scene) -> None:
    """Cell bodies in the stroma: small discs."""
    if not scene.bodies:
        return
    scale = (1 << _SHIFT) / canvas.mpp
    for y, x, radius, red, blue in np.concatenate(scene.bodies).tolist():
        centre = int(x * scale) - 8, int(y * scale) - 8
        cv2.circle(canvas.paint, centre, int(radius * scale), (red, blue, 0), -1, cv2.LINE_AA, _SHIFT)


def _stamp(canvas: Canvas, nuclei: Floats) -> None:
    """Put nuclei down; where two overlap the darker one shows."""
    sheet = sprite_sheet(canvas.mpp)
    where = np.floor(nuclei[:, :2] / canvas.mpp).astype(np.int64)
    index = sprite_index(nuclei)
    half = sheet.half[index]
    high, wide = canvas.nuclei.shape
    seen = (where >= half[:, None]).all(axis=1) & (where[:, 0] < high - half) & (where[:, 1] < wide - half)
    y0, x0 = (where[seen, 0] - half[seen]).tolist(), (where[seen, 1] - half[seen]).tolist()
    plane, pictures = canvas.nuclei, sheet.pictures
    for y, x, number in zip(y0, x0, index[seen].tolist(), strict=True):
        picture = pictures[number]
        size = len(picture)
        room = plane[y : y + size, x : x + size]
        np.maximum(room, picture, out=room)
