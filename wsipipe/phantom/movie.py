"""Made movies of moving spots, with missed detections, crossings and gaps, and the exact truth.

Enters: a seed. Leaves: detections or frames with their true tracks. Next rooms: `wsipipe.track` is tested with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Movie:
    """What is made.

    Parameters
    ----------
    objects, frames, side : int
        How many, how long, and pixels of a frame's side.
    speed_px, diffusion_px : float
        Mean step of the straight part, and standard deviation of the random part, per frame and axis.
    missed : float
        Share of detections that are missing.
    gaps, gap : int, int
        Objects that are not seen for `gap` frames in a row, once.
    error_px : float
        Standard deviation of a detection's place.
    """

    objects: int = 60
    frames: int = 40
    side: int = 512
    speed_px: float = 3.0
    diffusion_px: float = 0.4
    missed: float = 0.05
    gaps: int = 15
    gap: int = 3
    error_px: float = 0.2


def detections(how: Movie, seed: int = 0) -> pd.DataFrame:
    """``frame``, ``y``, ``x`` and the true ``object``; straight paths in all directions, so many of them cross."""
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi, how.objects)
    velocity = how.speed_px * rng.uniform(0.5, 1.5, how.objects)[:, None] * np.stack([np.sin(turn), np.cos(turn)], 1)
    start = rng.uniform(0.1, 0.9, (how.objects, 2)) * how.side
    steps = rng.normal(0, how.diffusion_px, (how.frames, how.objects, 2)) + velocity
    steps[0] = 0
    places = start + np.cumsum(steps, axis=0)
    seen = rng.random((how.frames, how.objects)) >= how.missed
    for index in rng.permutation(how.objects)[: how.gaps]:
        at = int(rng.integers(3, max(4, how.frames - how.gap - 3)))
        seen[at : at + how.gap, index] = False
    seen &= ((places >= 0) & (places < how.side)).all(axis=2)
    frame, thing = np.nonzero(seen)
    found = places[frame, thing] + rng.normal(0, how.error_px, (len(frame), 2))
    return pd.DataFrame({"frame": frame, "y": found[:, 0], "x": found[:, 1], "object": thing})


def drawn(
    table: pd.DataFrame, how: Movie, *, sigma_px: float = 1.8, noise: float = 4.0, seed: int = 0
) -> NDArray[np.uint8]:
    """``(frames, side, side)``: the detections as bright spots on noise."""
    rng = np.random.default_rng([seed, 1])
    axis = np.arange(how.side)
    movie = rng.normal(40, noise, (how.frames, how.side, how.side))
    for frame, y, x in table[["frame", "y", "x"]].itertuples(index=False):
        spot = [np.exp(-((axis - at) ** 2) / (2 * sigma_px**2)) for at in (y, x)]
        movie[int(frame)] += 120 * np.outer(spot[0], spot[1])
    return np.clip(np.rint(movie), 0, 255).astype(np.uint8)


def link_f1(true: pd.Series[int], linked: pd.DataFrame) -> float:
    """F1 of links: pairs of consecutive detections of one object against those of one track.

    Parameters
    ----------
    true : Series
        The object of each row of `linked`, by its index.
    """
    both = linked.assign(object=true)
    made = {(a, b) for _, own in both.sort_values("frame").groupby("track") for a, b in pairwise(own.index)}
    real = {(a, b) for _, own in both.sort_values("frame").groupby("object") for a, b in pairwise(own.index)}
    return 2 * len(made & real) / max(1, len(made) + len(real))
