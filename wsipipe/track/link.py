"""Detections into tracks: trackpy for particles, laptrack where objects divide and merge, gaps closed with a reach that
grows.

Enters: one table of detections, all frames. Leaves: the same with ``track``. Next room: `wsipipe.track.trajectory`.

Frame to frame is linked without gaps, by the nearest place that a track's velocity predicts. Then ends and beginnings
of tracks are joined, all at once, at the least sum of squared distances (Jaqaman et al., Nature Methods 5, 2008). An
object that was not seen for g frames may have gone farther: the reach is ``reach_px * sqrt(g)`` around the place where
its velocity takes it.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Method = Literal["trackpy", "laptrack"]
VELOCITY_FRAMES = 4
"""Detections at the end of a track whose mean step is its velocity."""


def link(
    detections: pd.DataFrame, *, reach_px: float, gap: int = 3, method: Method = "trackpy", divide: bool = False
) -> pd.DataFrame:
    """Give every detection a track.

    Parameters
    ----------
    detections : DataFrame
        ``frame`` (whole numbers), ``y``, ``x``.
    reach_px : float
        How far an object may be from where it was expected in the next frame.
    gap : int
        Frames that an object may not be seen.
    method : {"trackpy", "laptrack"}
        ``laptrack`` is slower and knows division and merging.
    divide : bool
        Whether tracks may divide and merge (``laptrack`` only): then ``parent`` is the track that one came from.

    Returns
    -------
    DataFrame
        Sorted by track and frame; ``track`` from 0 in the order of first appearance, ``parent`` (-1: none).
    """
    rows = detections.reset_index(drop=True)
    if len(rows) == 0:
        return rows.assign(track=np.zeros(0, np.int64), parent=np.zeros(0, np.int64))
    if method == "laptrack":
        found = _laptrack(rows, reach_px, gap, divide=divide)
    else:
        found = _joined(_trackpy(rows, reach_px), reach_px, gap).assign(parent=-1)
    return _numbered(found)


def _trackpy(rows: pd.DataFrame, reach_px: float) -> pd.DataFrame:
    """Frame to frame, where the velocity of tracks predicts them."""
    import trackpy  # deferred: brings matplotlib

    trackpy.quiet()
    predictor = trackpy.predict.NearestVelocityPredict()
    with warnings.catch_warnings(action="ignore"):
        linked = predictor.link_df(
            rows, reach_px, memory=0, pos_columns=["y", "x"], t_column="frame", adaptive_stop=reach_px / 8
        )
    linked = linked.rename(columns={"particle": "track"}).sort_values(["track", "frame"], kind="stable")
    # trackpy passes over frames without any detection: tracks are cut there, closing gaps is the next step's
    begins = (linked["track"].diff() != 0) | (linked["frame"].diff() != 1)
    found: pd.DataFrame = linked.assign(track=begins.cumsum() - 1)
    return found


def _joined(linked: pd.DataFrame, reach_px: float, gap: int) -> pd.DataFrame:
    """Ends of tracks joined to later beginnings."""
    linked = linked.sort_values(["track", "frame"], kind="stable").reset_index(drop=True)
    tracks = [rows for _, rows in linked.groupby("track", sort=True)]
    ends = [_end(rows) for rows in tracks]
    cost = _costs(tracks, ends, reach_px, gap)
    if cost is None:
        return linked
    here, there = linear_sum_assignment(np.minimum(cost, 1e9))
    ids = [int(rows["track"].iloc[0]) for rows in tracks]
    pairs = [(a, b) for a, b in zip(here.tolist(), there.tolist(), strict=True) if b < len(tracks) and cost[a, b] < 1e9]
    name = {one: one for one in ids}
    for a, b in sorted(pairs, key=lambda pair: int(tracks[pair[1]]["frame"].iloc[0])):
        name[ids[b]] = name[ids[a]]
    return linked.assign(track=linked["track"].map(name))


def _end(rows: pd.DataFrame) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Last frame, last place and velocity of a track."""
    last = rows.tail(VELOCITY_FRAMES)
    places = last[["y", "x"]].to_numpy(float)
    velocity = (places[-1] - places[0]) / (len(places) - 1) if len(places) > 1 else np.zeros(2)
    return int(last["frame"].iloc[-1]), places[-1], velocity


def _costs(tracks: list[pd.DataFrame], ends: list[Any], reach_px: float, gap: int) -> NDArray[np.float64] | None:
    """``(T, 2 T)``: joining an end to a beginning, or leaving it (the second half); None where none can be."""
    count = len(tracks)
    first = np.array([rows["frame"].iloc[0] for rows in tracks])
    place = np.array([rows[["y", "x"]].iloc[0].to_numpy(float) for rows in tracks])
    cost = np.full((count, 2 * count), np.inf)
    for index, (frame, at, velocity) in enumerate(ends):
        step = first - frame
        open_ = np.flatnonzero((step >= 1) & (step <= gap + 1))
        expected = at + step[open_, None] * velocity
        off = np.minimum(((place[open_] - expected) ** 2).sum(axis=1), 4 * ((place[open_] - at) ** 2).sum(axis=1))
        ok = off <= reach_px**2 * step[open_]
        cost[index, open_[ok]] = off[ok] / step[open_][ok]
        cost[index, count + index] = 1.05 * reach_px**2
    return cost if np.isfinite(cost[:, :count]).any() else None


def _laptrack(rows: pd.DataFrame, reach_px: float, gap: int, *, divide: bool) -> pd.DataFrame:
    from laptrack import LapTrack  # deferred: brings scikit-learn

    most = reach_px**2
    how: dict[str, Any] = {"cutoff": most, "gap_closing_cutoff": most * (gap + 1), "gap_closing_max_frame_count": gap}
    if divide:
        how |= {"splitting_cutoff": most, "merging_cutoff": most}
    linked, splits, _ = LapTrack(**how).predict_dataframe(
        rows, coordinate_cols=["y", "x"], frame_col="frame", only_coordinate_cols=False
    )
    linked = linked.reset_index(drop=True).rename(columns={"track_id": "track", "frame_y": "frame"})
    if "frame" not in linked:
        linked["frame"] = rows["frame"].to_numpy()
    parents = dict(zip(splits["child_track_id"], splits["parent_track_id"], strict=True)) if len(splits) else {}
    found = linked[[*rows.columns, "track"]]
    return found.assign(parent=[int(parents.get(track, -1)) for track in found["track"]])


def _numbered(linked: pd.DataFrame) -> pd.DataFrame:
    """Tracks from 0 in the order of their first frame, then of their place."""
    first = linked.sort_values(["frame", "y", "x"], kind="stable").drop_duplicates("track")
    number = {track: index for index, track in enumerate(first["track"])}
    parent = linked["parent"].map(lambda one: number.get(one, -1))
    found = linked.assign(track=linked["track"].map(number).astype(np.int64), parent=parent.astype(np.int64))
    return found.sort_values(["track", "frame"], kind="stable").reset_index(drop=True)
