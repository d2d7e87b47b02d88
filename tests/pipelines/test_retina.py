"""`wsipipe run retina` whole: stores, tables, pictures, bad input, any number of tiles and workers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.vessel import dark_lines
from wsipipe import vessel
from wsipipe.cli.app import app
from wsipipe.phantom.fundus import make_fundus, write_fundus
from wsipipe.query import open_results
from wsipipe.store import published

TINY = Path(__file__).parents[2] / "configs/retina.tiny.yaml"
SIZE = (292, 283)


def run(*arguments: object) -> dict:
    wanted = ["run", "retina", *map(str, arguments), "-c", str(TINY), "--untrained", "--workers", "0", "--json"]
    done = CliRunner().invoke(app, wanted)
    assert done.exit_code in (0, 3), done.output
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fundus")
    write_fundus(folder, 2, 7, size=SIZE)
    return folder


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vessel, "segment", dark_lines.segment)
        told = run(folder / "images", "--list", folder / "fundus.csv", "--out", out)
    assert [row["status"] for row in told["slides"]] == ["done", "done"]
    return out


def first(results: Path) -> Path:
    return sorted(results.glob("*.zarr"))[0]


def test_the_store_has_maps_labels_and_zones(results):
    root = first(results)
    maps = [published.picture(root, "images/vessel", channel=c)[...] for c in range(3)]
    assert maps[0].shape == SIZE
    assert maps[2].max() > 0.9
    assert set(np.unique(published.picture(root, "labels/vessels")[...])) <= {0, 1, 2, 3}
    assert published.picture(root, "labels/field")[...].mean() > 0.5
    assert set(published.shapes(root, "zones")["name"]) == {"field", "disc", "zone B", "zone C"}
    assert published.picture(root, "images/enhanced")[...].shape == SIZE


def test_the_record_tells_grade_disc_scale_and_measures(results, folder):
    record = published.marked(first(results))["record"]
    made = make_fundus(700_000, size=SIZE)
    assert record["grade"]["grade"] in ("good", "usable")
    assert record["laterality"] == {"side": made.laterality, "from": "given"}
    assert record["disc"]["radius"] == pytest.approx(made.disc[2], abs=0.02)
    assert record["mpp"] == pytest.approx(made.mpp, abs=1e-3)
    um = {(row["name"], row["kind"], row["zone"]): row["value"] for row in record["measures"] if row["unit"] == "um"}
    px = {(row["name"], row["kind"], row["zone"]): row["value"] for row in record["measures"] if row["unit"] == "px"}
    assert um["calibre", "all", "whole"] == pytest.approx(px["calibre", "all", "whole"] * record["mpp"])


def test_pictures_and_tables_are_in_the_picture_s_own_size(results):
    folder = first(results).with_suffix("")
    for name in ("coloured.png", "vessels.png", "field.png", "enhanced.png"):
        assert Image.open(folder / name).size == SIZE[::-1]
    assert (folder / "overview.png").is_file()
    rows = list(csv.DictReader((folder / "measures.csv").open()))
    assert {row["measure"] for row in rows} >= {"crae", "crve", "avr", "calibre", "tortuosity", "fractal_dimension"}
    assert all(row["reason"] for row in rows if row["value"] == "nan")
    assert len(list(csv.DictReader((folder / "segments.csv").open()))) > 20


def test_the_catalogue_and_the_report_have_them(results):
    found = open_results(results).query("select * from measures where measure = 'density' and zone = 'whole'")
    assert len(found) == 6
    page = (results / "report.html").read_text()
    assert "Why there is none" in page
    assert "could not be read" not in page


def test_the_same_command_again_does_nothing_new(results, folder):
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file() and ".zarr/" in str(path)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vessel, "segment", dark_lines.segment)
        told = run(folder / "images", "--list", folder / "fundus.csv", "--out", results)
    assert all(row["status"] == "done" for row in told["slides"])
    assert before == {path: path.read_bytes() for path in before}


def test_bad_input_is_told_and_stops_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(vessel, "segment", dark_lines.segment)
    made = make_fundus(8, size=SIZE)
    images = tmp_path / "in"
    images.mkdir()
    picture = Image.fromarray(made.picture)
    picture.convert("L").save(images / "grey.png")
    picture.convert("CMYK").save(images / "cmyk.jpg")
    Image.fromarray(np.zeros_like(made.picture)).save(images / "black.png")
    Image.fromarray(np.full_like(made.picture, 230)).save(images / "paper.png")
    (images / "deep.png").write_bytes(imagecodecs.png_encode(made.picture.astype(np.uint16) * 257))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(images / "turned.jpg", exif=exif, quality=98)
    told = {Path(row["path"]).name: row for row in run(images, "--out", tmp_path / "out")["slides"]}
    assert "grey" in told["grey.png"]["reason"]
    assert "CMYK" in told["cmyk.jpg"]["reason"]
    assert "black" in told["black.png"]["reason"]
    assert "no black border" in told["paper.png"]["reason"]
    assert "8-bit" in told["deep.png"]["reason"]
    assert [told[name]["status"] for name in ("cmyk.jpg", "deep.png")] == ["failed", "failed"]
    assert told["turned.jpg"]["status"] == "done"
    root = tmp_path / "out" / f"{told['turned.jpg']['id']}.zarr"
    assert published.marked(root)["record"]["source"]["shape"] == list(SIZE)
    grey = published.marked(tmp_path / "out" / f"{told['grey.png']['id']}.zarr")["record"]
    assert grey["refused"]
    assert all(row["value"] is None and row["reason"] for row in grey["measures"])


def test_a_wrong_list_is_told(folder, tmp_path):
    told = tmp_path / "list.csv"
    name = sorted((folder / "images").glob("*.png"))[0]
    told.write_text(f"wsi,laterality\n{name},upper\n")
    rows = run(name, "--list", told, "--out", tmp_path / "out")["slides"]
    assert "laterality is left or right" in rows[0]["reason"]


def test_the_network_runs_and_untrained_says_so(tmp_path, folder):
    name = sorted((folder / "images").glob("*.png"))[0]
    rows = run(name, "--out", tmp_path / "out")["slides"]
    assert rows[0]["reason"] == "untrained"
    assert rows[0]["tiles"] >= 4
