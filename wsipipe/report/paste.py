"""Pixels laid into axes at the sheet's own resolution, without matplotlib's resampling.

Enters: 8-bit pixels and the rectangle of the axes that they fill. Leaves: an artist, drawn under or over others by its
``zorder``. Next room: `wsipipe.report.heat`, `wsipipe.report.tile`, `wsipipe.report.overview`.

matplotlib resamples every picture in floats and under a mask, which took half of the time of drawing a slide. OpenCV
does it in 8 bits, by area where the picture is reduced; the rectangle's edges lie on whole pixels of the sheet.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Extent = tuple[float, float, float, float]
"""Left, right, bottom, top in the axes' units, as `Axes.imshow` has it."""


def paste(axes: Axes, pixels: Pixels, extent: Extent, *, zorder: float = 1) -> None:
    """Lay ``(h, w, 3)`` or ``(h, w, 4)`` uint8 over a rectangle of the axes; what reaches past them is cut."""
    picture = _Pasted(axes, extent=extent)
    picture.set_data(np.asarray(pixels, np.uint8))
    picture.set_zorder(zorder)
    picture.set_clip_path(axes.patch)
    axes.add_image(picture)


class _Pasted(AxesImage):
    """A picture of axes as matplotlib's own are, but for how it is scaled on a sheet of pixels."""

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        """Pixels of the sheet, and where they go; called by matplotlib."""
        if unsampled or magnification != 1.0:
            return super().make_image(renderer, magnification, unsampled)
        left, right, bottom, top = self.get_extent()
        corners = self.axes.transData.transform(np.array([(left, bottom), (right, top)]))
        (x0, y0), (x1, y1) = np.rint(corners).astype(int).tolist()
        width, height = abs(x1 - x0), abs(y1 - y0)
        made = _rgba(_scaled(np.asarray(self.get_array(), np.uint8), max(1, width), max(1, height)))
        made = made[:: -1 if y0 <= y1 else 1, :: 1 if x0 <= x1 else -1]  # Agg counts rows from below
        return np.ascontiguousarray(made), min(x0, x1), min(y0, y1), IdentityTransform()


def _scaled(pixels: Pixels, width: int, height: int) -> Pixels:
    smaller = width * height < pixels.shape[0] * pixels.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=way), np.uint8)


def _rgba(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 4:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), np.uint8)
