"""Training tiles: shapes, determinism, truth, and that colour alone does not give the class away."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe import phantom
from wsipipe.errors import UsageError


@pytest.fixture(scope="module")
def made():
    return phantom.tiles(3, 30, "train")


def test_shapes_and_values(made):
    rgb, mask, label = made
    assert rgb.shape == (30, 512, 512, 3)
    assert rgb.dtype == np.uint8
    assert mask.shape == (30, 512, 512)
    assert mask.dtype == np.uint8
    assert mask.max() <= 3
    assert label.shape == (30,)
    assert label.dtype == np.int64
    assert set(label.tolist()) == {0, 1, 2, 3}


def test_the_class_is_the_highest_category_of_the_mask(made):
    _, mask, label = made
    for picture, code in zip(mask, label, strict=True):
        share = np.bincount(picture.ravel(), minlength=4)[1:] / picture.size
        found = np.flatnonzero(share >= 0.02)
        assert code == (found[-1] + 1 if len(found) else 0)
        assert ((share == 0) | (share >= 0.02)).all()


def test_fewer_tiles_are_the_first_of_more_and_seeds_differ(made):
    rgb, mask, label = phantom.tiles(3, 4, "train")
    assert np.array_equal(rgb, made[0][:4])
    assert np.array_equal(mask, made[1][:4])
    assert np.array_equal(label, made[2][:4])
    other = next(iter(phantom.tile_stream(4, "train")))
    assert not np.array_equal(other[0], rgb[0])


def test_tiles_show_tissue(made):
    rgb, _, _ = made
    dark = (rgb.min(axis=3) < 215).mean(axis=(1, 2))
    assert np.median(dark) > 0.7


def test_mean_colours_of_the_classes_overlap(made):
    rgb, _, label = made
    mean = rgb.reshape(30, -1, 3).mean(axis=1)
    low, high = mean[label == 0].min(axis=0) - 12, mean[label == 0].max(axis=0) + 12
    inside = ((mean[label > 0] >= low) & (mean[label > 0] <= high)).all(axis=1)
    assert inside.mean() > 0.6


def test_unknown_regime():
    with pytest.raises(UsageError, match="best"):
        phantom.tiles(0, 1, "best")
