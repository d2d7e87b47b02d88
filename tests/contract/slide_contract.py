"""What every source of pixels promises. Subclass `SlideContract` and give a fixture ``slide`` for another reader.

The slide needs 90 x 90 pixels or more; its levels, planes and dtype are free.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from wsipipe.errors import SlideReadError
from wsipipe.grid import Box, Frame
from wsipipe.slide.base import Slide
from wsipipe.units import Mpp, round_half_up


def resampled(slide: Slide, downsample: float) -> Frame:
    """A frame that no level is, `downsample` level-0 pixels per pixel."""
    height, width = (max(1, round_half_up(side / downsample)) for side in slide.info.shape)
    return Frame((height, width), downsample, Mpp(0.5 * downsample))


def in_pieces(slide: Slide, box: Box, frame: Frame, side: tuple[int, int]) -> NDArray[np.generic]:
    """`box` read in boxes of `side`, which need not divide it."""
    out = np.zeros((*box.shape, slide.info.channels), slide.info.dtype)
    for y in range(box.y, box.y1, side[0]):
        for x in range(box.x, box.x1, side[1]):
            piece = Box(y, x, *side).intersect(box)
            out[piece.slices(box)] = slide.read(piece, frame=frame)
    return out


class SlideContract:
    """The promises; `slide` is opened anew for each."""

    @pytest.fixture
    def slide(self) -> Slide:
        raise NotImplementedError

    def test_it_is_a_slide(self, slide: Slide) -> None:
        assert isinstance(slide, Slide)

    def test_the_id_is_a_safe_name_with_twelve_digits_of_the_fingerprint(self, slide: Slide) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}-[0-9a-f]{12}", slide.id)
        assert slide.id.endswith(slide.info.fingerprint[:12])
        assert int(slide.info.fingerprint, 16) > 0

    def test_levels_start_at_1_and_get_coarser(self, slide: Slide) -> None:
        levels = slide.info.levels
        assert levels[0].downsample == 1
        assert all(a.downsample < b.downsample for a, b in pairwise(levels))
        for level in levels:
            for side, full in zip(level.shape, levels[0].shape, strict=True):
                assert abs(side * level.downsample - full) <= level.downsample * 1.01

    def test_shape_and_dtype(self, slide: Slide) -> None:
        for level in range(len(slide.info.levels)):
            pixels = slide.read(Box(3, 5, 17, 29), level=level)
            assert pixels.shape == (17, 29, slide.info.channels)
            assert pixels.dtype == slide.info.dtype

    def test_an_empty_box_has_no_pixels(self, slide: Slide) -> None:
        assert slide.read(Box(4, 4, 0, 7), level=0).shape == (0, 7, slide.info.channels)
        assert slide.read(Box(4, 4, 7, 0), frame=resampled(slide, 2.5)).shape == (7, 0, slide.info.channels)

    @pytest.mark.parametrize("downsample", [None, 2.7])
    def test_outside_the_plane_is_fill(self, slide: Slide, downsample: float | None) -> None:
        frame = resampled(slide, downsample) if downsample else Frame(slide.info.shape, 1.0, Mpp(0.5), 0)
        height, width = frame.shape
        corner = slide.read(Box(-8, -6, 16, 16), frame=frame)
        assert (corner[:8] == slide.info.fill).all()
        assert (corner[:, :6] == slide.info.fill).all()
        assert np.array_equal(corner[8:, 6:], slide.read(Box(0, 0, 8, 10), frame=frame))
        last = slide.read(Box(height - 5, width - 7, 16, 16), frame=frame)
        assert (last[5:] == slide.info.fill).all()
        assert (last[:, 7:] == slide.info.fill).all()
        assert (slide.read(Box(height + 3, -90, 4, 4), frame=frame) == slide.info.fill).all()

    @pytest.mark.parametrize("downsample", [2.7, 1.013, 6.0])
    def test_reading_in_pieces_equals_reading_whole(self, slide: Slide, downsample: float) -> None:
        frame = resampled(slide, downsample)
        box = Box(-3, 2, min(150, frame.shape[0]) + 6, min(170, frame.shape[1]) + 3)
        whole = slide.read(box, frame=frame)
        assert np.array_equal(in_pieces(slide, box, frame, (31, 47)), whole)

    def test_levels_in_pieces_equal_levels_whole(self, slide: Slide) -> None:
        for index, level in enumerate(slide.info.levels):
            frame = Frame(level.shape, level.downsample, Mpp(level.downsample), index)
            box = Box(0, 0, min(level.shape[0], 300), min(level.shape[1], 280))
            whole = slide.read(box, level=index)
            assert np.array_equal(in_pieces(slide, box, frame, (83, 119)), whole)

    def test_what_is_read_is_the_callers(self, slide: Slide) -> None:
        first = slide.read(Box(0, 0, 20, 20), level=0)
        kept = first.copy()
        first[...] = 7
        assert np.array_equal(slide.read(Box(0, 0, 20, 20), level=0), kept)

    def test_threads_read_what_one_reads(self, slide: Slide) -> None:
        boxes = [Box(7 * i % 60, 11 * i % 60, 40, 50) for i in range(24)]
        frame = resampled(slide, 1.9)
        alone = [slide.read(box, frame=frame) for box in boxes]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda box: slide.read(box, frame=frame), boxes))
        assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))

    def test_wrong_requests_are_named(self, slide: Slide) -> None:
        box = Box(0, 0, 4, 4)
        with pytest.raises(SlideReadError, match="plane"):
            slide.read(box, level=0, plane=slide.info.planes)
        with pytest.raises(SlideReadError, match="level"):
            slide.read(box, level=len(slide.info.levels))
        with pytest.raises(SlideReadError, match="exactly one"):
            slide.read(box)
        with pytest.raises(SlideReadError, match="exactly one"):
            slide.read(box, level=0, frame=resampled(slide, 2.0))

    def test_closed_twice_it_refuses_to_read(self, slide: Slide) -> None:
        slide.close()
        slide.close()
        with pytest.raises(SlideReadError, match="closed"):
            slide.read(Box(0, 0, 4, 4), level=0)
