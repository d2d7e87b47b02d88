"""The verb, and what every format shares: which slides, which files, nothing half-written."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest

from tests.pipelines.running import wsipipe
from wsipipe.errors import UsageError
from wsipipe.export import FORMATS, Options, export, outline
from wsipipe.export.job import Job, chosen
from wsipipe.export.place import placed
from wsipipe.query import Results


def test_the_command_lists_what_it_wrote(folder: Path, tmp_path: Path) -> None:
    answer = wsipipe(
        "export", folder, "--to", "qupath", "--out", tmp_path / "new" / "out", "--slide", "alpha", "--gzip"
    )
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.split() == [str(tmp_path / "new" / "out" / "alpha-111.geojson.gz")]
    answer = wsipipe("export", folder, "--to", "csv", "--out", tmp_path / "tables", "--json")
    assert answer.json["files"] == [
        str(tmp_path / "tables" / f"{n}.csv") for n in ("slides", "tiles", "edges", "regions")
    ]
    assert all(Path(path).is_file() for path in answer.json["files"])


def test_help_has_examples() -> None:
    for verb in ("export", "import-annotations"):
        answer = wsipipe(verb, "--help")
        assert answer.code == 0
        assert "Examples" in answer.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--to", "qupth"), "--to is one of qupath, geojson"),
        (("--to", "csv", "--slide", "alpa"), "no such slide; there are alpha-111"),
        (("--to", "csv", "--slide", "broken"), "it was failed"),
        (("--to", "csv", "--tiles", "some"), "--tiles is one of all, topk, none"),
    ],
)
def test_wrong_usage_says_why(folder: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    answer = wsipipe("export", folder, *words, "--out", tmp_path / "out")
    assert answer.code == 2
    assert told in answer.err
    assert not (tmp_path / "out").exists()


def test_no_results_and_no_folder(folder: Path, tmp_path: Path) -> None:
    answer = wsipipe("export", tmp_path, "--to", "csv")
    assert answer.code == 2
    assert "no slides.parquet in it" in answer.err
    (tmp_path / "file").touch()
    answer = wsipipe("export", folder, "--to", "csv", "--out", tmp_path / "file")
    assert "--out is a folder, this is a file" in answer.err
    answer = wsipipe("export", folder, "--to", "csv", "--out", tmp_path / "file" / "below")
    assert "--out cannot be made" in answer.err
    with mock.patch("os.access", return_value=False):  # a superuser may write everywhere
        assert "--out cannot be written to" in wsipipe("export", folder, "--to", "csv", "--out", tmp_path / "o").err


def test_files_that_exist_are_refused_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other-333.geojson").write_text("mine")
    words = ("export", folder, "--to", "qupath", "--out", tmp_path)
    answer = wsipipe(*words)
    assert answer.code == 2
    assert "other-333.geojson: exporting: the file exists; give --overwrite" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["other-333.geojson"]
    assert wsipipe(*words, "--overwrite").code == 0
    assert (tmp_path / "other-333.geojson").read_text() != "mine"


def test_what_fails_half_way_leaves_the_old_file(results: Results, tmp_path: Path) -> None:
    (old,) = export(results, "qupath", tmp_path, slides=["alpha"])
    kept = old.read_bytes()
    with mock.patch.object(outline, "write_tiles", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        export(results, "qupath", tmp_path, slides=["alpha"], options=Options(), overwrite=True)
    assert old.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [old]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    def filling() -> None:
        with placed(tmp_path / "x") as at:
            at.write_text("half")
            raise OSError(28, os.strerror(28))

    with pytest.raises(UsageError, match=r"x: writing a file: No space left on device; free"):
        filling()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", [name for name in FORMATS if name != "dicom"])
def test_names_are_known_beforehand(results: Results, tmp_path: Path, to: str) -> None:
    job = Job(results, results.done, tmp_path)
    names = FORMATS[to].names_of(job)
    assert sorted(export(results, to, tmp_path)) == sorted(names)
    assert list(tmp_path.rglob("*.partial*")) == []


def test_partial_slides_are_exported_like_done_ones() -> None:
    told = mock.Mock(slides=pd.DataFrame({"id": ["b", "a", "c"], "status": ["partial", "done", "failed"]}), path="R")
    assert chosen(told, []) == ["a", "b"]
    told.slides = told.slides[2:]
    with pytest.raises(UsageError, match="no slide has results"):
        chosen(told, [])


def test_progress_is_told_slide_by_slide(results: Results, tmp_path: Path) -> None:
    seen: list[object] = []
    export(results, "png", tmp_path, begun=lambda count: seen.append(count) or seen.append)  # type: ignore[func-returns-value,return-value]
    assert seen == [3, "alpha-111", "empty-222", "other-333"]
