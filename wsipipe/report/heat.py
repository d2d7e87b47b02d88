"""How a probability is coloured, a mask outlined and a length shown; shared by all pictures.

Enters: probability maps, masks, micrometres. Leaves: colours with opacity, outlines, scale bars.
Next rooms: `wsipipe.report.overview`, `wsipipe.report.tile`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from wsipipe.report.canvas import INK, PT, Canvas
from wsipipe.report.paste import paste

COLORMAP = "viridis"
"""Perceptually even, readable in grey and by the colour-blind; none of its colours is one of H&E's."""
CLEAR_BELOW = 0.05
"""Probabilities under this are not painted, so that healthy tissue stays as it is."""
OPACITY = (0.2, 0.58)
"""At `CLEAR_BELOW` and at 1."""
RIM_PT = 1.6
"""How much wider than an outline its white rim is."""
TISSUE_COLOR, REGION_COLOR, BOX_COLOR = "#0f766e", "#d6006c", "#111827"


@dataclass(frozen=True)
class Picture:
    """Pixels that lie over the slide with their upper left corner on its upper left corner.

    Parameters
    ----------
    pixels : (h, w) or (h, w, 3) array
    l0_scale : float
        Level-0 pixels per pixel of it.
    """

    pixels: NDArray[Any]
    l0_scale: float = 1.0

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge in level-0 pixels, as matplotlib wants them."""
        height, width = self.pixels.shape[:2]
        return 0.0, width * self.l0_scale, height * self.l0_scale, 0.0


def painted(probability: NDArray[Any]) -> NDArray[np.uint8]:
    """Red, green, blue and opacity of a probability map.

    Parameters
    ----------
    probability : (h, w) array
        uint8 where 255 is 1, or floats from 0 to 1; NaN is not painted.

    Returns
    -------
    (h, w, 4) uint8
    """
    if probability.dtype != np.uint8:
        probability = np.floor(np.clip(np.nan_to_num(probability), 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.asarray(_table()[probability])


def _table() -> NDArray[np.uint8]:
    p = np.arange(256) / 255
    low, high = OPACITY
    rgba = matplotlib.colormaps[COLORMAP](p)
    rgba[:, 3] = np.where(p < CLEAR_BELOW, 0.0, low + (high - low) * (p - CLEAR_BELOW) / (1 - CLEAR_BELOW))
    return np.floor(rgba * 255 + 0.5).astype(np.uint8)


def draw_heat(axes: Axes, heat: Picture) -> None:
    """Lay a probability map over what the axes show."""
    paste(axes, painted(heat.pixels), heat.extent, zorder=2)


def draw_mask(axes: Axes, mask: Picture, *, color: str = TISSUE_COLOR, width: float = 1.4, rim: bool = False) -> None:
    """Outline the non-zero pixels of a mask; the outline closes at the picture's edge. `rim` lays it on white."""
    step = max(1, -(-max(mask.pixels.shape) // 1024))
    small = np.pad((mask.pixels[::step, ::step] > 0).astype(np.float32), 1)
    if not small.any():
        return
    at = [(np.arange(side) - 0.5) * step * mask.l0_scale for side in small.shape]
    lines = axes.contour(at[1], at[0], small, levels=[0.5], colors=[color], linewidths=width * PT, zorder=3)
    if rim:
        lines.set_path_effects([withStroke(linewidth=(width + RIM_PT) * PT, foreground="white")])


def draw_polygons(axes: Axes, polygons: Sequence[Any], *, color: str = REGION_COLOR, width: float = 2.0) -> None:
    """Outline shapely polygons and multipolygons, their holes too, with a white rim on both sides."""
    rim = [withStroke(linewidth=(width + RIM_PT) * PT, foreground="white")]
    for polygon in polygons:
        for part in getattr(polygon, "geoms", [polygon]):
            for ring in (part.exterior, *part.interiors):
                x, y = np.asarray(ring.coords, np.float64)[:, :2].T
                axes.plot(x, y, color=color, linewidth=width * PT, path_effects=rim, zorder=4, solid_joinstyle="round")


def draw_color_bar(canvas: Canvas, left: float, top: float, width: float, *, height: float = 14) -> None:
    """The scale of `painted`, on white as the eye sees it over glass, with 0, 0.5 and 1 below."""
    axes = canvas.axes(left, top, width, height)
    ramp = np.arange(256, dtype=np.uint8)[None]
    axes.imshow(painted(ramp), extent=(0, 1, 0, 1), aspect="auto", interpolation="nearest")
    canvas.box(left, top, width, height, "none", edgecolor="#98a2b3", linewidth=0.6)
    for value, ha in ((0, "left"), (0.5, "center"), (1, "right")):
        canvas.text(left + value * width, top + height + 4, f"{value:g}", size=11, ha=ha)


def scale_bar(width_um: float, *, share: float = 0.25) -> tuple[float, str]:
    """Length in micrometres and label of a round scale bar.

    Parameters
    ----------
    width_um : float
        Width of the picture.
    share : float
        The bar is the longest of 1, 2 or 5 times a power of ten that is at most this share of the picture.
    """
    longest = width_um * share
    decade = 10.0 ** math.floor(math.log10(longest))
    length = max(step * decade for step in (1, 2, 5) if step * decade <= longest * (1 + 1e-9))
    return length, f"{length / 1000:g} mm" if length >= 1000 else f"{length:g} µm"


def draw_scale_bar(canvas: Canvas, left: float, top: float, *, width: float, width_um: float) -> None:
    """A scale bar under a picture that is `width` points and `width_um` micrometres wide."""
    length_um, label = scale_bar(width_um)
    length = width * length_um / width_um
    canvas.box(left, top, length, 5, INK)
    canvas.text(left + length + 10, top + 2.5, label, size=12.5, va="center")


def size_label(height_um: float, width_um: float) -> str:
    """``20.3 x 15.1 mm``, width first; micrometres for what is under a millimetre."""
    if max(height_um, width_um) >= 1000:
        return f"{width_um / 1000:.3g} × {height_um / 1000:.3g} mm"
    return f"{width_um:.0f} × {height_um:.0f} µm"
