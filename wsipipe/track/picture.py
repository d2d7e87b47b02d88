"""Tracks to look at: over the first frame, and as a moving picture.

Enters: frames and tracks. Leaves: pixels. Next room: people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

TAIL = 10
LEAST_PX = 480
U8 = NDArray[np.uint8]


def shown(frame: NDArray[Any]) -> U8:
    """A frame as RGB of 8 bits, stretched from its 1st to its 99.8th percentile."""
    grey = frame.astype(np.float32)
    low, high = np.percentile(grey, [1, 99.8])
    scaled = np.clip((grey - low) / max(1e-9, float(high - low)) * 255, 0, 255).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=2) if scaled.ndim == 2 else scaled[..., :3]


def over(frame: NDArray[Any], tracks: pd.DataFrame, *, until: int | None = None, tail: int | None = None) -> U8:
    """A frame, enlarged to 480 px or more, with tracks up to a frame drawn over it, each in a colour of its own."""
    picture = shown(frame)
    scale = max(1, -(-LEAST_PX // max(picture.shape[:2])))
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    last = int(tracks["frame"].max()) if until is None and len(tracks) else until or 0
    seen = tracks[(tracks["frame"] <= last) & (tracks["frame"] >= (0 if tail is None else last - tail))]
    for name, own in seen.groupby("track"):
        points = np.rint((own[["x", "y"]].to_numpy(float) + 0.5) * scale * 16).astype(np.int32)
        colour = colour_of(int(str(name)))
        cv2.polylines(picture, [points[:, None]], False, colour, max(1, scale // 2), cv2.LINE_AA, 4)
        if until is None or int(own["frame"].iloc[-1]) == until:
            cv2.circle(picture, points[-1].tolist(), 2 * scale * 16, colour, 1, cv2.LINE_AA, 4)
    return np.asarray(picture, np.uint8)


def colour_of(track: int) -> tuple[int, int, int]:
    """A colour that neighbours in number do not share."""
    hue = np.array([[[int(track * 67) % 180, 220, 255]]], np.uint8)
    red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return int(red), int(green), int(blue)


def movie(frames: Sequence[NDArray[Any]], tracks: pd.DataFrame) -> list[U8]:
    """All frames with the last ten steps of every track."""
    return [over(frame, tracks, until=index, tail=TAIL) for index, frame in enumerate(frames)]
