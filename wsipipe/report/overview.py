"""The picture that people look at first: the whole slide with what was found on it, and the verdict beside it.

Enters: a small picture of the slide, tissue, probability map, top-k tiles, suspected regions, the category.
Leaves: pixels. Who reads the arrays and saves the picture: the pipeline's last step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from wsipipe.report import heat
from wsipipe.report.badge import place_badges
from wsipipe.report.canvas import MUTED, PT, RGB, RULE, Canvas, cut, font, wrap
from wsipipe.report.heat import Picture
from wsipipe.report.panel import (
    LEGEND_GAP,
    SIDE,
    Findings,
    Verdict,
    draw_legend,
    draw_panel,
    legend_height,
    panel_height,
)
from wsipipe.report.paste import paste

__all__ = ["Findings", "Picture", "Verdict", "overview"]

PICTURE = (1180.0, 860.0)
"""Largest width and height of the slide's picture in points; it is enlarged or reduced to fill one of them."""
LEAST_WIDTH, LEAST_HEIGHT = 420.0, 640.0
"""Of the room that the picture stands in."""
MARGIN, HEADER, FOOTER = 36.0, 74.0, 62.0
ALARM = "#b42318"
BADGE_PT = 10.5
LEAST_BOX_PT = 12.0
"""A tile is drawn at least this large, so that it can be found on a very large slide."""


def overview(
    thumbnail: Picture, findings: Findings, verdict: Verdict, *, title: str, l0_mpp: float, lines: Sequence[str] = ()
) -> RGB:
    """Draw the whole slide with its findings.

    Parameters
    ----------
    thumbnail : Picture
        ``(h, w, 3)`` uint8, the slide at any size; a longer side of 1,000 to 2,000 px is best.
    findings : Findings
        Drawn over it. Maps of more than about 2,000 px cost memory and show no more.
    verdict : Verdict
        Shown beside it.
    title : str
        The slide's id; too long a one is cut in its middle.
    l0_mpp : float
        Micrometres per level-0 pixel.
    lines : sequence of str
        Facts under the verdict, one per line.

    Returns
    -------
    (height, width, 3) uint8
        About 2,100 x 1,300 pixels; higher where `lines` need it. Equal input, equal pixels.
    """
    width, height = _fitted(thumbnail.pixels.shape)
    room, body = max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT, panel_height(verdict, findings, lines))
    canvas = Canvas(3 * MARGIN + room + SIDE, HEADER + body + FOOTER)
    left, side, foot = MARGIN + (room - width) / 2, 2 * MARGIN + room, HEADER + body
    _header(canvas, title)
    axes = canvas.axes(left, HEADER, width, height)
    _slide(axes, thumbnail, findings, points_per_px=width / thumbnail.extent[1])
    canvas.box(left, HEADER, width, height, "none", edgecolor=RULE, linewidth=0.8)
    _measure(canvas, thumbnail, (left, HEADER + height + 18), width, l0_mpp=l0_mpp)
    at, legend = draw_panel(canvas, side, HEADER, verdict, lines), foot - legend_height(findings)
    if body - height >= 200:
        _reference(canvas, left, (HEADER + height + 60, foot), width, thumbnail)
    else:
        _reference(canvas, side, (at + 26, legend - LEGEND_GAP - 10), SIDE, thumbnail)
    draw_legend(canvas, side, legend, findings)
    for index, line in enumerate(wrap(verdict.notice, SIDE, 12.5, bold=True)[:2]):
        canvas.text(side, foot + 16 + 18 * index, line, size=12.5, color=ALARM, bold=True)
    return canvas.pixels()


def _fitted(shape: tuple[int, ...]) -> tuple[float, float]:
    """Width and height in points of a picture of this shape inside `PICTURE`; the short side is at least 40."""
    factor = min(PICTURE[0] / shape[1], PICTURE[1] / shape[0])
    return max(40.0, shape[1] * factor), max(40.0, shape[0] * factor)


def _header(canvas: Canvas, title: str) -> None:
    room = canvas.width - 2 * MARGIN
    canvas.text(MARGIN, HEADER / 2, cut(title, room, 19, bold=True), size=19, bold=True, va="center")
    canvas.line((MARGIN, canvas.width - MARGIN), (HEADER - 14, HEADER - 14), color=RULE)


def _slide(axes: Axes, thumbnail: Picture, findings: Findings, *, points_per_px: float) -> None:
    """The slide and everything on it, in level-0 pixels."""
    paste(axes, thumbnail.pixels, thumbnail.extent)
    if findings.heat is not None:
        heat.draw_heat(axes, findings.heat)
    if findings.tissue is not None:
        heat.draw_mask(axes, findings.tissue)
    heat.draw_polygons(axes, findings.regions)
    _tiles(axes, findings.boxes, thumbnail, points_per_px=points_per_px)
    left, right, bottom, top = thumbnail.extent
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="auto")


def _tiles(axes: Axes, boxes: NDArray[Any], thumbnail: Picture, *, points_per_px: float) -> None:
    """Outlined tiles and their numbers, joined by a line where the number had to stand apart."""
    y, x, height, width = np.asarray(boxes, np.float64).reshape(-1, 4).T
    least = LEAST_BOX_PT / points_per_px
    side_x, side_y = np.maximum(width, least), np.maximum(height, least)
    shown = np.stack([x + (width - side_x) / 2, y + (height - side_y) / 2, side_x, side_y], axis=-1)
    rim = [withStroke(linewidth=4.2 * PT, foreground="white")]
    for left, top, wide, high in shown.tolist():
        style = dict[str, Any](edgecolor=heat.BOX_COLOR, linewidth=2 * PT, path_effects=rim, zorder=5)
        axes.add_patch(Rectangle((left, top), wide, high, fill=False, **style))
    _, right, bottom, _ = thumbnail.extent
    badges = place_badges(shown, radius=BADGE_PT / points_per_px, plane=(right, bottom))
    for number, (at, box) in enumerate(zip(badges, shown, strict=True), start=1):
        if ((at < box[:2]) | (at > box[:2] + box[2:])).any():
            line = np.stack([at, box[:2] + box[2:] / 2])
            axes.plot(*line.T, color=heat.BOX_COLOR, linewidth=1.4 * PT, marker=".", zorder=5.5)
        _badge(axes, float(at[0]), float(at[1]), number)


def _badge(axes: Axes, x: float, y: float, number: int) -> None:
    axes.plot(
        [x],
        [y],
        marker="o",
        markersize=2 * BADGE_PT * PT,
        color=heat.BOX_COLOR,
        markeredgecolor="white",
        markeredgewidth=1.4 * PT,
        zorder=6,
    )
    size = (12 if number < 100 else 9.5) * PT
    axes.text(
        x,
        y,
        str(number),
        color="white",
        ha="center",
        va="center_baseline",
        zorder=7,
        fontproperties=font(bold=True),
        fontsize=size,
    )


def _measure(canvas: Canvas, thumbnail: Picture, corner: tuple[float, float], width: float, *, l0_mpp: float) -> None:
    """Scale bar and size under the picture; one below the other where it is narrow."""
    left, top = corner
    _, right, bottom, _ = thumbnail.extent
    heat.draw_scale_bar(canvas, left, top, width=width, width_um=right * l0_mpp)
    label = heat.size_label(bottom * l0_mpp, right * l0_mpp)
    if width >= 320:
        canvas.text(left + width, top + 2.5, label, size=12.5, color=MUTED, va="center", ha="right")
    else:
        canvas.text(left, top + 16, label, size=12.5, color=MUTED)


def _reference(canvas: Canvas, left: float, between: tuple[float, float], room: float, thumbnail: Picture) -> None:
    """The slide once more with nothing on it, where at least 140 points are free from top to bottom."""
    top, bottom = between
    height, width = thumbnail.pixels.shape[:2]
    factor = min(room / width, (bottom - top - 18) / height)
    if bottom - top < 140 or factor * min(width, height) < 40:
        return
    canvas.text(left, top, "without findings", size=12.5, color=MUTED)
    axes = canvas.axes(left, top + 18, width * factor, height * factor)
    axes.set(xlim=(0, width), ylim=(height, 0))
    paste(axes, thumbnail.pixels, (0, width, height, 0))
    canvas.box(left, top + 18, width * factor, height * factor, "none", edgecolor=RULE, linewidth=0.8)
