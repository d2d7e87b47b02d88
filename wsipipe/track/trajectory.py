"""What a track says of its object: how fast, how far, how straight, how restless.

Enters: linked detections, micrometres per pixel, seconds per frame. Leaves: one row per track. Next room: people.

CN 111462010 A asks for the object's activity; it is measured here as mean speed times the share of frames in which the
object moved by more than its own jitter: 0 for one that stays, in micrometres per second.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LAGS = 10
"""Most lags of the mean squared displacement."""


def trajectories(linked: pd.DataFrame, *, mpp: float, seconds: float, still_um: float = 0.0) -> pd.DataFrame:
    """Measure tracks.

    Parameters
    ----------
    linked : DataFrame
        ``track``, ``frame``, ``y``, ``x`` (pixels); gaps are allowed.
    mpp : float
        Micrometres per pixel.
    seconds : float
        Per frame.
    still_um : float
        A step of this or less per frame is no movement; 0: half a pixel.

    Returns
    -------
    DataFrame
        ``track``, ``first``, ``last`` (frames), ``detections``, ``duration_s``, ``path_um``, ``displacement_um``,
        ``speed_um_s`` (path over duration), ``straightness`` (displacement over path, 0 to 1; NaN where it did not
        move), ``msd_um2`` (mean squared displacement at one frame), ``alpha`` (exponent of the MSD: 1 diffusion, 2
        straight; NaN for short tracks), ``activity_um_s``.
    """
    rows = [_one(int(str(name)), own, mpp, seconds, still_um or 0.5 * mpp) for name, own in linked.groupby("track")]
    columns = (
        "track", "first", "last", "detections", "duration_s", "path_um", "displacement_um", "speed_um_s",
        "straightness", "msd_um2", "alpha", "activity_um_s",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def _one(track: int, own: pd.DataFrame, mpp: float, seconds: float, still_um: float) -> tuple[float, ...]:
    frame, places = own["frame"].to_numpy(int), own[["y", "x"]].to_numpy(float) * mpp
    steps = np.hypot(*np.diff(places, axis=0).T)
    waits = np.diff(frame)
    path, duration = float(steps.sum()), float(waits.sum()) * seconds
    far = float(np.hypot(*(places[-1] - places[0])))
    speed = path / duration if duration else 0.0
    moved = float(waits[steps > still_um * waits].sum()) / max(1, int(waits.sum()))
    msd = msd_um2(frame, places)
    return (
        track, int(frame[0]), int(frame[-1]), len(frame), duration, path, far, speed, far / path if path else np.nan,
        float(msd[0]) if len(msd) else np.nan, _alpha(msd), speed * moved,
    )  # fmt: skip


def msd_um2(frame: NDArray[np.int_], places_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean squared displacement at lags of 1, 2, ... frames, at most a third of the track; NaN: no pair."""
    at = dict(zip(frame.tolist(), places_um, strict=True))
    most = min(LAGS, (int(frame[-1]) - int(frame[0])) // 3 or int(len(frame) > 1))
    found = []
    for lag in range(1, most + 1):
        squares = [float(((at[t + lag] - at[t]) ** 2).sum()) for t in at if t + lag in at]
        found.append(float(np.mean(squares)) if squares else np.nan)
    return np.array(found)


def _alpha(msd: NDArray[np.float64]) -> float:
    lags = np.arange(1, len(msd) + 1)
    ok = msd > 0
    return float(np.polyfit(np.log(lags[ok]), np.log(msd[ok]), 1)[0]) if ok.sum() >= 3 else float("nan")
