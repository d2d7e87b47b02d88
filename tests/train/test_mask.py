from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zarr

from wsipipe.errors import UsageError
from wsipipe.grid import Box, Frame
from wsipipe.train.mask import Truth, find_mask, read_mask
from wsipipe.units import Mpp

SHAPE = (200, 300)


def frame(downsample: float = 1.0) -> Frame:
    return Frame((round(SHAPE[0] / downsample), round(SHAPE[1] / downsample)), downsample, Mpp(0.5))


def annotation(name: str, *rings: list[tuple[int, int]]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[list(point) for point in ring] for ring in rings]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


def square(x0: int, y0: int, x1: int, y1: int) -> list[tuple[int, int]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]


def test_outlines_fill_their_pixels_holes_stay_open_and_severe_wins(tmp_path: Path) -> None:
    path = tmp_path / "s.geojson"
    items = [
        annotation("Invasive", square(150, 50, 250, 150)),
        annotation("low-grade", square(20, 20, 180, 120), square(40, 40, 60, 60)),
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    mask = read_mask(path, SHAPE, "invasive").read(frame(), Box(0, 0, *SHAPE))
    assert mask[30, 30] == 1
    assert mask[50, 50] == 0  # the hole
    assert mask[100, 170] == 3  # both: the severe one
    assert mask[10, 10] == 0
    wanted = 160 * 100 - 20 * 20 - 30 * 70
    assert abs(int((mask == 1).sum()) - wanted) < 0.03 * wanted
    assert abs(int((mask == 3).sum()) - 10_000) < 300
    with gzip.open(tmp_path / "t.geojson.gz", "wt") as handle:
        handle.write(path.read_text())
    again = read_mask(tmp_path / "t.geojson.gz", SHAPE, "invasive").read(frame(), Box(0, 0, *SHAPE))
    np.testing.assert_array_equal(mask, again)


def test_a_coarse_picture_covers_the_slide(tmp_path: Path) -> None:
    small = np.zeros((20, 30), np.uint8)
    small[5:10, 15:] = 2
    cv2.imwrite(str(tmp_path / "s.png"), small)
    truth = read_mask(tmp_path / "s.png", SHAPE, "high_grade")
    whole = truth.read(frame(), Box(0, 0, *SHAPE))
    np.testing.assert_array_equal(whole, small.repeat(10, axis=0).repeat(10, axis=1))
    half = truth.read(frame(2.0), Box(0, 0, 100, 150))
    np.testing.assert_array_equal(half, whole[1::2, 1::2])


def test_boxes_agree_with_the_whole_and_are_negative_outside(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = Truth(rng.integers(0, 4, (23, 41)).astype(np.uint8))
    whole = truth.read(frame(), Box(0, 0, *SHAPE))
    np.testing.assert_array_equal(truth.read(frame(), Box(37, 111, 64, 64)), whole[37:101, 111:175])
    part = truth.read(frame(), Box(180, 280, 64, 64))
    np.testing.assert_array_equal(part[:20, :20], whole[180:, 280:])
    assert not part[20:].any()
    assert not part[:, 20:].any()
    assert not Truth(None).read(frame(), Box(0, 0, 8, 8)).any()


def test_two_values_mean_the_slides_category(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "s.png"), np.array([[0, 255], [255, 0]], np.uint8))
    found = read_mask(tmp_path / "s.png", SHAPE, "high_grade").whole
    assert found is not None
    assert found.tolist() == [[0, 2], [2, 0]]


def test_labels_are_read_at_a_level_that_fits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4, (40, 60)).astype(np.uint8)
    group = zarr.open_group(str(tmp_path / "s.ome.zarr"), mode="w")
    label = group.create_group("labels").create_group("lesion")
    label.create_array("0", data=values)
    label.attrs["ome"] = {"version": "0.5", "multiscales": [{"datasets": [{"path": "0"}]}]}
    found = read_mask(tmp_path / "s.ome.zarr", SHAPE, "invasive").whole
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("s.geojson", b"{", "Expecting property name"),
        ("s.png", b"no picture", "it is no picture that can be decoded"),
        ("s.geojson", json.dumps(annotation("Tumour", square(0, 0, 9, 9))).encode(), "class is one of .* got 'Tumour'"),
    ],
)
def test_bad_masks_say_why(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read_mask(tmp_path / name, SHAPE, "invasive")


def test_masks_are_found_beside_slides_or_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    slide = tmp_path / "s.tif"
    for path in (slide, tmp_path / "masks" / "s.png", tmp_path / "s.truth.npz"):
        path.touch()
    assert find_mask(slide, tmp_path / "masks") == tmp_path / "masks" / "s.png"
    assert find_mask(slide, None) == tmp_path / "s.truth.npz"
    assert find_mask(tmp_path / "other.tif", None) is None
