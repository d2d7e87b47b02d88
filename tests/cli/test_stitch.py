"""`wsipipe stitch` and `wsipipe run microscope`: what they leave, where places may come from, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from tests.pipelines.running import CONFIG, wsipipe
from wsipipe.grid import Box
from wsipipe.phantom import fields as made
from wsipipe.slide import open_slide

HOW = made.Microscope(192, overlap=0.25, jitter_px=6)
SHAPE = (420, 420)
QUICK = ("--set", "edges.permutations=16", "--workers", 0)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four fields of a texture."""
    truth = made.layout(SHAPE, HOW, 3)
    return made.write(tmp_path_factory.mktemp("given") / "fields", made.texture(SHAPE, 3), truth, HOW)


def test_a_mosaic_and_an_ome_tiff_with_the_same_samples(fields: Path, tmp_path: Path) -> None:
    mosaic, tiff = tmp_path / "m.zarr", tmp_path / "m.ome.tif"
    words = ("--overlap", 0.25, "--mpp", 0.5, "--ome-tiff", tiff, "--json", *QUICK)
    done = wsipipe("stitch", fields, "--out", mosaic, *words)
    assert done.code == 0, done.err
    assert done.json["by_status"] == {"registered": 4}
    slide = open_slide(mosaic)
    pixels = slide.read(Box(0, 0, *slide.info.shape), level=0)
    slide.close()
    with tifffile.TiffFile(tiff) as file:
        assert file.is_ome
        assert np.array_equal(file.asarray(), pixels)
    left = {one.name for one in (tmp_path / "m.stitch").iterdir()}
    assert {"edges.csv", "edges.png", "fields.csv", "mosaic.png", "stitch.json"} <= left


def test_places_from_the_stage_that_the_files_tell(tmp_path: Path) -> None:
    truth = made.layout(SHAPE, HOW, 3)
    folder = tmp_path / "stage"
    folder.mkdir()
    corners = truth.middle - (HOW.side - 1) / 2
    for index, pixels in enumerate(made.fields(made.texture(SHAPE, 3), truth, HOW)):
        y, x = (corners[index] + (3, -3)) * 0.5  # the stage is wrong by three pixels
        told = {
            "PhysicalSizeX": 0.5,
            "PhysicalSizeY": 0.5,
            "axes": "YXS",
            "Plane": {"PositionX": [x], "PositionY": [y]},
        }
        tifffile.imwrite(folder / f"image {index}.ome.tif", pixels, photometric="rgb", metadata=told)
    done = wsipipe("stitch", folder, "--out", tmp_path / "m.zarr", "--metadata", *QUICK)
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "m.stitch" / "fields.csv").sort_values("file")
    assert (table["status"] == "registered").all()
    assert np.allclose(table[["y", "x"]], corners - corners.min(axis=0), atol=0.05)


def test_files_that_tell_no_stage_are_named(fields: Path, tmp_path: Path) -> None:
    done = wsipipe("stitch", fields, "--out", tmp_path / "m.zarr", "--metadata", *QUICK)
    assert done.code in (2, 3)
    assert "--positions" in done.err
    assert not (tmp_path / "m.zarr").exists()


@pytest.mark.parametrize(("words", "said"), [(("--out", "mosaic.tif"), ".zarr"), (("--out", "m.zarr"), "nowhere")])
def test_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = wsipipe("stitch", tmp_path / "nowhere", *words)
    assert done.code in (2, 3)
    assert said in done.err


def test_fields_through_the_network_to_a_category_in_one_run(fields: Path, tmp_path: Path) -> None:
    words = (
        "--out", tmp_path / "r", "--mpp", 0.5, "--then", "gastric", "--then-config", CONFIG, "--untrained",
        "--set", "places.overlap=0.25", "--set", "deblur.method=network", "--set", "deblur.weights=untrained:0:tiny",
        "--set", "deblur.guard=false", *QUICK,
    )  # fmt: skip
    first = wsipipe("run", "microscope", fields, *words)
    assert first.code == 0, first.err
    told = json.loads((tmp_path / "r" / "run.json").read_text(encoding="utf-8"))
    assert told["slides"]["done"] == 1
    again = wsipipe("run", "microscope", fields, *words)
    assert again.code == 0, again.err
    told = json.loads((tmp_path / "r" / "run.json").read_text(encoding="utf-8"))
    assert sum(told["tiles_per_step"].values()) == 0


def test_a_mosaic_is_not_spoilt_by_random_weights(fields: Path, tmp_path: Path) -> None:
    words = ("--out", tmp_path / "m.zarr", "--set", "deblur.method=network", "--set", "deblur.weights=untrained:0:tiny")
    done = wsipipe("stitch", fields, *words)
    assert done.code == 2
    assert "untrained" in done.err
    assert not (tmp_path / "m.zarr").exists()


def test_a_pipeline_that_is_not_known_is_refused(fields: Path, tmp_path: Path) -> None:
    done = wsipipe("run", "microscope", fields, "--out", tmp_path / "r", "--then", "renal")
    assert done.code == 2
    assert "gastric" in done.err
