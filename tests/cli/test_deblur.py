"""`wsipipe deblur`: pictures of every sort, a row for each, errors that say what to do."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.pipelines import running
from wsipipe.cli.app import app
from wsipipe.errors import UsageError, WeightsError
from wsipipe.slide import open_slide

WEIGHTS = ("--weights", "untrained:0:tiny", "--quiet")


def picture(path: Path, *, side: int = 96, dtype: type = np.uint8, bands: int = 3) -> Path:
    rng = np.random.default_rng(0)
    field = cv2.GaussianBlur(rng.normal(0, 1, (side, side + 20, bands)), (0, 0), 2).reshape(side, side + 20, bands)
    pixels = np.where(field > 0, 200, 90).astype(dtype) * (257 if dtype is np.uint16 else 1)
    if bands == 4:
        pixels[..., 3] = 255
        pixels[:10, :, 3] = 0
    cv2.imwrite(str(path), pixels.squeeze())
    return path


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["deblur", *arguments, *WEIGHTS])
    if isinstance(done.exception, UsageError):
        raise done.exception
    return done.exit_code, done.output


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "deblur.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("method", ["network", "wiener", "richardson_lucy", "none"])
def test_a_known_blur_by_every_method(tmp_path: Path, method: str) -> None:
    path, out = picture(tmp_path / "a.png"), tmp_path / "out"
    code, said = run(str(path), "--out", str(out), "--method", method, "--blur", "5,190,0", "--no-guard")
    assert (code, "1 of 1" in said) == (0, True)
    row = rows(out)[0]
    assert (row["kind"], row["length_px"], row["direction_deg"]) == ("motion", "5.0", "10.0")
    made = cv2.imread(str(out / "a.png"))
    assert made.shape == (96, 116, 3)
    assert np.array_equal(made, cv2.imread(str(path))) == (method == "none")
    assert cv2.imread(str(out / "a.before-after.png")).shape == (96, 192, 3)
    uncertain = cv2.imread(str(out / "a.error.png"), cv2.IMREAD_GRAYSCALE)
    assert (uncertain is not None) == (method == "network")
    if uncertain is not None:
        assert uncertain.shape == (96, 116)
        assert abs(uncertain.mean() / 8 - float(row["expected_error_grey"])) < 0.5


def test_grey_and_alpha_are_read_sixteen_bits_refused(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    picture(folder / "alpha.png", bands=4)
    picture(folder / "deep.png", dtype=np.uint16)
    picture(folder / "grey.png", bands=1)
    picture(folder / "small.png", side=20)
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    code, said = run(str(folder), "--out", str(out))
    assert (code, "2 of 5" in said) == (3, True)
    told = {Path(row["picture"]).name: row["message"] for row in rows(out)}
    assert not told["alpha.png"]
    assert not told["grey.png"]
    assert "8 bit" in told["deep.png"]
    assert "32 px" in told["small.png"]
    assert told["damaged.png"]


def test_a_large_picture_goes_by_strips_into_a_pyramid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsipipe.cli import deblur as verb
    from wsipipe.deblur import picture as strips

    monkeypatch.setattr(verb, "WHOLE_PX", 1000)
    monkeypatch.setattr(strips, "TILE", 512)
    path = picture(tmp_path / "a.png", side=600)
    code, _ = run(str(path), "--out", str(tmp_path / "out"), "--method", "none")
    assert code == 0
    slide = open_slide(tmp_path / "out" / "a.tif")
    assert slide.info.shape == (600, 620)
    slide.close()


def test_wrong_usage(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    with pytest.raises(UsageError, match="richardson_lucy"):
        run(str(path), "--out", str(tmp_path / "o"), "--method", "magic")
    for text in ("9,45", "9,45,x", "99,0,0", "0,0,-1"):
        with pytest.raises(UsageError, match="9,45,0"):
            run(str(path), "--out", str(tmp_path / "o"), "--blur", text)
    with pytest.raises(UsageError, match="--out is a folder"):
        run(str(path), "--out", str(path))
    with pytest.raises(UsageError, match="no such file"):
        run(str(tmp_path / "nothing"), "--out", str(tmp_path / "o"))


def test_the_gastric_pipeline_with_the_network(slide: Path, tmp_path: Path) -> None:
    words = ("--set", "deblur.method=network", "--set", "deblur.weights=untrained:0:tiny")
    done = running.run(slide, tmp_path / "results", *words)
    assert done.code == 0, done.err


def test_the_gastric_pipeline_refuses_untrained_deblurring() -> None:
    from wsipipe.pipelines import gastric

    with pytest.raises(WeightsError, match="untrained"):
        gastric.launch(None, ["deblur.method=network", "deblur.weights=untrained:0:tiny"])
