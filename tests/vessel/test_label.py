"""Labels: from probabilities, and those that come with a picture, checked."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.errors import UsageError
from wsipipe.vessel.label import checked, coloured, from_probability


def test_codes_from_three_maps():
    maps = np.zeros((3, 10, 40), np.float32)
    maps[2, 3:6] = 0.9
    maps[0, 3:6, :20], maps[1, 3:6, 15:] = 0.8, 0.7
    label = from_probability(maps)
    assert label[4, 5] == 1
    assert label[4, 17] == 3
    assert label[4, 30] == 2
    assert not from_probability(maps, inside=np.zeros((10, 40), bool)).any()


def test_specks_are_left_out():
    maps = np.zeros((3, 20, 20), np.float32)
    maps[:, 5:8, 5:8] = 0.9
    assert not from_probability(maps).any()


def test_a_label_of_another_size_is_refused():
    with pytest.raises(UsageError, match=r"size of its picture, 5 x 6.*got 6 x 5"):
        checked(np.zeros((6, 5), np.uint8), (5, 6))


def test_unknown_codes_are_refused():
    with pytest.raises(UsageError, match="also has \\[7, 255\\]"):
        checked(np.array([[0, 7], [255, 1]], np.uint8), (2, 2), subject="a.png")


def test_colours():
    rgb = np.full((2, 2, 3), 100, np.uint8)
    shown = coloured(rgb, np.array([[0, 1], [2, 3]], np.uint8))
    assert (shown[0, 0] == 100).all()
    assert shown[0, 1].argmax() == 0
    assert shown[1, 0].argmax() == 2
