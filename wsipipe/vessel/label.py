"""What the codes of an artery/vein label mean, and labels from probabilities.

Enters: probabilities, or a label of any source. Leaves: a checked label. Next: `wsipipe.vessel.topology` repairs it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError

BACKGROUND, ARTERY, VEIN, CROSSING = 0, 1, 2, 3
MEANINGS = {ARTERY: "artery", VEIN: "vein", CROSSING: "crossing"}
COLOURS = {ARTERY: (230, 50, 40), VEIN: (50, 90, 230), CROSSING: (60, 190, 90)}
SMALLEST_PX = 20
"""Parts of the vessel mask with fewer pixels are taken for noise, at the working scale."""

Label = NDArray[np.uint8]
Map = NDArray[np.float32]


def from_probability(probability: Map, *, threshold: float = 0.5, inside: NDArray[np.bool_] | None = None) -> Label:
    """A label from three maps.

    Parameters
    ----------
    probability : array (3, height, width) of float32, 0 to 1
        Arteries, veins, all vessels.
    threshold : float
        A pixel is a vessel where the map of all vessels is at least this.
    inside : array (height, width) of bool, optional
        Field of view; 0 outside.

    Returns
    -------
    array (height, width) of uint8
        0 background; 1 artery or 2 vein, whichever is likelier; 3 where both are at least `threshold`.
    """
    artery, vein, vessel = probability
    mask = vessel >= threshold
    if inside is not None:
        mask &= inside
    mask = without_specks(mask)
    made = np.where(artery >= vein, ARTERY, VEIN)
    made = np.where((artery >= threshold) & (vein >= threshold), CROSSING, made)
    return np.where(mask, made, BACKGROUND).astype(np.uint8)


def without_specks(mask: NDArray[np.bool_], *, smallest_px: int = SMALLEST_PX) -> NDArray[np.bool_]:
    """A mask without its parts of fewer than `smallest_px` pixels."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= smallest_px
    large[0] = False
    return np.asarray(large[labels] if count > 1 else np.zeros_like(mask), np.bool_)


def checked(label: NDArray[Any], shape: tuple[int, int], *, subject: str = "") -> Label:
    """A label that came with a picture.

    Parameters
    ----------
    label : array
        One channel, coded 0 background, 1 artery, 2 vein, 3 crossing or uncertain.
    shape : tuple of int
        (height, width) of its picture.
    subject : str
        Whose label it is, for the error.

    Returns
    -------
    array (height, width) of uint8

    Raises
    ------
    UsageError
        Where its size is another than the picture's, it has several channels, or other codes.
    """
    if label.shape != tuple(shape):
        raise UsageError(
            f"reading an artery/vein label: it has the size of its picture, {shape[0]} x {shape[1]} px in one channel, "
            f"got {' x '.join(map(str, label.shape))}: give the label of this picture, not resized and without colours",
            subject=subject,
        )
    if unknown := sorted(set(np.unique(label).tolist()) - {BACKGROUND, ARTERY, VEIN, CROSSING}):
        raise UsageError(
            "reading an artery/vein label: its codes are 0 background, 1 artery, 2 vein, 3 crossing or uncertain; "
            f"it also has {unknown[:8]}: recode it",
            subject=subject,
        )
    return label.astype(np.uint8)


def coloured(rgb: NDArray[np.uint8], label: Label, *, opacity: float = 0.75) -> NDArray[np.uint8]:
    """The picture with arteries red, veins blue and crossings green."""
    table = np.array([(0, 0, 0), COLOURS[ARTERY], COLOURS[VEIN], COLOURS[CROSSING]], np.float32)
    made, there = rgb.copy(), label > 0
    made[there] = rgb[there] * np.float32(1 - opacity) + table[label[there]] * np.float32(opacity) + np.float32(0.5)
    return made
