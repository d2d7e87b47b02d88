"""Detecting, linking and measuring objects in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from wsipipe.cli.app import app
from wsipipe.phantom.movie import Movie, detections, drawn, link_f1
from wsipipe.track.detect import labelled, spots
from wsipipe.track.link import link
from wsipipe.track.trajectory import trajectories

SMALL = Movie(objects=20, frames=25, side=256, gaps=5)


@pytest.mark.parametrize(("method", "least"), [("trackpy", 0.98), ("laptrack", 0.97)])
def test_links_of_a_made_movie(method: str, least: float) -> None:
    linked = link(detections(SMALL, 1), reach_px=6, method=method)  # type: ignore[arg-type]
    assert link_f1(linked["object"], linked) >= least


def test_a_gap_is_closed_and_a_longer_one_is_not() -> None:
    frames = [0, 1, 2, 3, 7, 8, 9]
    table = pd.DataFrame({"frame": frames, "y": [10.0] * 7, "x": [3.0 * f for f in frames]})
    assert link(table, reach_px=4, gap=3)["track"].nunique() == 1
    assert link(table, reach_px=4, gap=2)["track"].nunique() == 2
    assert len(link(table.iloc[:0], reach_px=4)) == 0


def test_spots_are_found_to_a_part_of_a_pixel() -> None:
    how = Movie(objects=6, frames=2, side=128, missed=0, gaps=0, error_px=0)
    true = detections(how, 4)
    found = spots(drawn(true, how)[0], sigma_px=1.8)
    near = [
        np.hypot(found["y"] - y, found["x"] - x).min()
        for _, y, x, _ in true[true["frame"] == 0].itertuples(index=False)
    ]
    assert len(found) == len(near)
    assert max(near) < 0.3


def test_labels_give_middles() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[2:5, 4:9] = 3
    assert labelled(labels)[["y", "x", "mass", "label"]].to_numpy().tolist() == [[3.0, 6.0, 15.0, 3.0]]


def test_measures_of_a_straight_track_have_their_units() -> None:
    table = pd.DataFrame({"track": 0, "frame": range(10), "y": 0.0, "x": np.arange(10) * 4.0})
    told = trajectories(table, mpp=0.5, seconds=2.0).iloc[0]
    assert told["speed_um_s"] == pytest.approx(1.0)
    assert told["displacement_um"] == pytest.approx(18.0)
    assert told["straightness"] == pytest.approx(1.0)
    assert told["msd_um2"] == pytest.approx(4.0)
    assert told["alpha"] == pytest.approx(2.0)
    assert told["activity_um_s"] == pytest.approx(1.0)
    assert trajectories(table.assign(x=0.0), mpp=0.5, seconds=2.0).iloc[0]["activity_um_s"] == 0


def test_the_verb_leaves_tables_and_pictures(tmp_path: Path) -> None:
    np.save(tmp_path / "movie.npy", drawn(detections(SMALL, 3), SMALL))
    out = tmp_path / "t.parquet"
    how = ["--mpp", "0.5", "--seconds", "1", "--sigma", "1.8"]
    done = CliRunner().invoke(app, ["track", str(tmp_path / "movie.npy"), "--out", str(out), *how])
    assert done.exit_code == 0, done.output
    assert {"track", "frame", "y_um", "x_um", "seconds"} <= set(pd.read_parquet(out).columns)
    assert all(out.with_suffix(end).stat().st_size for end in (".trajectories.csv", ".png", ".gif"))
