"""What all readers share, beyond the contract: closing while others read, given mpp."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from wsipipe.errors import MppError, SlideReadError
from wsipipe.grid import Box, Frame
from wsipipe.slide.base import Level, SlideInfo
from wsipipe.slide.memory import MemorySlide
from wsipipe.slide.reader import Reader
from wsipipe.units import Mpp

INFO = SlideInfo((Level((50, 60), 1.0),), None, 3, np.dtype("u1"), "ab" * 32, "test")


class Slow(Reader):
    """Waits in the middle of a read."""

    def __init__(self) -> None:
        super().__init__(INFO, slide_id="slow-abababababab", subject="slow")
        self.reading, self.go_on, self.released = threading.Event(), threading.Event(), threading.Event()

    def _pixels(self, level: int, box: Box, plane: int) -> NDArray[np.uint8]:
        self.reading.set()
        self.go_on.wait(5)
        assert not self.released.is_set()
        return np.full((*box.shape, 3), 7, np.uint8)

    def _release(self) -> None:
        self.released.set()


def test_closing_waits_for_those_who_read() -> None:
    slide, got = Slow(), []
    reader = threading.Thread(target=lambda: got.append(slide.read(Box(0, 0, 4, 4), level=0)))
    reader.start()
    assert slide.reading.wait(5)
    closer = threading.Thread(target=slide.close)
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    slide.go_on.set()
    reader.join(5)
    closer.join(5)
    assert slide.released.is_set()
    assert (got[0] == 7).all()


def test_a_given_mpp_replaces_what_the_file_says() -> None:
    slide = MemorySlide(np.zeros((9, 9, 3), np.uint8), mpp=0.25)
    before = slide.id
    slide.replace_mpp(0.5)
    assert slide.info.mpp == 0.5
    assert slide.id == before
    with pytest.raises(MppError, match=r"0\.05 to 20"):
        slide.replace_mpp(0.001)


def test_a_frame_of_another_slide_is_refused() -> None:
    slide = MemorySlide(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(SlideReadError, match="this slide's"):
        slide.read(Box(0, 0, 2, 2), frame=Frame((8, 8), 1.0, Mpp(0.5), 0))


def test_errors_name_the_slide_and_stay_on_one_line() -> None:
    slide = MemorySlide(np.zeros((9, 9, 3), np.uint8), name="mine")
    with pytest.raises(SlideReadError) as caught:
        slide.read(Box(0, 0, 2, 2), level=4)
    assert caught.value.subject == "mine"
    assert "\n" not in str(caught.value)
