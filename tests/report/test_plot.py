"""Figures of a slide: what is drawn where, on given axes or on axes of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import wsipipe
from tests.report import made


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plotted")
    made.publish_slide(folder, "alpha-1", k=4)
    made.publish_slide(folder, "empty-2", tiles=0, k=0)
    return made.finish(folder, [made.row("alpha-1"), made.row("empty-2", tiles=0)])


def test_heat_map_and_graph_are_in_level_0_pixels(results: Path) -> None:
    slide = wsipipe.open_results(results).slide("alpha-1")
    axes = wsipipe.plot.heat_map(slide)
    assert axes.get_xlim() == (0, made.SIDE)
    assert axes.get_ylim() == (made.SIDE, 0)
    assert [tuple(image.get_extent()) for image in axes.images] == [(0, made.SIDE, made.SIDE, 0)] * 2
    outline = axes.lines[0].get_xydata()
    assert (outline.min(axis=0).tolist(), outline.max(axis=0).tolist()) == ([2200, 1600], [2900, 2500])
    given = Figure().add_subplot()
    assert wsipipe.plot.graph(slide, ax=given) is given
    assert [text.get_text() for text in given.texts] == ["1", "2", "3", "4"]
    assert len(given.lines) == len(slide.graph) > 0
    top = slide.tiles.query("is_topk").sort_values("tile_id")
    assert given.collections[0].get_offsets()[:, 0].tolist() == (top["x"] + top["width"] / 2).tolist()


def test_histogram_counts_every_tile(results: Path) -> None:
    slide = wsipipe.open_results(results).slide("alpha-1")
    axes = wsipipe.plot.score_histogram(slide, bins=10)
    assert sum(bar.get_height() for bar in axes.patches) == len(slide.tiles) == 60
    assert len(axes.lines[0].get_xdata()) == 4


def test_the_sheet_shows_the_drawn_tiles(results: Path) -> None:
    figure = wsipipe.plot.topk_sheet(wsipipe.open_results(results).slide("alpha-1"))
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [np.shape(pixels) for pixels in pictures] == [(676, 676, 3)] * 4


def test_a_slide_without_tiles(results: Path) -> None:
    slide = wsipipe.open_results(results).slide("empty-2")
    assert len(wsipipe.plot.graph(slide).texts) == 0
    assert [bar.get_height() for bar in wsipipe.plot.score_histogram(slide).patches] == [0] * 40
    assert "no tiles" in [text.get_text() for text in wsipipe.plot.topk_sheet(slide).texts]
