"""Tracks against exact truth, and beside trackpy's own linking.

Enters: made movies, detections of real frames. Leaves: a `Table`. Next room: `wsipipe.cli.evaluate_stitch`.
"""

from __future__ import annotations

import time
import warnings
from itertools import pairwise
from pathlib import Path

import pandas as pd

from wsipipe.evaluate.table import Table
from wsipipe.phantom.movie import Movie, detections, link_f1
from wsipipe.slide.frames import read_frames
from wsipipe.track.detect import spots
from wsipipe.track.link import link

REACH_PX = 6.0


def evaluate(*, movies: int = 3, how: Movie | None = None) -> Table:
    """Made movies: straight crossing paths, 5 % missed detections, gaps of 3."""
    how = how or Movie()
    table = Table(
        "Linking made movies: 5 % missed, crossings, gaps of 3", ("linker", "seed", "links F1", "tracks", "s")
    )
    for seed in range(movies):
        true = detections(how, seed)
        for method in ("trackpy", "laptrack"):
            started = time.perf_counter()
            linked = link(true, reach_px=REACH_PX, gap=how.gap, method=method)
            seconds = time.perf_counter() - started
            table.add(method, seed, link_f1(linked["object"], linked), int(linked["track"].nunique()), seconds)
    table.notes.append(f"{how.objects} objects, {how.frames} frames; tracks: {how.objects} are true")
    return table


def agreement(folder: Path) -> Table:
    """Share of trackpy's own links (memory of 3 frames) that ours holds too, on real colloids."""
    import trackpy

    movie = read_frames(folder)
    tables = [
        spots(frame[..., :3].mean(axis=2), sigma_px=3, dark=True).assign(frame=i) for i, frame in enumerate(movie)
    ]
    found = pd.concat(tables, ignore_index=True)
    ours = link(found.assign(row=range(len(found))), reach_px=REACH_PX)
    trackpy.quiet()
    with warnings.catch_warnings(action="ignore"):
        theirs = trackpy.link(
            found.assign(row=range(len(found))), REACH_PX, memory=3, pos_columns=["y", "x"], t_column="frame"
        ).rename(columns={"particle": "track"})
    a, b = _links(ours), _links(theirs)
    table = Table("Colloids in water: our links beside trackpy's", ("what", "figure"))
    table.add("detections", len(found))
    table.add("trackpy's links that are ours too, share", len(a & b) / max(1, len(b)))
    table.add("our links that are trackpy's too, share", len(a & b) / max(1, len(a)))
    return table


def _links(linked: pd.DataFrame) -> set[tuple[int, int]]:
    groups = (own["row"].tolist() for _, own in linked.sort_values("frame").groupby("track"))
    return {(a, b) for rows in groups for a, b in pairwise(rows)}
