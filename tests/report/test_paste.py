"""Pasted pixels lie where matplotlib's own pictures lie, the same way up."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wsipipe.report.canvas import Canvas
from wsipipe.report.paste import paste

EXTENT = (0.0, 60.0, 40.0, 0.0)


def picture(channels: int) -> NDArray[np.uint8]:
    """Smooth, and like none of its mirror images."""
    y, x = np.mgrid[:40, :60]
    made = np.stack([4 * x, 6 * y, (x * y) // 10, 90 + 2 * x], axis=-1)
    return made[..., :channels].astype(np.uint8)


@pytest.mark.parametrize("side", [30.0, 400.0])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("limits", [((0, 60), (40, 0)), ((10, 30), (25, 5)), ((60, 0), (0, 40))])
def test_as_matplotlib_lays_it(side: float, channels: int, limits: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Reduced and magnified, opaque or not, cut by the axes or not, upright and turned."""
    drawn = []
    for own in (True, False):
        canvas = Canvas(1.5 * side + 40, side + 40)
        axes = canvas.axes(20, 20, 1.5 * side, side)
        if own:
            paste(axes, picture(channels), EXTENT)
        else:
            axes.imshow(picture(channels), extent=EXTENT, interpolation="bilinear")
        axes.set(xlim=limits[0], ylim=limits[1], aspect="auto")
        drawn.append(canvas.pixels().astype(int))
    apart = np.abs(drawn[0] - drawn[1])
    assert apart.mean() < 3
    assert np.abs(drawn[0][::-1] - drawn[1]).mean() > 3 * apart.mean()
