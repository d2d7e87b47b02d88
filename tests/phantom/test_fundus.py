"""Made fundus pictures: same seed same bytes, truth that agrees with itself and with the picture."""

from __future__ import annotations

import csv
import json
import time

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from wsipipe.cli.app import app
from wsipipe.errors import UsageError
from wsipipe.phantom.fundus import make_fundus
from wsipipe.phantom.fundus_paint import coverage
from wsipipe.phantom.fundus_tree import ARTERY, VEIN, Segment


@pytest.fixture(scope="module")
def made():
    return make_fundus(3)


def test_same_seed_same_bytes(made):
    again = make_fundus(3)
    assert np.array_equal(made.picture, again.picture)
    assert np.array_equal(made.label, again.label)
    assert not np.array_equal(made.picture, make_fundus(4).picture)


def test_half_a_second_at_drive_s_size():
    took = []
    for seed in range(3):
        start = time.perf_counter()
        make_fundus(seed)
        took.append(time.perf_counter() - start)
    assert min(took) < 1.5  # 0.3 s on a quiet machine; a bound for a busy one


def test_shapes_codes_and_share_of_vessels(made):
    assert made.picture.shape == (584, 565, 3)
    assert made.picture.dtype == np.uint8
    assert set(np.unique(made.label)) == {0, 1, 2, 3}
    assert not made.label[~made.field].any()
    assert 0.06 < (made.label > 0).sum() / made.field.sum() < 0.2


def test_a_ribbon_covers_its_exact_area():
    line = np.stack([np.full(50, 32.3), np.linspace(10, 90, 50)], 1)
    for calibre in (1.3, 2.0, 4.5, 8.0):
        cover = coverage([Segment(VEIN, line, np.full(50, calibre), -1)], (64, 100))
        across = cover[:, 40:60].sum() / 20
        assert across == pytest.approx(calibre, abs=0.08)


def test_murray_holds_at_branches(made):
    children: dict[int, list[Segment]] = {}
    for part in made.tree:
        children.setdefault(part.parent, []).append(part)
    checked = 0
    for index, part in enumerate(made.tree):
        pair = children.get(index, [])
        if len(pair) == 2 and min(p.calibre[0] for p in pair) > 1.1:
            cubes = sum(p.calibre[0] ** 3 for p in pair)
            assert cubes == pytest.approx(part.calibre[-1] ** 3, rel=0.35)
            checked += 1
    assert checked > 20
    assert all(part.kind in (ARTERY, VEIN) for part in made.tree)


def test_vessels_are_darker_and_veins_darkest(made):
    red, green = made.picture[..., 0].astype(float), made.picture[..., 1].astype(float)
    inner = made.field & (np.hypot(*(np.indices(made.field.shape) - 282.0)) < 200)
    ground, artery, vein = (green[inner & (made.label == code)].mean() for code in (0, 1, 2))
    assert vein < artery < ground
    assert red[inner & (made.label == 2)].mean() < red[inner & (made.label == 1)].mean()


def test_laterality_mirrors(made):
    left, right = make_fundus(3, laterality="left"), make_fundus(3, laterality="right")
    assert left.disc[1] < left.fovea[1]
    assert right.disc[1] > right.fovea[1]
    assert made.laterality in ("left", "right")


def test_a_cut_field_of_another_size():
    wide = make_fundus(5, size=(150, 225))
    assert wide.picture.shape == (150, 225, 3)
    assert wide.field[0].any()
    assert wide.mpp == pytest.approx(24.0 * 268 / (0.475 * 225))


def test_a_wrong_laterality_is_refused():
    with pytest.raises(UsageError, match="laterality left or right"):
        make_fundus(0, laterality="top")


def test_the_verb_writes_the_folder_form(tmp_path):
    done = CliRunner().invoke(
        app, ["phantom", "fundus", str(tmp_path / "f"), "-n", "2", "--height", "120", "--width", "116"]
    )
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "f" / "fundus.csv").open()))
    assert len(rows) == 2
    name = rows[0]["wsi"].removeprefix("images/")
    label = np.array(Image.open(tmp_path / "f" / "1st_manual" / name))
    assert label.shape == (120, 116)
    truth = json.loads((tmp_path / "f" / "truth" / name.replace(".png", ".json")).read_text())
    assert truth["tree"][0]["parent"] == -1
