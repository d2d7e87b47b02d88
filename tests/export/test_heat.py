"""The heat map as pictures that other programs and our own reader open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import wsipipe
from tests.export import made
from wsipipe.export import export, heat
from wsipipe.grid import Box
from wsipipe.query import Results
from wsipipe.report.heat import painted

Written = Callable[..., list[Path]]


def test_the_pyramid_holds_the_map(written: Written, results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat, "TILE", 128)
    (path,) = written("ome-tiff", "alpha")
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        (series,) = file.series
        assert [level.shape for level in series.levels] == [(518, 758), (259, 379), (130, 190)]
        np.testing.assert_array_equal(series.levels[0].asarray(), made.P)
        coarse = np.asarray(results.slide("alpha").probability(2))
        np.testing.assert_array_equal(series.levels[2].asarray() / np.float32(255), coarse)
        page = file.pages[0]
        assert (page.is_tiled, page.tile, page.compression.name) == (True, (128, 128), "ADOBE_DEFLATE")
        assert len(page.subifds) == 2
        assert len(file.pages) == 1
        assert "DateTime" not in page.tags
        told = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert told["PhysicalSizeX"] == told["PhysicalSizeY"] == pytest.approx(2.0)
    assert told["PhysicalSizeXUnit"] == "µm"


def test_our_own_reader_opens_it(written: Written) -> None:
    slide = wsipipe.open_slide(str(written("ome-tiff", "alpha")[0]))
    try:
        assert [level.shape for level in slide.info.levels] == [(518, 758), (259, 379), (130, 190)]
        assert slide.info.mpp == pytest.approx(2.0)
        np.testing.assert_array_equal(slide.read(Box(100, 200, 50, 60), level=0)[..., 0], made.P[100:150, 200:260])
    finally:
        slide.close()


def test_equal_results_give_equal_files(written: Written) -> None:
    first = written("ome-tiff", "alpha")[0].read_bytes()
    assert written("ome-tiff", "alpha")[0].read_bytes() == first


def test_in_colours(written: Written) -> None:
    with tifffile.TiffFile(written("ome-tiff", "alpha", color=True)[0]) as file:
        shown = file.series[0].levels[0].asarray()
    np.testing.assert_array_equal(shown, painted(made.P)[..., :3])


def test_the_overlay_shows_the_slide_where_nothing_was_found(written: Written, results: Results) -> None:
    shown = np.asarray(Image.open(written("png", "alpha")[0]))
    assert shown.shape == made.OVERVIEW.shape
    seen = painted(np.asarray(results.slide("alpha").probability(1)))  # the level that has the overview's scale
    clear = seen[..., 3] == 0
    assert 0 < clear.sum() < clear.size
    np.testing.assert_array_equal(shown[clear], made.OVERVIEW[clear])
    share = seen[..., 3:] / 255
    laid = made.OVERVIEW * (1 - share) + seen[..., :3] * share
    np.testing.assert_allclose(shown, laid, atol=0.51)


def test_of_the_pipeline(real: Results, tmp_path: Path) -> None:
    slide = next(iter(real))
    with tifffile.TiffFile(export(real, "ome-tiff", tmp_path)[0]) as file:
        np.testing.assert_array_equal(file.series[0].asarray() / np.float32(255), np.asarray(slide.probability()))
    assert Image.open(export(real, "png", tmp_path)[0]).mode == "RGB"
