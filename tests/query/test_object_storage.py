"""Asking results that lie in a bucket: the same answers, and nothing is written there."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from tests.object_storage import Bucket
from tests.pipelines.running import wsipipe
from wsipipe.query import open_results

ASKED = ("slides.parquet", "run.json", "/zarr.json", "/tables/", "/shapes/")
"""What a question may need of results, so that little is put into the bucket."""


@pytest.fixture
def remote(finished: Path, bucket: Bucket) -> str:
    """The finished results in a bucket, without pictures and layers."""
    for path in finished.rglob("*"):
        name = f"/{path.relative_to(finished).as_posix()}"
        if path.is_file() and "/work/" not in name and any(part in name for part in ASKED):
            bucket.put(f"results{name}", path.read_bytes())
    return f"{bucket.url}/results"


def test_the_same_answers_from_a_bucket(remote: str, finished: Path, bucket: Bucket) -> None:
    before = bucket.contents("results")
    answer = wsipipe("query", remote, "--top", 1000, "--format", "csv")
    assert answer.code == 0, answer
    far = pd.read_csv(io.StringIO(answer.out))
    near = open_results(finished).tiles
    assert sorted(far["tile_id"]) == sorted(near["tile_id"])
    assert far["positive_sum"].sum() == pytest.approx(near["positive_sum"].sum(), rel=1e-6)
    counts = "SELECT (SELECT count(*) FROM slides) s, (SELECT count(*) FROM regions) r, (SELECT count(*) FROM runs) n"
    slide = open_results(finished).slide(open_results(finished).done[0])
    assert open_results(remote).query(counts).values.tolist() == [[1, len(slide.regions), 1]]
    assert bucket.contents("results") == before


def test_no_catalogue_is_kept_in_a_bucket(remote: str) -> None:
    answer = wsipipe("catalogue", remote)
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer
    assert f"{remote}: making a catalogue: results on object storage keep none" in answer.err
