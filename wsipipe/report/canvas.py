"""A sheet of paper measured in points from its upper left corner, and the few marks that every picture here uses.

Enters: sizes, texts, colours. Leaves: ``(height, width, 3)`` uint8 pixels, and PNG files that hold no date.
Next rooms: `wsipipe.report.overview`, `wsipipe.report.tile`.

Only matplotlib's objects and its Agg renderer are used, with the font that it ships: no display is asked for, no
global state is changed, and equal input gives equal pixels.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from wsipipe.store.place import replace_file

RGB = NDArray[np.uint8]

POINTS_PER_INCH = 100.0
"""One point of a canvas is a hundredth of an inch; font sizes are given in the same points."""
PT = 72 / POINTS_PER_INCH
"""Typographic points, in which matplotlib counts line widths and fonts, per point of a canvas."""
DPI = 130.0
ASCENT = 0.73
"""Height of the font's capitals, per size."""
SLACK = 1.015
"""Text is drawn up to this much wider than measured, since Agg rounds each letter to whole pixels."""
FINE = 8
"""Text is measured this many times larger, so that rounding to whole pixels does not add up."""
INK, MUTED, RULE, PAPER = "#1b1f24", "#667085", "#d0d5dd", "#ffffff"


class Canvas:
    """A figure whose origin is the upper left corner and whose unit is the point.

    Parameters
    ----------
    width, height : float
        In points.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), dpi=DPI, facecolor=PAPER)
        FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Bare axes over a rectangle, without ticks or frame."""
        where = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(where)
        axes.set_axis_off()
        return axes

    def text(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float = 13,
        color: str = INK,
        bold: bool = False,
        **options: Any,
    ) -> None:
        """One line whose capitals reach down from `top`, or lie around it with ``va="center"``; ``$`` is a dollar.

        The baseline is derived from the size alone, so lines of one size side by side stand level.
        """
        drop = ASCENT * size * (0.5 if options.pop("va", "top") == "center" else 1.0)
        options = dict[str, Any](va="baseline", ha="left", fontproperties=font(bold)) | options
        x, y = left / self.width, 1 - (top + drop) / self.height
        self.figure.text(x, y, text, fontsize=size * PT, color=color, parse_math=False, **options)

    def box(self, left: float, top: float, width: float, height: float, color: str, **options: Any) -> None:
        """A filled rectangle."""
        corner = (left / self.width, 1 - (top + height) / self.height)
        size = (width / self.width, height / self.height)
        options = {"facecolor": color, "edgecolor": "none"} | options
        self.figure.add_artist(Rectangle(corner, *size, transform=self.figure.transFigure, **options))

    def line(self, xs: tuple[float, float], ys: tuple[float, float], *, color: str = INK, width: float = 1) -> None:
        """A straight line from the first to the second point."""
        x, y = [x / self.width for x in xs], [1 - y / self.height for y in ys]
        self.figure.add_artist(
            Line2D(x, y, color=color, linewidth=width * PT, solid_capstyle="butt", transform=self.figure.transFigure)
        )

    def pixels(self) -> RGB:
        """The sheet as ``(height, width, 3)`` uint8, `DPI` / 100 pixels per point."""
        canvas = self.figure.canvas
        if not isinstance(canvas, FigureCanvasAgg):
            raise TypeError(f"a canvas is drawn by Agg, not by {type(canvas).__name__}")
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib's Agg canvas carries no annotations
        shown = np.asarray(canvas.buffer_rgba(), np.uint8)  # type: ignore[no-untyped-call]  # as above
        return np.ascontiguousarray(shown[..., :3])


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width of a line in points, as it will be drawn."""
    face = get_font(_font_file(bold))
    face.set_size(FINE * size, 72)
    face.set_text(text)
    return SLACK * float(face.get_width_height()[0]) / 64 / FINE


@lru_cache(maxsize=2)
def font(bold: bool = False) -> FontProperties:
    """The font that matplotlib ships, whatever else is installed or configured."""
    return FontProperties(fname=_font_file(bold))


def _font_file(bold: bool) -> Path:
    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")


def wrap(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Lines that are at most `width` points wide; a longer word is cut with an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size, bold=bold) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [cut(line, width, size, bold=bold) for line in lines if line]


def cut(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """`text`, its middle replaced by an ellipsis where it is wider than `width` points."""
    shown, keep = text, len(text)
    while keep > 2 and text_width(shown, size, bold=bold) > width:
        keep -= 1
        shown = f"{text[: -(-keep // 2)]}…{text[len(text) - keep // 2 :]}"
    return shown


def save_png(path: str | Path, pixels: RGB) -> None:
    """Write ``(height, width, 3)`` uint8 as PNG, atomically; equal pixels give equal bytes."""
    replace_file(path, png_bytes(pixels))


def png_bytes(pixels: RGB) -> bytes:
    """PNG of ``(height, width, 3)`` uint8, without any metadata."""
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, np.uint8), "RGB").save(sink, "PNG", compress_level=1)
    return sink.getvalue()
