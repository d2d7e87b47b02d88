"""Results on object storage are exported to a disk, to the same bytes as results on one."""

from __future__ import annotations

from pathlib import Path

import pytest

import wsipipe
from tests.object_storage import Bucket
from tests.pipelines import running
from wsipipe.export import export
from wsipipe.query import Results

FORMATS = ("qupath", "trident", "dicom")


@pytest.fixture
def remote(folder: Path, bucket: Bucket) -> str:
    """The made results in a bucket."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            bucket.put(f"results/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"{bucket.url}/results"


def test_the_same_bytes_as_from_a_disk(remote: str, results: Results, tmp_path: Path) -> None:
    there = wsipipe.open_results(remote)
    for to in FORMATS:
        ours = export(there, to, tmp_path / "remote" / to, slides=["alpha"])
        theirs = export(results, to, tmp_path / "disk" / to, slides=["alpha"])
        assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs], to


def test_where_to_must_be_said(remote: str, tmp_path: Path) -> None:
    answer = running.wsipipe("export", remote, "--to", "csv", "--slide", "alpha")
    assert answer.code == 2
    assert "--out is needed where the results are not on this machine's disk" in answer.err
    assert running.wsipipe("export", remote, "--to", "csv", "--slide", "alpha", "--out", tmp_path / "o").code == 0
