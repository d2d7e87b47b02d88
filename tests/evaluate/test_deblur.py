"""The deblurring table: cases, the oracle, nuclei, and the tables of a small run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from wsipipe.deblur.blur import Blur
from wsipipe.deblur.network import deblurring
from wsipipe.errors import UsageError
from wsipipe.evaluate import deblur as evaluation
from wsipipe.evaluate import deblur_cases as cases
from wsipipe.evaluate.deblur_cases import ROWS, Row


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of dark round nuclei on pink."""
    root, rng = tmp_path_factory.mktemp("sharp"), np.random.default_rng(0)
    for number in range(2):
        rgb = np.full((220, 220, 3), (225, 170, 205), np.uint8)
        for y, x in rng.integers(10, 210, (60, 2)):
            cv2.circle(rgb, (int(x), int(y)), 5, (95, 60, 150), -1, cv2.LINE_AA)
        rgb = np.clip(rgb + rng.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"{number}.png"), rgb[..., ::-1])
    return root


def test_cases_are_cut_with_a_rim(folder: Path) -> None:
    found = cases.cases([folder], side=128, most=4, per_source=2)
    assert [case.sharp.shape for case in found] == [(128, 128, 3)] * 2
    assert len({case.source for case in found}) == 2
    with pytest.raises(UsageError, match="--side"):
        cases.cases([folder], side=512, most=4, per_source=2)


def test_measures() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (80, 80, 3), dtype=np.uint8)
    assert np.isinf(cases.psnr(rgb, rgb))
    assert cases.ssim(rgb, rgb) == pytest.approx(1)
    assert [cases.angle_off(179, 1), cases.angle_off(90, 0), cases.angle_off(10, 25)] == [2, 90, 15]
    assert cases.nearest(6.6, (5.0, 9.0, 15.0)) == 5.0
    points = rng.random((10, 2)) * 100
    assert cases.matched(points + 2, points) == (10, 10, 10)
    assert cases.matched(points + 300, points) == (0, 10, 10)
    assert cases.matched(points[:0], points) == (0, 0, 10)
    assert evaluation.f1(np.array([[8, 10, 8], [0, 0, 2]], float)) == pytest.approx(0.8)


def test_nuclei_are_found(folder: Path) -> None:
    sharp = cases.cases([folder], side=128, most=1, per_source=1)[0].sharp
    assert 8 <= len(cases.nuclei(sharp)) <= 40


def test_the_oracle_gains_and_a_wrong_kernel_gains_less(folder: Path) -> None:
    drawn, row = cases.cases([folder], side=128, most=2, per_source=1), Row("motion", "stated", length_px=9.0)
    setting = evaluation.best_setting(row, drawn, seed=0)
    case, truth = drawn[0], row.truth(0)
    seen = case.seen(truth.kernel(), seed=0)
    right, wrong = (
        cases.psnr(setting.restore(seen, blur.kernel()), case.sharp) for blur in (truth, evaluation.wrong(truth))
    )
    assert right > cases.psnr(seen, case.sharp) + 1
    assert wrong < right


def test_every_row_of_the_bar_is_there() -> None:
    assert [row.group for row in ROWS].count("stated") == 7
    assert {row.group for row in ROWS} == {"stated", "interpolated", "extrapolated", "curved"}
    for row in ROWS:
        assert row.truth(3).kernel().sum() == pytest.approx(1)
    assert evaluation.wrong(Blur(9.0, 170.0)).direction_deg == 10.0


def test_tables_of_a_small_run(folder: Path) -> None:
    drawn, route = cases.cases([folder], side=128, most=2, per_source=1), deblurring(weights="untrained:0:tiny")
    found = [evaluation.measure_row(row, drawn, route) for row in (ROWS[3], ROWS[6])]
    gains = evaluation.gains(found)
    assert len(gains.rows) == 2
    assert "2 crops" in gains.notes[0]
    routing = evaluation.routing(found, evaluation.sharp_route(drawn, route))
    assert [row[0] for row in routing.rows] == [ROWS[3].name, ROWS[6].name, "all of these"]
    assert "false alarms" in routing.notes[0]
    assert len(evaluation.found_nuclei(found).rows) == 2
    assert evaluation.examples(found, side=64).shape == (128, 256, 3)
