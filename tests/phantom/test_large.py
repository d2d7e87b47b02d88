"""The large sparse slide: cheap to make, consistent through its levels, tissue where an overview shows it."""

from __future__ import annotations

import cv2
import numpy as np
import openslide
import pytest

from wsipipe import phantom
from wsipipe.errors import UsageError
from wsipipe.phantom.large import ISLAND, TISSUE_SHARE

SIDE = 20_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return phantom.write_large(tmp_path_factory.mktemp("large") / "large.tif", side=SIDE, seed=1)


def test_it_opens_and_says_its_mpp(large):
    with openslide.OpenSlide(str(large)) as opened:
        assert opened.dimensions == (SIDE, SIDE)
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert [round(value) for value in opened.level_downsamples] == [1, 2, 4, 8, 16, 32, 64]
    assert large.read_bytes()[:4] == b"II\x2b\x00"
    assert large.stat().st_size < 60e6


def test_every_level_shows_the_same(large):
    with openslide.OpenSlide(str(large)) as opened:
        coarse = opened.level_count - 1
        overview = np.asarray(opened.read_region((0, 0), coarse, opened.level_dimensions[coarse]).convert("RGB"))
        tissue = overview.min(axis=2) < 220
        for level in range(3, coarse):
            picture = np.asarray(opened.read_region((0, 0), level, opened.level_dimensions[level]).convert("RGB"))
            small = cv2.resize(picture, overview.shape[1::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(small.astype(int) - overview).mean() < 2.5, level
        y, x = np.argwhere(tissue)[len(np.argwhere(tissue)) // 2] * 2**coarse
        near = np.asarray(opened.read_region((int(x), int(y)), 0, (1024, 1024)).convert("RGB"))
    assert near.std() > 15
    assert 0.5 * TISSUE_SHARE < tissue.mean() < 3 * TISSUE_SHARE
    assert tissue[: 4 * ISLAND >> coarse].any()


def test_too_small(tmp_path):
    with pytest.raises(UsageError, match="16384 pixels or more, got 4096"):
        phantom.write_large(tmp_path / "a.tif", side=4096)
