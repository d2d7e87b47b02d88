"""The field of view: found on made and real pictures, refused with a reason where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsipipe.phantom.fundus import make_fundus
from wsipipe.vessel.field_of_view import find, whole

DATA = Path(os.environ.get("WSIPIPE_DATA", "../shared/data"))


@pytest.mark.parametrize("seed", range(3))
def test_made_fields_are_found_to_the_pixel(seed):
    made = make_fundus(seed, size=(292, 283))
    found = find(made.picture)
    assert found.found
    assert (found.mask & made.field).sum() / (found.mask | made.field).sum() > 0.99


def test_a_field_that_is_cut_above_and_below():
    made = make_fundus(1, size=(200, 300))
    found = find(made.picture)
    assert found.found
    assert found.radius == pytest.approx(0.475 * 300, rel=0.03)


def test_a_dark_picture_still_has_its_field():
    made = make_fundus(2, size=(292, 283))
    assert find((made.picture * 0.25).astype(np.uint8)).found


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((100, 100, 3), np.uint8), "black"),
        (np.full((100, 100, 3), 200, np.uint8), "no black border"),
        (np.pad(np.full((40, 80, 3), 200, np.uint8), ((30, 30), (10, 10), (0, 0))), "not round"),
        (np.pad(np.full((6, 6, 3), 200, np.uint8), ((60, 60), (60, 60), (0, 0))), "no field of view"),
    ],
)
def test_no_field_has_a_reason(picture, reason):
    found = find(picture)
    assert not found.found
    assert reason in found.reason
    assert not found.mask.any()


def test_the_whole_picture_may_be_the_field():
    found = whole(np.zeros((20, 30, 3), np.uint8))
    assert found.found
    assert found.mask.all()


def test_the_inner_mask_leaves_the_rim_out():
    made = make_fundus(0, size=(292, 283))
    found = find(made.picture)
    assert 0.95 < found.inner().sum() / found.mask.sum() < 0.99


@pytest.mark.skipif(not (DATA / "fundus/drive-av").is_dir(), reason="shared/data/fundus/drive-av is not here")
def test_drive_s_own_masks_are_met():
    for number in (21, 26, 34):
        picture = np.array(Image.open(DATA / f"fundus/drive-av/images/{number}_training.tif").convert("RGB"))
        mask = np.array(Image.open(DATA / f"fundus/drive-av/mask/{number}_training_mask.gif")) > 0
        found = find(picture).mask
        assert (found & mask).sum() / (found | mask).sum() > 0.985


@pytest.mark.skipif(not (DATA / "histology").is_dir(), reason="shared/data/histology is not here")
def test_histology_has_no_field_of_view():
    for path in sorted((DATA / "histology/tissue-classes").glob("*.png"))[:10]:
        assert not find(np.array(Image.open(path).convert("RGB"))).found
