"""The report holds what the results say, escapes all of it, and survives damaged stores."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from shapely import Point, box

from tests.pipelines.running import wsipipe
from tests.report import made
from wsipipe.errors import UsageError
from wsipipe.report.html import Choice, write_report
from wsipipe.report.html.batch import CURES, batch
from wsipipe.report.html.drawing import OUTLINE_POINTS, drawing, path
from wsipipe.report.html.pictures import heat_png
from wsipipe.report.html.slide import histogram, safe
from wsipipe.report.html.text import duration, number, percent, px
from wsipipe.report.tile import tile_panels, tile_picture
from wsipipe.store import records

EVIL = "<script>alert('x')</script>\"'&\n\N{GRINNING FACE}</title><!--"


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def attributes(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.found if name == tag]


def pages(text: str) -> dict[str, str]:
    """The slides' pages by id."""
    found = re.findall(r'<script type="text/html" data-key="([^"]*)">(.*?)</script>', text, re.DOTALL)
    return {unescape(key): page for key, page in found}


def addresses(text: str) -> list[str]:
    """Everything that an element names by ``src`` or ``href``."""
    return [one[name] for _, one in Elements(text).found for name in ("src", "href") if name in one]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four finished slides (one without tiles, one with a damaged store), an alias, a failed one with an evil name."""
    folder = tmp_path_factory.mktemp("batch")
    made.publish_slide(folder, "alpha-1", k=3)
    made.publish_slide(folder, "empty-2", tiles=0, k=0)
    made.copies(folder, "alpha-1", ["quote'<b>-3"])
    rows = [
        made.row("alpha-1", 3, case_id=EVIL),
        made.row("empty-2", category=None, reason="no tissue", tiles=0),
        made.row("quote'<b>-3", 1),
        made.row("gone-4"),
        {"id": "alpha-1", "path": "copy", "status": "skipped", "reason": "the same content as another"},
        {"id": EVIL, "status": "failed", "error": "MppError", "reason": f"no mpp {EVIL}", "path": "/x"},
    ]
    return made.finish(folder, rows)


@pytest.fixture(scope="module")
def inlined(results: Path) -> str:
    """The report with everything in it."""
    return write_report(results, Choice(results / "inlined.html")).read_text(encoding="utf-8")


def test_what_stands_in_the_report(inlined: str) -> None:
    assert "6 slides" in inlined
    assert "run started 2023-11-14 22:13 UTC" in inlined
    assert "took 1 h 2 min" in inlined
    assert CURES["MppError"] in inlined
    assert inlined.count("Not for clinical use.") == 1 + 5  # the head of every page, and the foot of each slide's
    assert len(pages(inlined)) == 5  # an alias has no page of its own
    assert len(Elements(inlined).attributes("tr")) - 1 >= 6


def test_no_host_no_user_in_it(inlined: str) -> None:
    assert "HOSTNAME-7" not in inlined
    assert "USERNAME-7" not in inlined


def test_names_and_reasons_are_escaped(inlined: str) -> None:
    assert "<script>alert" not in inlined
    assert "<b>w</b>" not in inlined
    scripts = Elements(inlined).attributes("script")
    assert [one.get("type") for one in scripts] == ["text/html"] * 5 + [None] * 2
    keys = [one["data-key"] for one in scripts[:5]]
    assert EVIL in keys
    links = [one["href"] for one in Elements(inlined).attributes("a") if "/slide/" in one.get("href", "")]
    assert {unquote(link.removeprefix("#/slide/")) for link in links} == set(keys)
    assert not [one for _, one in Elements(inlined).found if any(name.startswith("on") for name in one)]


def test_nothing_external_is_named(inlined: str) -> None:
    named = [address for text in (inlined, *pages(inlined).values()) for address in addresses(text)]
    assert len(named) > 20
    assert not [address for address in named if not address.startswith(("data:image/", "#"))]
    policies = [one["content"] for one in Elements(inlined).attributes("meta") if "http-equiv" in one]
    assert policies[0].startswith("default-src 'none'; img-src data: file: 'self'; style-src 'sha256-")
    assert "unsafe" not in policies[0]


def test_a_slides_page(inlined: str) -> None:
    page = pages(inlined)["alpha-1"]
    assert page.count('class="card tile"') == 3
    assert "Invasive carcinoma" in page
    assert "70.0 %" in page
    assert "made &lt;reader&gt;" in page
    assert "at most 25" in page
    assert page.count(">failed<") == 1  # the stain check
    assert "0.830" in page
    paths = {one.get("class"): one["d"] for one in Elements(page).attributes("path")}
    assert re.fullmatch(r"M\d+,\d+l[-\d, ]+z", paths["tissue"])


def test_slides_without_tiles_and_without_results(inlined: str) -> None:
    found = pages(inlined)
    assert "No tile was kept." in found["empty-2"]
    assert "no tissue" in found["empty-2"]
    assert "could not be read: " in found["gone-4"]
    assert "Why there is no result" in found[EVIL]
    assert "Why there is no result" not in found["alpha-1"]


def test_linked_pictures_are_files_beside_the_report(results: Path) -> None:
    text = write_report(results, Choice(results / "linked.html", inline=False)).read_text(encoding="utf-8")
    shown = [address for page in pages(text).values() for address in addresses(page)]
    named = [address for address in shown if not address.startswith(("#", "data:"))]
    assert "alpha-1/tile-01.png" in named
    assert "linked-pictures/alpha-1/slide.jpg" in named
    assert [name for name in named if not (results / unquote(name)).is_file()] == []
    before = (results / "linked-pictures/alpha-1/slide.jpg").stat().st_mtime_ns
    write_report(results, Choice(results / "linked.html", inline=False))
    assert (results / "linked-pictures/alpha-1/slide.jpg").stat().st_mtime_ns == before
    assert Image.open(results / "linked-pictures/alpha-1/slide.jpg").size == (1024, 1024)


def test_without_pictures(results: Path) -> None:
    text = write_report(results, Choice(results / "plain.html", pictures=False)).read_text(encoding="utf-8")
    assert "data:" not in text.replace("img-src data:", "")
    assert "without pictures" in text
    assert 'class="tissue" d="M' in text


def test_a_deidentified_report_has_no_folder_name(tmp_path: Path) -> None:
    folder = tmp_path / "SMITH"
    folder.mkdir()
    made.finish(folder, [{"id": "unopened-00000", "status": "failed", "error": "UnitError"}], deidentified=True)
    assert "SMITH" not in write_report(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("slide_id", ["../out", "a/b", "..", "", None, "/etc", "a\0b"])
def test_ids_never_leave_the_folder(slide_id: str | None) -> None:
    assert not safe(slide_id)


def test_ids_that_would_leave_are_not_followed(tmp_path: Path) -> None:
    made.publish_slide(tmp_path, "outside")
    inner = tmp_path / "inner"
    inner.mkdir()
    made.finish(inner, [made.row("../outside")])
    assert "are not looked for" in write_report(inner).read_text(encoding="utf-8")


def test_no_slides_and_no_results(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no slides.parquet in it; give what a run's --out named"):
        write_report(tmp_path)
    records.write_slides(tmp_path / "slides.parquet", [])
    assert "0 slides" in write_report(tmp_path).read_text(encoding="utf-8")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"writing the report: .*; give another --out"):
        write_report(tmp_path, Choice(tmp_path / "file" / "x.html"))
    assert not list(tmp_path.glob("*.partial"))


def test_the_command(results: Path, tmp_path: Path) -> None:
    answer = wsipipe("report", results, "--out", tmp_path / "r.html", "--no-pictures")
    assert (answer.code, answer.out) == (0, f"report: {tmp_path / 'r.html'}\n")
    assert (tmp_path / "r.html").stat().st_size < 300_000
    assert wsipipe("report", tmp_path).code == 2


def test_an_interrupted_batch_says_so() -> None:
    told = batch([], {"status": "interrupted", "seconds_per_step": {str(n): n for n in range(20)}})
    assert told.state == "interrupted"
    assert [(one.name, one.number) for one in told.stages][-1] == ("12 others", sum(range(12)))


def test_failures_are_grouped() -> None:
    rows = [{"status": "failed", "error": "UnitError", "reason": f"r{n // 2}", "category": None} for n in range(20)]
    (failure,) = batch(rows, {}).failures
    assert (failure.slides, failure.said[0], failure.unsaid) == (20, ("r0", 2), 5)


def test_outlines_keep_to_their_points() -> None:
    rng = np.random.default_rng(0)
    wild = [Point(x, y).buffer(300, 400) for x, y in rng.random((40, 2)) * 50_000]
    told = path(wild, 32.0)
    assert 0 < told.count(" ") <= OUTLINE_POINTS
    assert path([box(0, 0, 320, 640)], 32.0) == "M10,0l0,20 -10,0 0-20z"
    assert path([], 1.0) == ""


def test_the_drawing_is_in_pixels_of_the_picture() -> None:
    columns = {"tile_id": [5, 9], "x": [0, 3200], "y": [320, 640], "rank": [2, 1]}
    tiles = pd.DataFrame(columns).assign(width=320, height=320, is_topk=True)
    edges = pd.DataFrame({"source": [5], "target": [9], "correlation": [0.9]})
    none = gpd.GeoDataFrame({"geometry": []}, geometry="geometry")
    drawn = drawing((1000, 800), 32.0, tissues=none, regions=none, tiles=tiles, edges=edges)
    assert [(node.rank, node.x, node.y, node.width) for node in drawn.nodes] == [(1, 100, 20, 10), (2, 0, 10, 10)]
    assert [(edge.first, edge.second, edge.line) for edge in drawn.edges] == [(1, 2, (105, 25, 5, 15))]
    x, y, width, height = drawn.view
    assert x < 0
    assert x + width > 110
    assert y < 10
    assert y + height > 30


def test_the_heat_map_is_clear_where_nothing_is() -> None:
    import io

    shown = np.asarray(Image.open(io.BytesIO(heat_png(np.array([[0, 8, 128, 255]], np.uint8)))).convert("RGBA"))
    assert shown[0, :2, 3].tolist() == [0, 0]
    assert shown[0, 3].tolist() == [253, 231, 37, 255]
    assert 0 < shown[0, 2, 3] < 255


def test_panels_are_where_they_were_drawn() -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[..., 0] = 200
    drawn = tile_picture(rgb, np.zeros((8, 8), np.uint8), "t", mpp=0.5)
    for panel in tile_panels(drawn.shape[1], drawn.shape[0]):
        assert panel is not None
        left, top, width, height = (round(side) for side in panel)
        part = drawn[top + 3 : top + height - 3, left + 3 : left + width - 3]
        assert (part == [200, 0, 0]).all()
    assert tile_panels(300, 300) == (None, None)


def test_histogram_counts_all_tiles() -> None:
    bins = histogram(pd.DataFrame({"positive_mean": [0.0, 0.01, 0.5, 1.0]}))
    assert sum(one.tiles for one in bins) == 4
    assert bins[0].tiles == 2
    assert bins[0].height == 1
    assert histogram(pd.DataFrame()) == []


@pytest.mark.parametrize(
    ("told", "want"),
    [
        (number(None), "–"),
        (number(float("nan")), "–"),
        (number(1234567), "1,234,567"),
        (number(0.12345), "0.123"),
        (percent(0.9999), "100 %"),
        (percent(0.05), "5.0 %"),
        (duration(3.21), "3.2 s"),
        (duration(59.9), "1 min 0 s"),
        (duration(7322), "2 h 2 min"),
        (px(960.0, 0), "960"),
        (px(1.50), "1.5"),
    ],
)
def test_numbers(told: str, want: str) -> None:
    assert told == want
