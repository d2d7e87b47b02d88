"""`wsipipe phantom`: made slides on disk, listed, the same for the same seed."""

from __future__ import annotations

import csv
from pathlib import Path

from typer.testing import CliRunner

from wsipipe.cli.app import app


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
