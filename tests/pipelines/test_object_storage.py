"""The command with addresses of object storage: what it refuses at once, and what it tells of a far slide."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.object_storage import Bucket
from tests.pipelines import running
from tests.pipelines.running import run, write_slide
from wsipipe.store import objects

pytestmark = pytest.mark.timeout(600)
OUT = "lab/results"


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small made slides."""
    folder = tmp_path_factory.mktemp("far") / "slides"
    write_slide(folder / "one.tif", 400, seed=1)
    write_slide(folder / "two words.tif", 300, seed=2)
    return folder


@pytest.fixture
def uploaded(bucket: Bucket, slides: Path) -> Bucket:
    for path in slides.iterdir():
        bucket.put(f"slides/{path.name}", path.read_bytes())
    return bucket


def test_dry_run_and_info_of_a_far_slide(uploaded: Bucket) -> None:
    url = f"{uploaded.url}/slides/one.tif"
    told = running.wsipipe("info", url, "--json")
    assert (told.code, told.json["height"], told.json["mpp"]) == (0, 400, pytest.approx(0.5, rel=0.01))
    dry = run(url, f"{uploaded.url}/{OUT}", "--dry-run", "--json")
    assert dry.code == 0, dry
    assert dry.json["slides"][0]["tiles"] > 0
    assert uploaded.keys(OUT) == []


def test_what_cannot_work_is_one_line_before_the_first_slide(
    uploaded: Bucket, slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, out in (
        (slides, "s3://no-such-bucket-at-all/x"),
        ("s3://no-such-bucket-at-all/slides", f"{uploaded.url}/{OUT}"),
    ):
        answer = run(given, out)
        assert (answer.code, answer.err.count("\n")) == (2, 1), answer
        assert "there is no such bucket; make it, or give another" in answer.err
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    objects.disconnect()
    started = time.monotonic()
    answer = run(slides, f"{uploaded.url}/{OUT}")
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer
    assert "see to the service, or to AWS_ENDPOINT_URL" in answer.err
    assert time.monotonic() - started < 60
