"""`wsipipe watch`: slides are taken up as they come to rest, in one set of workers, until it is stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from tests.pipelines.running import CONFIG, Answer, contents, units_done, write_slide, wsipipe
from wsipipe.cli import follow
from wsipipe.query.results import open_results

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


def watch(folder: Path, out: Path, meanwhile: list[Callable[[], object]], *words: object) -> Answer:
    """``wsipipe watch`` in this process; whenever it would sleep, the next thing happens; then SIGTERM."""
    turns: Iterator[Callable[[], object]] = iter([*meanwhile, lambda: os.kill(os.getpid(), signal.SIGTERM)])
    fixed = ("--config", CONFIG, "--untrained", "--workers", 0, "--settle", 0.2, "--interval", 0.1)

    def turn(inbox: follow.Inbox) -> None:
        next(turns)()
        for _ in range(8):  # long enough for what has come to settle
            real(inbox)

    real = follow.Inbox.pause
    with mock.patch.object(follow.Inbox, "pause", turn):
        return wsipipe("watch", folder, "--out", out, *fixed, *words)


def nothing() -> None:
    """Time passes."""


def test_slides_that_come_are_taken_up_and_a_signal_stops_it(slide: Path, finished: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "in" / "results"
    folder.mkdir()
    data, pools = slide.read_bytes(), mock.Mock(side_effect=follow.enlist)
    copied = folder / "made.tif"
    things: list[Callable[[], object]] = [
        nothing,
        lambda: copied.write_bytes(data[: len(data) // 2]),  # stalls longer than it takes to settle
        nothing,
        lambda: copied.write_bytes(data),
        nothing,
        lambda: write_slide(folder / "second.tif", 700, seed=3),
        lambda: (folder / "copy.tif").write_bytes(data),
        nothing,
    ]
    before = signal.getsignal(signal.SIGTERM)
    with mock.patch.object(follow, "enlist", pools):
        answer = watch(folder, out, things)
    assert answer.code == 0, answer
    assert "stopped; the same command continues" in answer.err
    assert pools.call_count == 1
    assert signal.getsignal(signal.SIGTERM) == before
    rows = open_results(out).slides
    assert sorted(rows["status"]) == ["done", "done", "skipped"]
    told = [line for line in answer.err.splitlines() if "made.tif" in line and "failed" in line]
    assert len(told) == 1  # half of it did not open, told once
    mine = {name: digest for name, digest in contents(out).items() if name.startswith("made-")}
    assert mine == {name: digest for name, digest in contents(finished).items() if name.startswith("made-")}
    again = watch(folder, out, [nothing])
    assert again.code == 0
    assert units_done(out) == 0


def test_a_slide_that_never_opens_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.svs").write_bytes(b"")
    answer = watch(tmp_path / "in", tmp_path / "out", [nothing] * 4)
    assert answer.code == 3
    assert sum("bad.svs" in line for line in answer.err.splitlines()) == 1


def test_slides_that_come_while_others_run_join_them(slide: Path, tmp_path: Path) -> None:
    """They are handed to the running batch, which does not end in between."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write_slide(folder / "first.tif", 700, seed=4)
    batches = mock.Mock(side_effect=follow.Batch)
    real, seen = follow._Following.slide_started, []

    def coming(self: follow._Following, running: object) -> None:
        real(self, running)  # type: ignore[arg-type]
        if not seen:
            (folder / "second.tif").write_bytes(slide.read_bytes())
            self.inbox._settling.settle_s = 0.0
        seen.append(running)

    with mock.patch.object(follow, "Batch", batches), mock.patch.object(follow._Following, "slide_started", coming):
        assert watch(folder, out, [nothing, nothing]).code == 0
    assert batches.call_count == 1
    assert len(seen) == 2


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    answer = wsipipe("watch", tmp_path / "none", "--out", tmp_path / "out")
    assert (answer.code, answer.out) == (2, "")
    assert "no such directory" in answer.err
