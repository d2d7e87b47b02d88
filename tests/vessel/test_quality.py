"""The grade: real and made fundus pictures pass, what cannot be used is refused, and says why."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from wsipipe.phantom.fundus import make_fundus
from wsipipe.vessel.field_of_view import find
from wsipipe.vessel.quality import CHECKS, graded

DATA = Path(os.environ.get("WSIPIPE_DATA", "../shared/data"))


@pytest.fixture(scope="module")
def picture():
    return make_fundus(0).picture


def grade(picture):
    return graded(picture, find(picture))


def test_made_pictures_are_not_refused(picture):
    assert grade(picture).grade == "good"
    assert set(grade(picture).values) == set(CHECKS)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rgb: np.repeat(rgb[..., 1:2], 3, axis=2), "grey"),
        (lambda rgb: rgb[..., ::-1].copy(), "colours of a fundus"),
        (lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 12), "blurred"),
        (lambda rgb: (rgb * 0.08).astype(np.uint8), "dark"),
        (lambda rgb: np.zeros_like(rgb), "black"),
    ],
)
def test_spoilt_pictures_are_refused(picture, spoil, reason):
    found = grade(spoil(picture))
    assert found.refused
    assert reason in "; ".join(found.reasons)


def test_a_blur_of_one_pixel_and_half_the_light_are_not_refused(picture):
    assert not grade(cv2.GaussianBlur(picture, (0, 0), 1.0)).refused
    assert not grade((picture * 0.5).astype(np.uint8)).refused


def test_something_else_in_a_round_field_is_refused():
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:584, :565]
    spots = cv2.GaussianBlur(rng.normal(0, 1, (584, 565)).astype(np.float32), (0, 0), 3) * 300
    picture = np.clip(np.stack([180 + spots, 120 + spots, 190 + spots], -1), 0, 255).astype(np.uint8)
    picture[np.hypot(rows - 292, columns - 282) > 268] = 4
    assert grade(picture).refused


@pytest.mark.skipif(not (DATA / "fundus/drive-av").is_dir(), reason="shared/data/fundus/drive-av is not here")
def test_drive_is_not_refused():
    for number in (23, 26, 31, 34, 40):
        path = DATA / f"fundus/drive-av/images/{number}_training.tif"
        assert not grade(np.array(Image.open(path).convert("RGB"))).refused
