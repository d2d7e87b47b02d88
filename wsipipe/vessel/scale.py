"""The working scale of fundus pictures: the field of view is always equally wide.

Enters: an open picture. Leaves: a nominal mpp, by which the run chooses the working frame. Next: `wsipipe.run`.

Fundus pictures carry no scale, and what their files say (72 dots per inch) is none. Networks see vessels at the width
they have where the field is `WORKING_FIELD_PX` across; so level 0 is given the nominal mpp at which the working frame
is that. Pictures whose field is narrower are worked on as they are, never magnified.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import SlideReadError
from wsipipe.grid import Frame
from wsipipe.slide.base import Slide
from wsipipe.units import Mpp
from wsipipe.vessel import field_of_view

NOMINAL_MPP = 10.0
"""Of the working frame."""
LOOKED_AT_PX = 1024
"""The field is looked for on a picture whose longer side is at most about this."""
LEAST_MPP = 0.06
"""A picture's field is at most 90,000 px across; more is not a picture of this kind."""


def nominal_mpp(slide: Slide, *, field_px: float, method: str = "auto") -> float:
    """Nominal mpp of level 0.

    Parameters
    ----------
    slide : Slide
        8-bit, grey or colour.
    field_px : float
        Width of the field of view in the working frame.
    method : {"auto", "whole"}
        Whether the field is looked for, or is the whole picture.

    Returns
    -------
    float
        `NOMINAL_MPP` where the picture is worked on as it is, less where it is larger.

    Raises
    ------
    SlideReadError
        Where its pixels are not 8-bit grey or colour.
    """
    info = slide.info
    if info.dtype != np.uint8 or info.channels not in (1, 3):
        raise SlideReadError(
            f"reading a fundus picture: 8-bit grey or colour is worked on, this has {info.dtype} in {info.channels} "
            "channels: save it with 8 bits, scaled from black to white"
        )
    across = width_of_field(slide, method=method)
    return max(NOMINAL_MPP * min(1.0, field_px / across), LEAST_MPP)


def width_of_field(slide: Slide, *, method: str = "auto") -> float:
    """Width of the field of view in level-0 px; 0.95 of the longer side where there is none."""
    shape = slide.info.shape
    if method != "whole":
        down = max(1, max(shape) // LOOKED_AT_PX)
        field = field_of_view.find(_looked_at(slide, down))
        if field.found:
            return 2 * field.radius * down
    return 0.95 * max(shape)


def _looked_at(slide: Slide, down: int) -> NDArray[np.uint8]:
    height, width = (max(1, side // down) for side in slide.info.shape)
    frame = Frame((height, width), float(down), Mpp(float(down)))
    found = slide.read(frame.box, level=0) if down == 1 else slide.read(frame.box, frame=frame)
    return np.asarray(found if found.shape[2] == 3 else np.repeat(found, 3, axis=2), np.uint8)
