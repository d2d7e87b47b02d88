"""Graphs of drawn vessels: lines, branches, crossings; lengths and spurs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from wsipipe.vessel.skeleton import graph


def drawn(*lines, width=5, shape=(120, 160)):
    canvas = np.zeros(shape, np.uint8)
    for first, second in lines:
        cv2.line(canvas, first, second, 1, width)
    return canvas > 0


def test_nothing_has_no_lines():
    found = graph(np.zeros((20, 20), bool))
    assert found.lines == ()
    assert not found.skeleton().any()


def test_one_line_has_no_node_and_its_own_length():
    found = graph(drawn(((10, 20), (130, 80))))
    assert len(found.lines) == 1
    assert found.lines[0].nodes == (-1, -1)
    assert found.lines[0].length == pytest.approx(np.hypot(120, 60), rel=0.03)


def test_a_branch_is_one_node_of_three_lines():
    found = graph(drawn(((10, 60), (80, 60)), ((80, 60), (140, 20)), ((80, 60), (140, 100))))
    assert len(found.nodes) == 1
    assert [len(ends) for ends in found.at().values()] == [3]


def test_a_crossing_is_one_node_of_four_lines():
    found = graph(drawn(((10, 40), (150, 80)), ((10, 90), (150, 30))))
    assert [len(ends) for ends in found.at().values()] == [4]
    y, x = found.nodes[0]
    assert np.hypot(y - 60, x - 80) < 6


def test_bumps_of_the_outline_are_no_branches():
    mask = drawn(((10, 60), (150, 60)), width=9)
    mask[53:56, 70:72] = True
    assert len(graph(mask).lines) == 1


def test_a_ring_is_followed():
    canvas = np.zeros((100, 100), np.uint8)
    cv2.circle(canvas, (50, 50), 30, 1, 3)
    found = graph(canvas > 0)
    assert sum(line.length for line in found.lines) == pytest.approx(2 * np.pi * 30, rel=0.05)
