"""Runs with slides and results on object storage that fails now and then: the bytes of a local run (bar 5)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wsipipe
from tests.object_storage import ENVIRONMENT, Bucket, Faulty
from tests.pipelines import running
from tests.pipelines.running import CONFIG, TOLD, contents, run, write_slide
from wsipipe.store import objects

pytestmark = pytest.mark.timeout(600)
OUT = "lab/results"


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small made slides."""
    folder = tmp_path_factory.mktemp("far") / "slides"
    write_slide(folder / "one.tif", 300, seed=1)
    write_slide(folder / "two words.tif", 300, seed=2)
    return folder


@pytest.fixture(scope="module")
def local(slides: Path) -> dict[str, str]:
    """What a local run leaves."""
    out = slides.parent / "results"
    assert run(slides, out).code == 0
    return contents(out)


@pytest.fixture
def uploaded(bucket: Bucket, slides: Path) -> Bucket:
    for path in slides.iterdir():
        bucket.put(f"slides/{path.name}", path.read_bytes())
    return bucket


def left(bucket: Bucket) -> dict[str, str]:
    """What runs left in the bucket, without what tells times."""
    found = bucket.contents(OUT)
    return {key: digest for key, digest in found.items() if not TOLD.intersection(key.split("/"))}


def started(bucket: Bucket, *words: object) -> subprocess.Popen[str]:
    """The command on both slides, in processes of its own."""
    command = [
        sys.executable,
        "-m",
        "wsipipe",
        "run",
        "gastric",
        f"{bucket.url}/slides",
        "--out",
        f"{bucket.url}/{OUT}",
    ]
    command += ["--config", str(CONFIG), "--untrained", *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def kill_half_way(process: subprocess.Popen[str], bucket: Bucket) -> None:
    """kill -9 of runner and workers while the first slide is being published."""
    until = time.monotonic() + 300
    while not any("/tables/" in key for key in bucket.keys(OUT)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_faults_a_kill_and_two_runs_at_once_change_no_byte(
    uploaded: Bucket, faulty: Faulty, local: dict[str, str], tmp_path: Path
) -> None:
    """One request in 25 fails. A run is killed half way; then two start at once, and one waits for the other."""
    out = f"{uploaded.url}/{OUT}"
    kill_half_way(started(uploaded, "--workers", 2), uploaded)
    status = running.wsipipe("status", out, "--json")
    assert status.code == 0, status
    assert any(slide["status"] == "running" for slide in status.json["slides"])

    other = started(uploaded, "--workers", 0)
    answer = run(f"{uploaded.url}/slides", out)
    _, err = other.communicate(timeout=300)
    assert (answer.code, other.returncode) == (0, 0), (answer, err)
    assert "waiting for run" in answer.err + err
    assert left(uploaded) == local
    assert sum(number for kind, number in faulty.done.items() if kind not in ("none", "slow")) > 20, faulty.done
    assert sum(json.loads(uploaded.get(f"{OUT}/run.json"))["tiles_per_step"].values()) == 0, "the one that waited"
    _read_back(out)
    _nothing_secret(uploaded, faulty)
    _missing_slide_fails_alone(uploaded, tmp_path / "list.csv")
    _clean_removes_what_no_run_names(uploaded)
    assert {key: digest for key, digest in left(uploaded).items() if "/errors/" not in key} == local


def _read_back(out: str) -> None:
    results = wsipipe.open_results(out)
    assert results.slides["status"].tolist() == ["done", "done"]
    first = next(iter(results))
    assert len(first.tiles) == first.row["tiles"] > 0
    assert first.probability()[...].max() <= 1
    assert first.overview().pixels.shape[2] == 3


def _nothing_secret(bucket: Bucket, faulty: Faulty) -> None:
    told = "\n".join(bucket.get(key).decode() for key in bucket.keys(OUT) if key.endswith((".json", ".jsonl")))
    for secret in (ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], ENVIRONMENT["AWS_ACCESS_KEY_ID"], faulty.address):
        assert secret not in told


def _clean_removes_what_no_run_names(bucket: Bucket) -> None:
    out = f"{bucket.url}/{OUT}"
    store = next(key for key in bucket.keys(OUT) if ".zarr/" in key).partition(".zarr/")[0]
    bucket.put(f"{store}.zarr/work/tiles-0123456789ab/zarr.json", b"{}")
    told = running.wsipipe("clean", out, "--yes", "--json")
    assert told.code == 0, told
    assert [(one["kind"], one["size"]) for one in told.json["leftovers"] if one["kind"] != "lease"] == [("layer", 2)]
    again = running.wsipipe("clean", out, "--dry-run", "--json")
    assert [one for one in again.json["leftovers"] if one["kind"] != "lease"] == []


def test_overwrite_is_refused_before_anything_is_written(uploaded: Bucket) -> None:
    answer = run(f"{uploaded.url}/slides", f"{uploaded.url}/{OUT}", "--overwrite")
    assert (answer.code, answer.err.count("--overwrite swaps folders")) == (2, 1), answer


def _missing_slide_fails_alone(bucket: Bucket, rows: Path) -> None:
    rows.write_text(f"wsi\n{bucket.url}/slides/gone.tif\n{bucket.url}/slides/two words.tif\n")
    answer = run([], f"{bucket.url}/{OUT}", "--slide-list", rows, "--json")
    assert answer.code == 3, answer
    told = {Path(row["path"]).name: (row["status"], row["error"]) for row in answer.json["slides"]}
    assert told == {"gone.tif": ("failed", "SlideOpenError"), "two words.tif": ("done", "")}


def test_dry_run_and_info_of_a_far_slide(uploaded: Bucket) -> None:
    url = f"{uploaded.url}/slides/one.tif"
    told = running.wsipipe("info", url, "--json")
    assert (told.code, told.json["height"], told.json["mpp"]) == (0, 300, pytest.approx(0.5, rel=0.01))
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
