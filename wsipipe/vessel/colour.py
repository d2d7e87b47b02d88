"""One colour for all fundus pictures: each channel's mean and deviation inside the field of view are made alike.

Enters: pictures or tiles, and where they are lit. Leaves: the same with other colours. Next: `wsipipe.vessel.network`,
or training. Cameras differ in colour and contrast more than eyes do; a network that learnt from one camera's pictures
reads another's better so (docs/retina-network.md has the figures).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.vessel import field_of_view

STANDARD, AS_IS = "standard", "as_is"
MEAN, STD = (0.70, 0.29, 0.17), (0.154, 0.109, 0.072)
"""Red, green and blue, shares of white, that training's pictures are brought to: about those of HRF."""
LEAST_STD = 0.01
"""A channel that varies less than this holds nothing to be stretched."""

Levels = tuple[float, float, float]


def statistics(picture: NDArray[np.uint8], field: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean and standard deviation (2, 3) float32 of red, green and blue inside the field, shares of white.

    Parameters
    ----------
    picture : (height, width, 3) uint8
    field : (height, width) bool
        Where nothing is true, the whole picture counts.
    """
    mask = field.astype(np.uint8) if field.any() else None
    mean, std = cv2.meanStdDev(picture, mask=mask)
    return np.asarray(np.stack([mean[:, 0], std[:, 0]]) / 255, np.float32)


def standardised(
    picture: NDArray[np.uint8], field: NDArray[np.bool_], found: NDArray[np.float32], mean: Levels = MEAN,
    std: Levels = STD,
) -> NDArray[np.uint8]:  # fmt: skip
    """The picture with another mean and deviation of each channel inside the field; outside nothing changes.

    Parameters
    ----------
    picture : (height, width, 3) uint8
    field : (height, width) bool
    found : (2, 3) floats
        From `statistics`, of this picture or of the whole that it is part of.
    mean, std : three floats
        To be reached, shares of white, but for what is cut off at black and white.

    Returns
    -------
    (height, width, 3) uint8
    """
    table = np.arange(256, dtype=np.float64)[:, None] / 255
    away = (table - found[0]) / np.maximum(found[1], LEAST_STD)
    wanted = np.clip((away * std + mean) * 255, 0, 255).round().astype(np.uint8)
    changed = cv2.LUT(picture, wanted[None])
    return np.where(field[..., None], changed, picture)


def alike(picture: NDArray[np.uint8], mean: Levels = MEAN, std: Levels = STD) -> NDArray[np.uint8]:
    """A whole picture, standardised inside the field that is found in it, as a run does it tile by tile."""
    field = field_of_view.find(picture)
    return standardised(picture, lit(picture, field.threshold), statistics(picture, field.mask), mean, std)


def lit(picture: NDArray[np.uint8], threshold: float) -> NDArray[np.bool_]:
    """Where the largest channel of (height, width, 3) pixels lies above a threshold of 0 to 255."""
    return np.asarray(picture.max(axis=2) > threshold, np.bool_)
