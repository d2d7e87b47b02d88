"""Figures of one slide for papers and notebooks: heat map, top-k sheet, graph, histogram of scores.

Enters: a finished slide. Leaves: matplotlib axes, or the figure of a sheet. Next room: people, as ``wsipipe.plot``.

>>> slide = wsipipe.open_results("RESULTS").slide("CMU-1")
>>> wsipipe.plot.heat_map(slide).figure.savefig("heat.pdf")
>>> wsipipe.plot.topk_sheet(slide).savefig("tiles.png")

No window is opened and no global state is changed: without ``ax`` a figure of its own is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image

from wsipipe.report import heat
from wsipipe.report.heat import Picture
from wsipipe.report.tile import TileView, tile_panels
from wsipipe.report.tile import topk_sheet as sheet
from wsipipe.store import published

LONGEST_PX = 2000
"""Pictures are read at the finest stored size whose longer side is at most this."""


class Finished(Protocol):
    """What `wsipipe.open_results(...).slide(...)` gives: the slide's store and its folder of pictures."""

    id: str
    path: Path
    pictures: Path


def heat_map(slide: Finished, *, ax: Axes | None = None, regions: bool = True) -> Axes:
    """The slide with its probability map laid over it, and its suspected regions outlined; axes in level-0 pixels.

    Parameters
    ----------
    slide : SlideResult
    ax : Axes, optional
    regions : bool
        Outline the suspected regions.
    """
    axes = _slide(slide, ax)
    heat.draw_heat(axes, _picture(slide, "images/probability"))
    if regions:
        heat.draw_polygons(axes, list(published.shapes(slide.path, "regions").geometry))
    return axes


def graph(slide: Finished, *, ax: Axes | None = None) -> Axes:
    """The top-k tiles, numbered by rank at their places on the slide, and the edges between them; level-0 pixels.

    An edge is the wider the greater its correlation.
    """
    axes = _slide(slide, ax, alpha=0.45)
    tiles = published.tiles(slide.path)
    if not len(tiles):
        return axes
    top = tiles[tiles["is_topk"]].set_index("tile_id")
    x, y = top["x"] + top["width"] / 2, top["y"] + top["height"] / 2
    centre = dict(zip(top.index.tolist(), zip(x.tolist(), y.tolist(), strict=True), strict=True))
    for one, other, r in published.edges(slide.path)[["source", "target", "correlation"]].itertuples(index=False):
        ends = zip(centre[one], centre[other], strict=True)
        axes.add_line(Line2D(*ends, color="#1d4ed8", linewidth=0.4 + 2 * max(0.0, float(r)), zorder=5))
    axes.scatter(x, y, s=150, color=heat.BOX_COLOR, edgecolors="white", zorder=6)
    for tile_id, rank in zip(top.index.tolist(), top["rank"].tolist(), strict=True):
        place = axes.annotate(str(rank), centre[tile_id], color="white", ha="center", va="center", zorder=7)
        place.set(fontsize=8, fontweight="bold")
    return axes


def score_histogram(slide: Finished, *, ax: Axes | None = None, score: str = "positive_mean", bins: int = 40) -> Axes:
    """How many kept tiles have which score, on a logarithmic scale; the top-k tiles are marked at its foot.

    Parameters
    ----------
    slide : SlideResult
    ax : Axes, optional
    score : str
        A column of the tile table, such as ``positive_mean`` or ``positive_sum``.
    bins : int
    """
    axes, tiles = ax or _axes((6, 3.5)), published.tiles(slide.path)
    values = tiles[score].to_numpy(np.float64) if len(tiles) else np.zeros(0)
    axes.hist(values, bins=bins, range=(0, 1) if score == "positive_mean" else None, color="#0b5cad", log=True)
    if len(tiles):
        marked = tiles.loc[tiles["is_topk"], score]
        axes.set_ylim(bottom=0.5)
        axes.plot(marked, np.full(len(marked), 0.6), "|", color=heat.REGION_COLOR, markersize=10, label="top k")
        axes.legend(frameon=False)
    axes.set(xlabel=score.replace("_", " "), ylabel="tiles", title=slide.id)
    return axes


def topk_sheet(slide: Finished, *, columns: int = 5) -> Figure:
    """All top-k tiles of a slide on one sheet, their regions outlined, from the pictures that its run drew.

    A tile whose picture was not drawn is left out.
    """
    tiles = published.tiles(slide.path)
    views, mpp, l0_mpp = list[TileView](), float("nan"), published.marked(slide.path)["record"]["source"]["mpp"]
    for row in tiles[tiles["is_topk"]].sort_values("rank").itertuples() if len(tiles) else ():
        pixels = _outlined(slide.pictures / f"tile-{row.rank:02d}.png")
        if pixels is not None:
            mpp = row.width * l0_mpp / pixels.shape[1]
            views.append(TileView(pixels, label=f"{row.rank} · tile {row.tile_id} · mean {row.positive_mean:.3g}"))
    return sheet(views, mpp=mpp, title=slide.id, columns=columns).figure


def _outlined(path: Path) -> NDArray[np.uint8] | None:
    """The outlined panel of a tile's picture; None where it was not drawn."""
    if not path.is_file():
        return None
    with path.open("rb") as file, Image.open(file) as picture:
        panel, _ = tile_panels(*picture.size)
        if panel is None:
            return None
        left, top, width, height = (round(side) for side in panel)
        return np.asarray(picture.convert("RGB").crop((left, top, left + width, top + height)))


def _slide(slide: Finished, ax: Axes | None, *, alpha: float = 1.0) -> Axes:
    """The overview on axes in level-0 pixels."""
    channels = [published.small(slide.path, "images/overview", longest_px=LONGEST_PX, channel=c) for c in range(3)]
    picture = Picture(np.stack([channel[...] for channel in channels], axis=-1), channels[0].l0_scale)
    height, width = picture.pixels.shape[:2]
    axes = ax or _axes((8, max(1.0, 8 * height / width)))
    axes.imshow(picture.pixels, extent=picture.extent, alpha=alpha, zorder=1)
    left, right, bottom, top = picture.extent
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[], title=slide.id)
    return axes


def _picture(slide: Finished, element: str) -> Picture:
    found = published.small(slide.path, element, longest_px=LONGEST_PX)
    return Picture(np.asarray(found[...]), found.l0_scale)


def _axes(size: tuple[float, float]) -> Axes:
    return Figure(figsize=size, layout="constrained").add_subplot()
