"""`wsipipe evaluate vessel-…`: tables without any data."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from wsipipe.cli.app import app
from wsipipe.evaluate.vessel_seams import seams
from wsipipe.phantom.fundus import make_fundus


def test_measures_and_topology_are_written(tmp_path):
    done = CliRunner().invoke(app, ["evaluate", "vessel-measures", "-n", "1", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "vessel-measures.json").read_text())
    assert told["rows"][0]["calibre, mean error px"]["value"] < 0.5
    repair = json.loads((tmp_path / "topology-repair.json").read_text())["rows"]
    assert all(row["with"]["value"] > row["without"]["value"] for row in repair)


def test_quality_of_named_folders(tmp_path):
    Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(tmp_path / "paper.png")
    asked = ["evaluate", "vessel-quality", "--other", f"paper={tmp_path}", "--most", "1", "--out", str(tmp_path / "t")]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    rows = {row["pictures"]: row for row in json.loads((tmp_path / "t/vessel-quality.json").read_text())["rows"]}
    assert rows["paper"]["refused"] == 1
    assert rows["made"]["refused"] == 0
    assert rows["made, grey"]["refused"] == 1


def test_a_nameless_folder_is_refused(tmp_path):
    done = CliRunner().invoke(app, ["evaluate", "vessel-quality", str(tmp_path)])
    assert "NAME=FOLDER" in str(done.exception)


def test_one_window_is_the_whole_picture():
    picture = make_fundus(0, size=(120, 116)).picture
    table = seams([picture], "untrained:0:tiny", tile=128, halos=(0, 32))
    assert max(row[1] for row in table.rows) < 1e-6  # multiplied by a weight and divided again
