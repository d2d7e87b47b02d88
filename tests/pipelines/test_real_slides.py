"""Every real slide ends as the checked-in table says (bar 2), and other people's tools open what came out.

The table ``expected_runs.csv``: status and error with ``--mpp-policy assume:0.5`` and with the default policy.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import pytest

import wsipipe
from tests.pipelines.running import run

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise

TABLE = Path(__file__).with_name("expected_runs.csv")
SETS = ("--set", "tile.size=256", "--set", "tile.unit=8", "--set", "topk.k=2")


@pytest.fixture(scope="module")
def results(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One run over all of them."""
    out = tmp_path_factory.mktemp("real") / "results"
    answer = run(shared_data / "slides", out, *SETS, "--mpp-policy", "assume:0.5", "--threads", 2, "--json")
    assert answer.code == 3
    return out, named(answer.json["slides"], shared_data)


def named(rows: list[dict[str, Any]], data: Path) -> dict[str, Any]:
    return {str(Path(row["path"]).relative_to(data / "slides")): row for row in rows}


def expected() -> list[dict[str, str]]:
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_slide_ends_as_expected(results: tuple[Path, dict[str, Any]]) -> None:
    found = {name: (row["status"], row["error"]) for name, row in results[1].items()}
    assert found == {row["path"]: (row["assume"], row["error_assume"]) for row in expected()}


def test_tiles_are_those_of_the_table(results: tuple[Path, dict[str, Any]]) -> None:
    found = {name: row["tiles"] for name, row in results[1].items()}
    assert found == {row["path"]: int(row["tiles_256"]) if row["tiles_256"] else None for row in expected()}


def test_no_untrained_slide_has_a_category(results: tuple[Path, dict[str, Any]]) -> None:
    for row in results[1].values():
        assert row["category"] is None
        assert [row[name] for name in row if name.startswith("p_")] == [None] * 4
        assert row["reason"]


def test_the_default_policy_names_those_without_a_sane_mpp(
    results: tuple[Path, dict[str, Any]], shared_data: Path
) -> None:
    answer = run(shared_data / "slides", results[0], *SETS, "--json")
    assert answer.code == 3
    rows = named(answer.json["slides"], shared_data)
    found = {name: (row["status"], row["error"]) for name, row in rows.items()}
    assert found == {row["path"]: (row["default"], row["error_default"]) for row in expected()}
    assert all("--mpp-policy assume:0.5" in row["reason"] for row in rows.values() if row["error"] == "MppError")


@pytest.fixture
def cmu(results: tuple[Path, dict[str, Any]], shared_data: Path) -> tuple[Path, Path]:
    """The published store of a real slide, and the slide."""
    row = results[1]["cmu-1-small-region.svs"]
    return results[0] / f"{row['id']}.zarr", shared_data / "slides" / "cmu-1-small-region.svs"


def test_spatialdata_opens_it(cmu: tuple[Path, Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # while it is imported
        spatialdata = pytest.importorskip("spatialdata")
    sdata = spatialdata.read_zarr(cmu[0])
    names = {name for _, name, _ in sdata._gen_elements(include_tables=True)}
    assert {"overview", "probability", "tissue", "lesion", "tiles", "tissues", "gastric_tiles"} <= names
    assert sdata["tiles"]["tile_id"].tolist() == sdata["gastric_tiles"].obs["tile_id"].tolist()
    assert len(sdata["tiles"]) == 27


def test_lazyslide_opens_it(cmu: tuple[Path, Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # while it is imported
        wsidata = pytest.importorskip("wsidata")
    wsi = wsidata.open_wsi(cmu[1], store=str(cmu[0]))
    try:
        assert wsi.fetch.n_tiles("tiles") == 27
        assert wsi.fetch.features_anndata("gastric").shape == (27, 16)
        assert next(wsi.iter.tile_images("tiles")).image.shape[:2] == (256, 256)
    finally:
        wsi.close()


def test_our_own_reader_agrees_with_the_summary(results: tuple[Path, dict[str, Any]]) -> None:
    """Written for the run with assume:0.5; the later run with another policy leaves other rows in slides.parquet."""
    opened = wsipipe.open_results(results[0])
    slide = opened.slide("cmu-1-small-region")
    assert len(slide.tiles) == 27
    assert slide.tiles["is_topk"].sum() == 2
