"""Pictures of single tiles: one top-k tile with its outlined region, a sheet of all of them, a stain before and after.

Enters: pixels of tiles, their probability maps, outlines. Leaves: pixels, a canvas. Who saves them: the pipeline's last
step, and `wsipipe.report.plot`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from numpy.typing import NDArray

from wsipipe.report import heat
from wsipipe.report.canvas import DPI, INK, MUTED, POINTS_PER_INCH, RGB, RULE, Canvas, cut
from wsipipe.report.heat import Picture
from wsipipe.report.paste import paste

PANEL, CELL, GAP, MARGIN = 520.0, 240.0, 20.0, 28.0
"""Side of a panel of one tile, side of a tile on a sheet, and the room between and around them, in points."""
HEAD, FOOT = 54.0, 60.0
"""Room above and below the panels of one tile, in points."""
PX_PER_POINT = DPI / POINTS_PER_INCH

Panel = tuple[float, float, float, float]


@dataclass(frozen=True)
class TileView:
    """One tile, ready to be drawn.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
        Its pixels.
    probability : (h, w) or None
        At any size over the same ground: uint8 where 255 is 1, or floats 0..1.
    label : str
        One line, such as ``1 · tile 4711 · sum 9,310``.
    threshold : float or None
        Where the probability is greater, the tile is outlined.
    regions : sequence of shapely polygons
        Outlined as well, in the tile's own pixels (x, y); parts outside are not seen, so they need not be clipped.
    """

    rgb: NDArray[Any]
    probability: NDArray[Any] | None = None
    label: str = ""
    threshold: float | None = None
    regions: Sequence[Any] = ()


def tile_picture(
    rgb: NDArray[Any],
    probability: NDArray[Any] | None,
    label: str,
    *,
    mpp: float,
    threshold: float | None = None,
    regions: Sequence[Any] = (),
    lines: Sequence[str] = (),
) -> RGB:
    """One tile: on the left with its regions outlined, on the right with its probability laid over it as well.

    Parameters
    ----------
    rgb, probability, label, threshold, regions
        See `TileView`.
    mpp : float
        Micrometres per pixel of the tile.
    lines : sequence of str
        Facts under the label, joined on one line.

    Returns
    -------
    (height, width, 3) uint8
        About 1,450 pixels wide, half of it without a probability map; equal input, equal pixels.
    """
    tile = TileView(rgb, probability, label, threshold, regions)
    height = PANEL * min(1.5, rgb.shape[0] / rgb.shape[1])
    panels, head = (1 if probability is None else 2), (HEAD + 24 if lines else HEAD)
    canvas = Canvas(2 * MARGIN + panels * PANEL + (panels - 1) * GAP, head + height + FOOT)
    room = canvas.width - 2 * MARGIN
    canvas.text(MARGIN, 22, cut(label, room, 16, bold=True), size=16, bold=True)
    canvas.text(MARGIN, 50, cut("  ·  ".join(lines), room, 12.5), size=12.5, color=MUTED)
    _panel(canvas, tile, (MARGIN, head), (PANEL, height), painted=False)
    foot = head + height + 16
    heat.draw_scale_bar(canvas, MARGIN, foot, width=PANEL, width_um=rgb.shape[1] * mpp)
    if panels == 2:
        left = MARGIN + PANEL + GAP
        _panel(canvas, tile, (left, head), (PANEL, height), painted=True)
        canvas.text(left, foot + 6, "probability of being positive", size=12.5, va="center")
        heat.draw_color_bar(canvas, left + PANEL - 260, foot, 260, height=12)
    return canvas.pixels()


def tile_panels(width: int, height: int) -> tuple[Panel, Panel] | tuple[None, None]:
    """Where the two panels lie in a picture that `tile_picture` drew with a probability map and without `lines`.

    Parameters
    ----------
    width, height : int
        Of the picture in pixels.

    Returns
    -------
    two of (left, top, width, height)
        In pixels, the outlined panel first and the painted one second; None twice for a picture of another width.
    """
    if abs(width - (2 * MARGIN + 2 * PANEL + GAP) * PX_PER_POINT) > 2:
        return None, None
    side, top = PANEL * PX_PER_POINT, HEAD * PX_PER_POINT
    high = height - (HEAD + FOOT) * PX_PER_POINT
    lefts = (MARGIN * PX_PER_POINT, (MARGIN + PANEL + GAP) * PX_PER_POINT)
    first, second = ((round(left, 1), round(top, 1), round(side, 1), round(high, 1)) for left in lefts)
    return first, second


def topk_sheet(tiles: Sequence[TileView], *, mpp: float, title: str = "", columns: int = 5) -> Canvas:
    """All top-k tiles on one sheet, row by row in the given order, each outlined and labelled.

    Parameters
    ----------
    tiles : sequence of TileView
        May be empty: the sheet then says so.
    mpp : float
        Micrometres per pixel of the tiles.
    title : str
        One line above.
    columns : int
        Tiles per row at most.

    Returns
    -------
    Canvas
        Its ``figure`` is matplotlib's, its ``pixels()`` are what is saved.
    """
    across = max(2, min(columns, len(tiles)))
    rows = max(1, -(-len(tiles) // across))
    canvas = Canvas(2 * MARGIN + across * (CELL + GAP) - GAP, 66 + rows * (CELL + 34) + 34)
    canvas.text(MARGIN, 24, cut(title, canvas.width - 2 * MARGIN, 16, bold=True), size=16, bold=True)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, across)
        left, top = MARGIN + column * (CELL + GAP), 62 + row * (CELL + 34)
        _panel(canvas, tile, (left, top), (CELL, CELL), painted=False)
        canvas.text(left, top + CELL + 9, cut(tile.label, CELL, 11.5), size=11.5)
    if tiles:
        width_um = tiles[0].rgb.shape[1] * mpp
        heat.draw_scale_bar(canvas, MARGIN, canvas.height - 28, width=CELL, width_um=width_um)
    else:
        canvas.text(MARGIN, 90, "no tiles", size=13, color=MUTED)
    return canvas


def before_after(
    before: NDArray[Any],
    after: NDArray[Any],
    *,
    mpp: float | None = None,
    title: str = "",
    labels: tuple[str, str] = ("as scanned", "stain-normalised"),
) -> RGB:
    """The same pixels before and after a step, side by side.

    Parameters
    ----------
    before, after : (h, w, 3) uint8
        Of one shape.
    mpp : float, optional
        Micrometres per pixel; without it there is no scale bar.
    title, labels : str
        Above the pair, and above each.

    Returns
    -------
    (height, width, 3) uint8
    """
    height, head = PANEL * min(1.5, before.shape[0] / before.shape[1]), (80.0 if title else 46.0)
    canvas = Canvas(2 * MARGIN + 2 * PANEL + GAP, head + height + (48 if mpp else MARGIN))
    canvas.text(MARGIN, 22, cut(title, canvas.width - 2 * MARGIN, 16, bold=True), size=16, bold=True)
    for index, (rgb, label) in enumerate(zip((before, after), labels, strict=True)):
        left = MARGIN + index * (PANEL + GAP)
        canvas.text(left, head - 22, label, size=13, color=MUTED)
        _panel(canvas, TileView(rgb), (left, head), (PANEL, height), painted=False)
    if mpp:
        heat.draw_scale_bar(canvas, MARGIN, head + height + 18, width=PANEL, width_um=before.shape[1] * mpp)
    return canvas.pixels()


def _panel(
    canvas: Canvas, tile: TileView, corner: tuple[float, float], size: tuple[float, float], *, painted: bool
) -> None:
    height, width = tile.rgb.shape[:2]
    axes = canvas.axes(*corner, *size)
    paste(axes, tile.rgb, (0, width, height, 0))
    if tile.probability is not None:
        _probability(axes, Picture(tile.probability, width / tile.probability.shape[1]), tile.threshold, painted)
    heat.draw_polygons(axes, tile.regions)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    canvas.box(*corner, *size, "none", edgecolor=RULE if min(size) > 300 else INK, linewidth=0.8)


def _probability(axes: Axes, probability: Picture, threshold: float | None, painted: bool) -> None:
    if painted:
        heat.draw_heat(axes, probability)
    if threshold is not None:
        top = 255 if probability.pixels.dtype.kind == "u" else 1
        suspected = Picture(probability.pixels > threshold * top, probability.l0_scale)
        heat.draw_mask(axes, suspected, color=heat.REGION_COLOR, width=2.0, rim=True)
