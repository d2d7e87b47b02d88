"""`wsipipe phantom`: made slides on disk, listed, the same for the same seed."""

from __future__ import annotations

import csv
from pathlib import Path

from typer.testing import CliRunner

from wsipipe.cli.app import app
from wsipipe.errors import UsageError


def test_made_slides_are_listed_with_their_truth_beside_them(tmp_path: Path) -> None:
    words = ["phantom", "gastric", str(tmp_path), "--slides", "2", "--seed", "5", "--size", "1024"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    with (tmp_path / "slides.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["category"] for row in rows] == ["negative", "low_grade"]
    for row in rows:
        for ending in (".tif", ".truth.json", ".truth.npz", ".truth.geojson"):
            assert (tmp_path / row["wsi"]).with_suffix(ending).is_file()


def test_a_regime_that_is_none_is_refused(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["phantom", "gastric", str(tmp_path), "--regime", "mars"])
    assert answer.exit_code != 0
    assert "train, val, test, shifted" in str(answer.exception)


def test_made_fields_stitch_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    size = ["--rows", "1", "--columns", "2", "--side", "128", "--overlap", "0.3"]
    words = ["phantom", "fields", str(tmp_path / "f"), *size]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    assert len(list((tmp_path / "f").glob("*.png"))) == 2
    stitched = ["stitch", str(tmp_path / "f"), "--out", str(tmp_path / "m.zarr"), "--overlap", "0.3", "--workers", "0"]
    done = CliRunner().invoke(app, stitched)
    assert done.exit_code == 0, done.output
    one = CliRunner().invoke(app, ["phantom", "fields", str(tmp_path / "g"), "--rows", "1", "--columns", "1"])
    assert isinstance(one.exception, UsageError)
    far = CliRunner().invoke(app, [*words, "--turn", "2", "--jitter", "24"])
    assert "over their places" in str(far.exception)
    small = CliRunner().invoke(app, [*words, "--from", str(next((tmp_path / "f").glob("*.png")))])
    assert "the slide has 128 x 128" in str(small.exception)


def test_a_made_movie_can_be_tracked(tmp_path: Path) -> None:
    words = ["phantom", "movie", str(tmp_path), "--objects", "8", "--frames", "6", "--side", "96"]
    assert CliRunner().invoke(app, words).exit_code == 0
    how = ["--mpp", "0.5", "--seconds", "1", "--sigma", "1.8", "--deblur", "network"]
    done = CliRunner().invoke(app, ["track", str(tmp_path / "frames.npy"), "--out", str(tmp_path / "t.parquet"), *how])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "truth.csv").is_file()
