"""What a finished slide is: few files (bar 6), and everything readable through `open_results`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import wsipipe
from tests.pipelines.running import run, write_slide
from wsipipe.query.results import SlideResult
from wsipipe.store.lazy import Lazy

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SlideResult]:
    """40 x 40 tiles of 64 px in 400 units."""
    folder = tmp_path_factory.mktemp("many")
    made = write_slide(folder / "many.tif", 2560)
    sets = ("tile.size=64", "tile.unit=2", "topk.k=3", "network.batch=8")
    assert run(made, folder / "out", *(word for one in sets for word in ("--set", one))).code == 0
    return folder / "out", next(iter(wsipipe.open_results(folder / "out")))


def test_at_most_a_thousand_files(many: tuple[Path, SlideResult]) -> None:
    out, slide = many
    assert len(slide.tiles) > 900
    files = [path for path in [*slide.path.rglob("*"), *slide.pictures.rglob("*")] if path.is_file()]
    assert len(files) <= 1000
    assert [path for path in out.rglob("*.partial")] == []  # noqa: C416 (shown where it fails)


def test_tables(many: tuple[Path, SlideResult]) -> None:
    out, slide = many
    results = wsipipe.open_results(out)
    assert results.slides["status"].tolist() == ["done"]
    assert results.slides["tiles"].tolist() == [len(slide.tiles)]
    wanted = {"tile_id", "x", "y", "width", "height", "mpp", "tissue_share", "focus", "positive_sum", "positive_mean"}
    wanted |= {"p_negative", "p_low_grade", "p_high_grade", "p_invasive", "is_topk", "rank", "degree"}
    assert wanted <= set(slide.tiles.columns)
    assert slide.tiles["tile_id"].is_monotonic_increasing
    assert (slide.tiles["tissue_share"] >= 0.7).all()
    assert slide.tiles.loc[slide.tiles["is_topk"], "rank"].sort_values().tolist() == [1, 2, 3]
    best = slide.tiles.nlargest(3, "positive_sum")["tile_id"].tolist()
    assert set(best) == set(slide.tiles.loc[slide.tiles["is_topk"], "tile_id"])
    np.testing.assert_allclose(slide.tiles.filter(regex="^p_").sum(axis=1), 1, atol=1e-5)
    assert results.tiles["slide_id"].unique().tolist() == [slide.id]
    assert (slide.graph["source"] < slide.graph["target"]).all()


def test_pictures(many: tuple[Path, SlideResult]) -> None:
    _, slide = many
    lazily = slide.probability()
    assert isinstance(lazily, Lazy)
    assert lazily.shape == (640, 640)
    row = slide.tiles.iloc[0]
    part = lazily[row.y // 4 : row.y // 4 + 16, row.x // 4 : row.x // 4 + 16]
    assert 0 < part.min() <= part.max() <= 1
    assert not lazily[:16, :16].any()  # glass
    assert slide.probability(1).shape == (320, 320)
    assert set(np.unique(slide.mask("lesion")[...])) <= {0, 1}
    assert slide.overview().pixels.shape[2] == 3
    assert len(slide.tile_pictures) == 3
    assert slide.features.shape == (len(slide.tiles), 16)
