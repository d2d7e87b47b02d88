"""Grouping changes nothing: workers, threads, units, an interruption (bar 3). And nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

import wsipipe
from tests.pipelines.running import CONFIG, contents, run, units_done
from wsipipe.query.results import SlideResult
from wsipipe.run import work
from wsipipe.store import write

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


@pytest.mark.parametrize("words", [("--threads", 2), ("--workers", 1), ("--workers", 2)], ids=str)
def test_workers_and_threads_leave_the_same_bytes(
    slide: Path, finished: Path, tmp_path: Path, words: tuple[object, ...]
) -> None:
    assert run(slide, tmp_path, *words).code == 0
    assert contents(tmp_path) == contents(finished)


def test_a_second_run_computes_nothing_and_leaves_the_bytes(slide: Path, tmp_path: Path) -> None:
    assert run(slide, tmp_path).code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if "zarr" in str(path)}
    assert units_done(tmp_path) > 0
    with (
        mock.patch.object(work.write, "write_unit", side_effect=AssertionError),
        mock.patch.object(work.write, "write_slide", side_effect=AssertionError),
    ):
        assert run(slide, tmp_path).code == 0
    assert units_done(tmp_path) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if "zarr" in str(path)} == before


def test_other_settings_are_kept_apart(slide: Path, finished: Path, tmp_path: Path) -> None:
    assert run(slide, tmp_path).code == 0
    assert run(slide, tmp_path, "--set", "stain.method=ruifrok").code == 0
    assert units_done(tmp_path) > 0
    other = contents(tmp_path)
    assert run(slide, tmp_path).code == 0
    assert units_done(tmp_path) == 0
    again, wanted = contents(tmp_path), contents(finished)
    assert again != other
    assert {name: again[name] for name in wanted} == wanted
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_task_that_fails_is_done_by_the_next_run(slide: Path, finished: Path, tmp_path: Path) -> None:
    calls = iter(range(10**6))
    real = write.write_unit

    def failing(*args: object) -> int:
        if next(calls) == 20:
            raise MemoryError("made for a test")
        return real(*args)  # type: ignore[arg-type]

    with mock.patch.object(work.write, "write_unit", failing):
        answer = run(slide, tmp_path, "--retries", "0")
    assert answer.code == 3
    assert "MemoryError: made for a test" in answer.err
    assert run(slide, tmp_path).code == 0
    assert 0 < units_done(tmp_path) < all_units(finished)
    assert contents(tmp_path) == contents(finished)


def test_interrupted_killed_and_run_again(slide: Path, finished: Path, tmp_path: Path) -> None:
    interrupted = _stopped(slide, tmp_path, signal.SIGINT, marks=3, workers=1)
    assert interrupted.returncode == 130, interrupted.stderr
    assert "the same command continues" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    assert _stopped(slide, tmp_path, signal.SIGKILL, marks=20, workers=0).returncode == -signal.SIGKILL
    assert run(slide, tmp_path).code == 0
    assert 0 < units_done(tmp_path) < all_units(finished)
    assert contents(tmp_path) == contents(finished)


def all_units(out: Path) -> int:
    """Tiles that an uninterrupted run computes: every cell for tissue, every kept tile for the network."""
    slide = next(iter(wsipipe.open_results(out)))
    height, width = slide.record["frame"]["shape"]
    return -(-height // 128) * -(-width // 128) + len(slide.tiles)


def _stopped(
    slide: Path, out: Path, how: signal.Signals, *, marks: int, workers: int
) -> subprocess.CompletedProcess[str]:
    """A run in processes of its own that is sent a signal once so many units are marked."""
    command = [
        sys.executable,
        "-m",
        "wsipipe",
        "run",
        "gastric",
        slide,
        "--out",
        out,
        "--config",
        CONFIG,
        "--untrained",
    ]
    process = subprocess.Popen(
        [*map(str, command), "--workers", str(workers)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell hands on "ignored"
    )
    until = time.monotonic() + 200
    while len(list(out.glob("*.zarr/work/*/done/c/*"))) < marks and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    if how == signal.SIGKILL:
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    _, err = process.communicate(timeout=200)
    return subprocess.CompletedProcess(command, process.returncode, "", err)


def test_other_units_publish_the_same(slide: Path, finished: Path, tmp_path: Path) -> None:
    assert run(slide, tmp_path, "--set", "tile.unit=5").code == 0
    one, other = (next(iter(wsipipe.open_results(path))) for path in (finished, tmp_path))
    pd.testing.assert_frame_equal(_by_place(one), _by_place(other))
    np.testing.assert_array_equal(one.probability(0)[...], other.probability(0)[...])
    np.testing.assert_array_equal(one.mask("lesion", 0)[...], other.mask("lesion", 0)[...])
    np.testing.assert_array_equal(one.mask("tissue")[...], other.mask("tissue")[...])
    np.testing.assert_array_equal(_features(one), _features(other))
    assert _edges(one) == _edges(other)
    for shapes in ("regions", "tissues"):
        pd.testing.assert_frame_equal(getattr(one, shapes), getattr(other, shapes))
    for name in ("stain", "gate", "constant_tiles", "tiles", "frame"):
        assert one.record[name] == other.record[name]


def _by_place(slide: SlideResult) -> pd.DataFrame:
    table = slide.tiles
    table = table.drop(columns=[name for name in ("tile_id", "instance_id") if name in table])
    return table.sort_values(["y", "x"], ignore_index=True)


def _features(slide: SlideResult) -> np.ndarray:
    return np.asarray(slide.features[...])[np.lexsort((slide.tiles["x"], slide.tiles["y"]))]


def _edges(slide: SlideResult) -> set[tuple[frozenset[tuple[float, float]], float]]:
    place = {row.tile_id: (row.y, row.x) for row in slide.tiles.itertuples()}
    return {(frozenset({place[e.source], place[e.target]}), e.correlation) for e in slide.graph.itertuples()}
