"""The viewer at the level of HTTP: what it answers, to whom, and what it refuses."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.view.made import REGION, SECRET, SHAPE, TILE_ID, TOP, Served, picture, probability, served, write_slide
from wsipipe.errors import UsageError
from wsipipe.report.heat import painted
from wsipipe.view.deepzoom import DeepZoom
from wsipipe.view.serve import listen

LAST = DeepZoom(SHAPE).last
ADDRESSES = (
    "", "slides.json", "static/view.css", "slide/{id}/", "slide/{id}/slide.json", "slide/{id}/tiles.json",
    "slide/{id}/thumbnail.jpg", "slide/{id}/pixels/12/0_0.jpg", "slide/{id}/heat/0/0_0.png", "nothing",
)  # fmt: skip
REFUSAL = b"403 Forbidden\n"


def decoded(answer: Any) -> Any:
    """Pixels of an answer."""
    assert answer.status == 200
    with Image.open(io.BytesIO(answer.body)) as found:
        return np.asarray(found.convert("RGBA" if found.format == "PNG" else "RGB"))


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_token_no_data(viewer: Served, made_id: str, address: str) -> None:
    path, token = address.format(id=made_id), viewer.gate.token
    for start in ("/", "//", "/wrong/", f"/{token[:-1]}/", f"/{token}x/", f"/{token.swapcase()}/", "/%00/"):
        answer: Any = viewer.ask(start + path)
        assert (answer.status, answer.body) == (403, REFUSAL), start
        assert answer.getheader("Set-Cookie") is None
    assert viewer.ask(f"/?token={token}").status == 403


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:{port}", "[::1]:{port}"]
)
def test_another_host_is_refused(viewer: Served, host: str) -> None:
    port, path = viewer.gate.port, f"/{viewer.gate.token}/slides.json"
    answer: Any = viewer.ask(path, host=host.format(port=port))
    assert answer.status in (400, 403)
    assert b"slides" not in answer.body
    assert viewer.ask(path, host=f"localhost:{port}").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_nothing_but_reading(viewer: Served, method: str) -> None:
    answer: Any = viewer.get("slides.json", method=method, Content_Length="0")
    assert answer.status == 405
    assert answer.getheader("Allow") == "GET, HEAD"
    assert b"made" not in answer.body


def test_head_is_get_without_a_body(viewer: Served, made_id: str) -> None:
    path = f"slide/{made_id}/pixels/12/1_1.jpg"
    head, get = viewer.get(path, method="HEAD"), viewer.get(path)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "Etag"):
        assert head.getheader(name) == get.getheader(name)


def test_every_answer_carries_the_security_headers(viewer: Served) -> None:
    for answer in (viewer.get(""), viewer.get("nothing"), viewer.ask("/"), viewer.get("", method="POST")):
        policy = answer.getheader("Content-Security-Policy")
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Referrer-Policy") == "no-referrer"
        assert answer.getheader("Server") is None


@pytest.mark.parametrize(
    "path",
    [
        "../slides.parquet", "static/../../../secret", "static/..%2f..%2fsecret", "static/%2e%2e/%2e%2e/secret",
        "static/%252e%252e%252fsecret", "static//etc/passwd", "static/%2fetc%2fpasswd", "static/secret.png",
        "static/..\\..\\secret", "static/view.css%00.png", "static/..%5c..%5csecret", "static/", "static/handlers.py",
        "slide/../slide.json", "slide/..%2f{id}/slide.json", "slide/%2e%2e%2f{id}/slide.json",
        "slide/{id}%00/slide.json",
        "slide/%252e%252e/slide.json", "slide//etc/passwd/slide.json", "slide/%2fetc%2fpasswd/slide.json",
        "slide/{id}/../../secret", "slide/{id}/..%2f..%2fsecret", "slide/{id}\\..\\x/slide.json",
        "slide/{id}.zarr/slide.json", "slide/{short}/slide.json", "slide/" + "a" * 5000 + "/slide.json",
        "slide/%ff%fe/slide.json", "slide/{id}/tile/-1.json", "slide/{id}/tile/999999.json", "slide/{id}/tile/1e3.json",
        "slide/{id}/pixels/99/0_0.jpg", "slide/{id}/pixels/12/0_999999.jpg", "slide/{id}/pixels/12/-1_0.jpg",
        "slide/{id}/heat/99/0_0.png", "slide/{id}/heat/0/7_7.png", "slide/{id}/secret.json",
        "slide/broken-1/slide.json",
        "slide/linked-1/slide.json", "slide/linked-1/", "slide/inside-1/slide.json", "slide/inside-1/pixels/12/0_0.jpg",
    ],
)  # fmt: skip
def test_path_tricks_are_refused(viewer: Served, made_id: str, path: str) -> None:
    answer = viewer.get(path.format(id=made_id, short=made_id[:-1]))
    assert answer.status in (400, 403, 404)
    assert SECRET not in answer.body
    assert len(answer.body) < 40


def test_the_list(viewer: Served, made_id: str) -> None:
    told = json.loads(viewer.get("slides.json").body)
    by_id = {row["id"]: row for row in told["slides"]}
    assert by_id[made_id]["category"] == "invasive"
    assert by_id["broken-1"]["status"] == "failed"
    assert "clinical" in told["notice"]
    assert b"list.js" in viewer.get("").body


def test_what_a_page_is_told(viewer: Served, made_id: str) -> None:
    told = json.loads(viewer.get(f"slide/{made_id}/slide.json").body)
    assert (told["height"], told["width"], told["mpp"]) == (*SHAPE, 0.5)
    assert told["pixels"] == {"tile": 256, "coarsest": 8, "finest": LAST, "downsample": 1, "said": ""}
    assert told["heat"] == {"levels": 3, "width": 577, "height": 385, "l0": 4.0}
    assert told["probabilities"]["invasive"] == 0.7
    assert (len(told["colors"]), told["colors"][0]) == (256, "#440154")
    tiles = json.loads(viewer.get(f"slide/{made_id}/tiles.json").body)
    assert tiles["id"] == TILE_ID.tolist()
    assert tiles["score"][-1] == 1.0
    assert {tiles["rank"][tiles["id"].index(one)] for one in TOP.tolist()} == {1, 2, 3}
    row = json.loads(viewer.get(f"slide/{made_id}/tile/{TOP[0]}.json").body)
    assert (row["tile_id"], row["rank"], row["is_topk"]) == (TOP[0], 1, True)
    assert row["p_invasive"] == pytest.approx(0.4)
    regions = json.loads(viewer.get(f"slide/{made_id}/regions.json").body)
    assert regions[0]["area_um2"] == 90_000
    assert regions[0]["rings"] == [[value for point in REGION.exterior.coords for value in point]]


def test_a_tile_is_the_slides_pixels(viewer: Served, made_id: str) -> None:
    want = picture()[256:512, 512:768].astype(int)
    got = decoded(viewer.get(f"slide/{made_id}/pixels/{LAST}/1_2.jpg"))
    assert np.abs(got - want).mean() < 4  # JPEG twice
    last = decoded(viewer.get(f"slide/{made_id}/pixels/{LAST}/6_9.jpg"))
    assert last.shape == (1, 1, 3)
    half = decoded(viewer.get(f"slide/{made_id}/pixels/{LAST - 1}/0_1.jpg"))
    assert np.abs(half - picture()[1:512:2, 513:1024:2].astype(int)).mean() < 8


def test_a_tile_of_the_map_is_painted_as_everywhere(viewer: Served, made_id: str) -> None:
    want = painted(probability())
    np.testing.assert_array_equal(decoded(viewer.get(f"slide/{made_id}/heat/2/0_1.png")), want[:256, 256:512])
    assert decoded(viewer.get(f"slide/{made_id}/heat/2/1_2.png")).shape == (385 - 256, 577 - 512, 4)


def test_a_browser_that_has_it_gets_nothing(viewer: Served, made_id: str) -> None:
    for path in (f"slide/{made_id}/pixels/12/0_0.jpg", f"slide/{made_id}/heat/0/0_0.png", "static/slide.js"):
        etag = viewer.get(path).getheader("Etag")
        again = viewer.get(path, If_None_Match=etag)
        assert (again.status, again.body, again.getheader("Etag")) == (304, b"", etag)
        assert viewer.get(path, If_None_Match='"other"').status == 200


@pytest.mark.parametrize("slide_id", ["gone-1", "slide-hidden"])
def test_a_slide_that_is_not_at_hand_shows_its_overview(viewer: Served, slide_id: str) -> None:
    told = json.loads(viewer.get(f"slide/{slide_id}/slide.json").body)
    assert "--slides" in told["pixels"]["said"]
    assert (told["pixels"]["finest"], told["pixels"]["downsample"]) == (LAST - 3, 8)
    got = decoded(viewer.get(f"slide/{slide_id}/pixels/{LAST - 3}/0_0.jpg")).astype(int)
    assert np.abs(got - picture()[: 256 * 8 : 8, : 256 * 8 : 8]).mean() < 4
    assert viewer.get(f"slide/{slide_id}/pixels/{LAST}/0_0.jpg").status == 404


def test_slides_are_found_where_they_are_now(results: Path, tmp_path: Path) -> None:
    write_slide(tmp_path / "archive" / "another name.tif")
    (tmp_path / "archive" / "gone.tif").write_bytes(b"II*\x00 no slide any more")
    with served(results, tmp_path / "archive") as viewer:
        for slide_id in ("gone-1", "slide-hidden"):
            told = json.loads(viewer.get(f"slide/{slide_id}/slide.json").body)
            assert (told["pixels"]["said"], told["pixels"]["finest"]) == ("", LAST)


def test_a_slide_without_tiles(viewer: Served) -> None:
    told = json.loads(viewer.get("slide/blank-1/slide.json").body)
    assert (told["category"], told["reason"], told["tiles"]) == (None, "no tissue", 0)
    assert json.loads(viewer.get("slide/blank-1/tiles.json").body)["id"] == []
    assert json.loads(viewer.get("slide/blank-1/regions.json").body) == []
    assert viewer.get("slide/blank-1/tile/0.json").status == 404


def test_many_at_once_give_the_same_bytes(viewer: Served, made_id: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    paths = [f"slide/{made_id}/pixels/{LAST}/{row}_{column}.jpg" for row in range(7) for column in range(10)]
    with ThreadPoolExecutor(8) as pool:
        first, again = (list(pool.map(lambda path: viewer.get(path).body, paths)) for _ in range(2))
    assert first == again
    assert len(set(first)) > 40


def test_a_run_that_goes_on_adds_slides(results: Path, tmp_path: Path) -> None:
    from wsipipe.store import records
    from wsipipe.store.records import read_slides

    rows = read_slides(results / "slides.parquet").to_dict("records")
    records.write_slides(tmp_path / "slides.parquet", rows[:1])
    with served(tmp_path) as viewer:
        assert len(json.loads(viewer.get("slides.json").body)["slides"]) == 1
        time.sleep(0.02)
        records.write_slides(tmp_path / "slides.parquet", rows)
        assert len(json.loads(viewer.get("slides.json").body)["slides"]) == len(rows)


def test_a_taken_port_is_a_clear_error(viewer: Served) -> None:
    with pytest.raises(UsageError, match=f"port {viewer.gate.port} is not free.*give another --port"):
        listen(viewer.gate.port)
