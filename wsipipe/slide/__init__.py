"""Pixels in: every source of pixels behind one protocol, `Slide`.

Enters: files, folders, arrays. Leaves: `Slide`. Next rooms: all others read pixels through it, and nowhere else.
Importing this room imports none of the readers' libraries; each is imported when a file needs it.
"""

from __future__ import annotations

from wsipipe.slide.base import Level, Slide, SlideInfo
from wsipipe.slide.choose import open_slide
from wsipipe.slide.find import find_slides
from wsipipe.slide.memory import MemorySlide

__all__ = ["Level", "MemorySlide", "Slide", "SlideInfo", "find_slides", "open_slide"]
