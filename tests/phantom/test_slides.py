"""Slides on disk: they open, their mpp and their truth are right, and they are the same every time."""

from __future__ import annotations

import csv
import hashlib
import json

import cv2
import numpy as np
import openslide
import pytest
import tifffile

from wsipipe import phantom
from wsipipe.errors import MppError, SlideOpenError, UsageError

SIZE = 1600


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return phantom.write_gastric(folder, category="high_grade", seed=4, regime="test", size=SIZE, mpp=0.5)


def test_openslide_reads_it_as_a_generic_pyramid(slide):
    with openslide.OpenSlide(str(slide)) as opened:
        assert opened.properties["openslide.vendor"] == "generic-tiff"
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(0.5, rel=1e-4)
        assert float(opened.properties["openslide.mpp-y"]) == pytest.approx(0.5, rel=1e-4)
        assert opened.level_dimensions == ((1600, 1600), (800, 800), (400, 400))
        assert opened.level_downsamples == (1.0, 2.0, 4.0)


def test_levels_show_the_same(slide):
    with openslide.OpenSlide(str(slide)) as opened:
        whole = np.asarray(opened.read_region((0, 0), 0, (1600, 1600)).convert("RGB"))
        quarter = np.asarray(opened.read_region((0, 0), 2, (400, 400)).convert("RGB")).astype(float)
    small = cv2.resize(whole, (400, 400), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(small - quarter).mean() < 7
    assert np.abs(small.mean(axis=(0, 1)) - quarter.mean(axis=(0, 1))).max() < 1


def test_tifffile_reads_it(slide):
    with tifffile.TiffFile(slide) as file:
        assert [page.shape for page in file.pages] == [(1600, 1600, 3), (800, 800, 3), (400, 400, 3)]
        assert [page.is_reduced for page in file.pages] == [False, True, True]
        page = file.pages[0]
        assert page.tilewidth == 256
        assert page.compression == 7
        assert page.photometric == 6
        picture = page.asarray()
    with openslide.OpenSlide(str(slide)) as opened:
        same = np.asarray(opened.read_region((0, 0), 0, (1600, 1600)).convert("RGB"))
    assert np.abs(picture.astype(int) - same).mean() < 2


@pytest.mark.filterwarnings("ignore")  # what TIAToolbox and its dependencies warn of is theirs
def test_tiatoolbox_reads_levels_and_mpp(slide):
    readers = pytest.importorskip("tiatoolbox.wsicore.wsireader")
    reader = readers.WSIReader.open(slide)
    assert reader.info.mpp.tolist() == pytest.approx([0.5, 0.5], rel=1e-4)
    assert tuple(map(tuple, reader.info.level_dimensions)) == ((1600, 1600), (800, 800), (400, 400))


def test_truth_beside_it(slide):
    truth = phantom.gastric_truth(slide)
    assert (truth.category, truth.regime, truth.seed, truth.mpp) == ("high_grade", "test", 4, 0.5)
    assert (truth.version, truth.generator) == (phantom.VERSION, phantom.GENERATOR)
    assert truth.shape == (1600, 1600)
    assert truth == phantom.gastric_truth(slide.with_name(slide.stem + ".truth.json"))
    assert truth.lesion_share == pytest.approx(sum(truth.shares.values()), abs=1e-5)
    with np.load(slide.with_name(slide.stem + ".truth.npz"), allow_pickle=False) as stored:
        arrays = dict(stored)
    assert arrays["category"].shape == arrays["tissue"].shape == arrays["gland"].shape == (200, 200)
    assert arrays["category"].max() == 2
    share = (arrays["category"] == 2).sum() / arrays["tissue"].sum()
    assert share == pytest.approx(truth.shares["high_grade"], rel=0.05)
    assert len(arrays["nucleus_yx"]) == len(arrays["nucleus_kind"]) == truth.nuclei
    assert set(np.unique(arrays["nucleus_category"])) <= {0, 1, 2}


def test_tissue_truth_is_where_the_pixels_are_not_glass(slide):
    with np.load(slide.with_name(slide.stem + ".truth.npz"), allow_pickle=False) as stored:
        tissue = stored["tissue"]
    with openslide.OpenSlide(str(slide)) as opened:
        picture = np.asarray(opened.read_region((0, 0), 2, (400, 400)).convert("RGB"))
    small = cv2.resize(picture, (200, 200), interpolation=cv2.INTER_AREA).min(axis=2)
    coloured = small < 225
    assert coloured[tissue == 0].mean() < 0.12
    assert coloured[tissue == 1].mean() > 0.85


def test_dark_nuclei_are_where_the_truth_says(slide):
    with np.load(slide.with_name(slide.stem + ".truth.npz"), allow_pickle=False) as stored:
        yx, kind, tissue = stored["nucleus_yx"].astype(int), stored["nucleus_kind"], stored["tissue"]
    with openslide.OpenSlide(str(slide)) as opened:
        red = np.asarray(opened.read_region((0, 0), 0, (1600, 1600)).convert("RGB"))[..., 0].astype(float)
    keep = (kind == 5) & ((yx >= 20) & (yx < 1580)).all(axis=1)
    yx = yx[keep]
    yx = yx[tissue[yx[:, 0] // 8, yx[:, 1] // 8] > 0]
    typical = np.median(red[cv2.resize(tissue, (1600, 1600), interpolation=cv2.INTER_NEAREST) > 0])
    assert len(yx) > 50
    assert np.median(red[yx[:, 0], yx[:, 1]]) < typical - 40


def test_outlines_are_what_qupath_reads(slide):
    found = json.loads(slide.with_name(slide.stem + ".truth.geojson").read_text(encoding="utf-8"))
    truth = phantom.gastric_truth(slide)
    assert found["type"] == "FeatureCollection"
    names = {feature["properties"]["classification"]["name"] for feature in found["features"]}
    assert "high_grade" in names
    assert names <= {"low_grade", "high_grade"}
    area = 0.0
    for feature in found["features"]:
        assert feature["properties"]["objectType"] == "annotation"
        for ring in feature["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
            assert len(ring) >= 4
            assert 0 <= np.array(ring).min()
            assert np.array(ring).max() <= 1600
        if feature["properties"]["classification"]["name"] == "high_grade":
            area += feature["properties"]["measurements"]["area_um2"]
    with np.load(slide.with_name(slide.stem + ".truth.npz"), allow_pickle=False) as stored:
        tissue_um2 = stored["tissue"].sum() * 16.0
    assert area / tissue_um2 == pytest.approx(truth.shares["high_grade"], rel=0.1)


def test_same_seed_same_bytes(slide, tmp_path):
    again = phantom.write_gastric(tmp_path, category="high_grade", seed=4, regime="test", size=SIZE, mpp=0.5)
    for ending in (".tif", ".truth.json", ".truth.geojson"):
        one, other = (path.with_name(path.stem + ending).read_bytes() for path in (slide, again))
        assert hashlib.sha256(one).digest() == hashlib.sha256(other).digest(), ending
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".partial") == []


def test_mpp_comes_from_the_scanner_of_the_regime(tmp_path):
    path = phantom.write_gastric(tmp_path, category="negative", seed=1, regime="val", size=1024)
    truth = phantom.gastric_truth(path)
    assert min(abs(truth.mpp / scanner.mpp - 1) for scanner in phantom.REGIMES["val"].scanners) < 0.003
    with openslide.OpenSlide(str(path)) as opened:
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(truth.mpp, rel=1e-4)
        assert opened.dimensions[0] * truth.mpp == pytest.approx(512, rel=0.01)
    assert truth.lesion_share == 0
    assert truth.category == "negative"


def test_cohort_is_balanced_and_listed(tmp_path):
    listed = phantom.cohort(tmp_path, 4, 2, "test", size=1024, mpp=0.5)
    rows = list(csv.DictReader(listed.open(encoding="utf-8")))
    assert [row["category"] for row in rows] == list(phantom.CATEGORIES)
    assert len({row["case_id"] for row in rows}) == 4
    for row in rows:
        truth = phantom.gastric_truth(tmp_path / row["wsi"])
        assert truth.category == row["category"]
        assert float(row["mpp"]) == truth.mpp == 0.5
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix in {".png", ".jpg"}) == []


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"category": "benign"}, UsageError, "one of negative, low_grade, high_grade, invasive, got 'benign'"),
        ({"regime": "best"}, UsageError, "train, val, test, shifted, got 'best'"),
        ({"size": 100}, UsageError, "1024 pixels or more, got 100"),
        ({"mpp": 5.0}, MppError, "0.2 to 1, got 5"),
        ({"seed": -1}, UsageError, "0 or more, got -1"),
    ],
)
def test_wrong_orders(tmp_path, wrong, error, said):
    order = {"category": "negative", "seed": 0, "regime": "test", "size": 1024} | wrong
    with pytest.raises(error, match=said):
        phantom.write_gastric(tmp_path, **order)
    assert list(tmp_path.iterdir()) == []


def test_truth_is_missing(tmp_path):
    with pytest.raises(SlideOpenError, match=r"a\.truth\.json"):
        phantom.gastric_truth(tmp_path / "a.tif")
