"""Folders of labelled pictures: pairing, codes and colours, sizes, the working scale, clear refusals."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from wsipipe.errors import SlideError, SlideOpenError, UsageError
from wsipipe.vessel.folder import Case, cases, read_label, read_picture, resized
from wsipipe.vessel.network import WORKING_FIELD_PX

NAMES = ("01_dr", "01_dr_b", "02_h")


def write(folder, name, array):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(folder / f"{name}.png")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for name in NAMES:
        write(tmp_path / "images", name, rng.integers(0, 255, (40, 50, 3), np.uint8))
        write(tmp_path / "1st_manual", f"{name}_AVmanual", rng.integers(0, 4, (40, 50)).astype(np.uint8))
        write(tmp_path / "mask", f"{name}_mask", np.full((40, 50), 255, np.uint8))
    return tmp_path


def test_labels_and_masks_belong_to_the_longest_name_they_begin_with(data):
    found = cases(data)
    assert [case.name for case in found] == list(NAMES)
    for case in found:
        wanted = np.asarray(Image.open(data / "1st_manual" / f"{case.name}_AVmanual.png"))
        assert np.array_equal(case.label, wanted)
        assert case.field.all()


def test_labels_may_lie_elsewhere_and_masks_may_be_missing(tmp_path):
    y, x = np.mgrid[:200, :200]
    round_ = np.where(np.hypot(y - 100, x - 100)[..., None] < 90, (180, 90, 40), (3, 3, 3)).astype(np.uint8)
    write(tmp_path / "pictures", "a", round_)
    write(tmp_path / "lines", "a", np.zeros((200, 200), np.uint8))
    found = cases(tmp_path / "pictures", labels=tmp_path / "lines")
    assert found[0].field.mean() == pytest.approx(np.pi * 90**2 / 200**2, abs=0.02)


def test_colours_are_codes(tmp_path):
    colour = np.array([[[0, 0, 0], [255, 0, 0], [0, 0, 255], [0, 255, 0], [255, 255, 255]]], np.uint8)
    write(tmp_path, "label", colour)
    assert read_label(tmp_path / "label.png").tolist() == [[0, 1, 2, 3, 3]]


@pytest.mark.parametrize("array", [np.full((2, 2), 7, np.uint8), np.full((2, 2, 3), 90, np.uint8)])
def test_unknown_codes_are_refused_by_name(tmp_path, array):
    write(tmp_path, "label", array)
    with pytest.raises(SlideError, match="codes are 0 background"):
        read_label(tmp_path / "label.png")


def test_a_label_of_another_size_is_refused(data):
    write(data / "1st_manual", "02_h_AVmanual", np.zeros((40, 51), np.uint8))
    with pytest.raises(SlideError, match="50x40 px, this is 51x40"):
        cases(data)


def test_missing_and_double_labels_and_folders_are_refused(data, tmp_path):
    write(data / "1st_manual", "02_h_second", np.zeros((40, 50), np.uint8))
    with pytest.raises(UsageError, match="2 labels"):
        cases(data)
    for path in (data / "1st_manual").glob("02_h*"):
        path.unlink()
    with pytest.raises(UsageError, match="no label"):
        cases(data)
    with pytest.raises(UsageError, match="folder is missing"):
        cases(tmp_path / "nowhere")


def test_pictures_of_other_kinds_become_rgb(tmp_path):
    deep = (np.arange(16, dtype=np.uint16).reshape(4, 4) * 4369).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png")[..., 0].tolist() == (deep // 257).tolist()
    Image.new("CMYK", (3, 2)).save(tmp_path / "ink.jpg")
    assert read_picture(tmp_path / "ink.jpg").shape == (2, 3, 3)
    turned = Image.new("RGB", (6, 4))
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").shape == (6, 4, 3)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SlideOpenError, match="cannot be decoded"):
        read_picture(tmp_path / "text.png")


def test_a_smaller_label_keeps_vessels_that_cover_enough():
    label = np.zeros((60, 60), np.uint8)
    label[:, 12:18], label[30:36, :], label[30:36, 12:18] = 1, 2, 3
    case = Case("x", np.zeros((60, 60, 3), np.uint8), label, np.ones((60, 60), np.bool_))
    small = resized(case, 1 / 6)
    assert small.label.shape == (10, 10)
    assert (small.label[0, 2], small.label[5, 0], small.label[5, 2]) == (1, 2, 3)
    assert (small.label > 0).sum() == 19


def test_the_working_scale_is_the_field_s_width():
    wide = np.zeros((100, 1400), np.bool_)
    wide[:, 100:1180] = True
    case = Case("x", np.zeros((100, 1400, 3), np.uint8), np.zeros((100, 1400), np.uint8), wide)
    assert case.field_px == 1080
    work = case.working()
    assert work.field_px == pytest.approx(WORKING_FIELD_PX, abs=5)
    assert case.working(field_px=720).field_px == pytest.approx(720, abs=5)
    assert work.working() is work
