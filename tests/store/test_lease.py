"""A lease: one owner at a time, told from dead ones, never a bare lock file."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from upath import UPath

from wsipipe.errors import StoreError, UsageError
from wsipipe.store import lease as module
from wsipipe.store.layout import LEASE
from wsipipe.store.lease import LIVE, STALE, Lease, Owner, Watch, owner

HOLD = "import sys, time; from pathlib import Path; from wsipipe.store.lease import Lease; "
HOLD += "Lease(Path(sys.argv[1])).take(); print('held', flush=True); time.sleep(600)"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BEAT_S": 0.05, "DEAD_S": 0.2, "LOST_S": 0.6, "POLL_S": 0.02}.items():
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease of `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def put(results: Path, who: Owner) -> Owner:
    (results / LEASE).mkdir(exist_ok=True)
    (results / LEASE / f"{who.number}.json").write_text(json.dumps(asdict(who)))
    return who


def elsewhere(**more: Any) -> Owner:
    now = time.time()
    return Owner("a" * 32, "far", "m", 7, 1.0, now, now, number=4, **more)


def test_taken_told_and_given_back(tmp_path: Path) -> None:
    assert owner(tmp_path) is None
    with Lease(tmp_path).take() as mine:
        who = owner(tmp_path)
        assert who == mine.me
        assert (who.number, who.released, who.pid) == (1, False, os.getpid())
        assert who.process == pytest.approx(psutil.Process().create_time())
    after = owner(tmp_path)
    assert after is not None
    assert after.released
    with Lease(tmp_path).take() as second:
        assert second.me.number == 2
    for _ in range(3):
        Lease(tmp_path).take().release()
    assert sorted(path.name for path in (tmp_path / LEASE).iterdir()) == ["4.json", "5.json"]


def test_no_names_where_none_are_wanted(tmp_path: Path) -> None:
    import platform

    with Lease(tmp_path, deidentify=True).take():
        text = (tmp_path / LEASE / "1.json").read_text()
        assert platform.node() not in text
        who = owner(tmp_path)
        assert who is not None
        assert "on this machine" in who.told()


def test_a_live_owner_is_waited_for_or_named(tmp_path: Path, other: subprocess.Popen[str], quick: None) -> None:
    with pytest.raises(UsageError, match=rf"another run is at work .*process {other.pid}.*since .*--no-wait"):
        Lease(tmp_path).take(wait=False)
    lines: list[str] = []
    taken = threading.Event()

    def wait() -> None:
        Lease(tmp_path).take(tell=lines.append).release()
        taken.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert not taken.wait(0.5)
    assert len(lines) == 1
    assert lines[0].startswith("waiting for run ")
    other.send_signal(signal.SIGKILL)  # not collected yet: a zombie is no owner either
    assert taken.wait(10)
    thread.join()
    last = owner(tmp_path)
    assert last is not None
    assert (last.number, last.released) == (2, True)


def test_a_paused_owner_on_this_machine_keeps_it(tmp_path: Path, other: subprocess.Popen[str], quick: None) -> None:
    other.send_signal(signal.SIGSTOP)
    who = owner(tmp_path)
    assert who is not None
    put(tmp_path, replace(who, seen=time.time() - 3600))
    watch, until = Watch(), time.monotonic() + 1
    while time.monotonic() < until:
        found = owner(tmp_path)
        assert found is not None
        assert watch.state(found) == LIVE
        time.sleep(0.05)


def test_another_process_of_the_same_number_is_another(tmp_path: Path, quick: None) -> None:
    mine = Lease(tmp_path).me
    put(tmp_path, replace(mine, number=3, process=mine.process - 500, seen=time.time() - 10))
    with Lease(tmp_path).take(wait=False) as taken:
        assert taken.me.number == 4


def test_clocks_of_two_machines_are_not_compared(quick: None) -> None:
    """An owner far in the past or the future is live while it beats, and stale once it has not for long."""
    for skew in (-86400, 86400):
        watch, beat = Watch(), replace(elsewhere(), seen=time.time() + skew)
        for number in range(4):
            assert watch.state(replace(beat, beat=number)) == LIVE
            time.sleep(0.25)
        time.sleep(0.5)
        assert watch.state(replace(beat, beat=3)) == STALE


def test_an_owner_elsewhere_that_went_silent_is_followed(tmp_path: Path, quick: None) -> None:
    put(tmp_path, elsewhere())
    started = time.monotonic()
    with pytest.raises(UsageError, match="on host far"):
        Lease(tmp_path).take(wait=False)
    assert time.monotonic() - started < 0.3
    Lease(tmp_path).take(tell=lambda line: None).release()
    assert time.monotonic() - started >= 0.6


def test_an_unreadable_lease_is_followed_once_it_stays_so(tmp_path: Path, quick: None) -> None:
    (tmp_path / LEASE).mkdir()
    (tmp_path / LEASE / "9.json").write_bytes(b"{")
    Lease(tmp_path).take(tell=lambda line: None).release()
    last = owner(tmp_path)
    assert last is not None
    assert last.number == 10


def test_one_that_was_followed_is_told(tmp_path: Path, quick: None) -> None:
    mine = Lease(tmp_path).take()
    mine.check()
    put(tmp_path, replace(elsewhere(), number=2))
    time.sleep(0.5)
    with pytest.raises(StoreError, match="taken this results directory over"):
        mine.check()
    mine.release()
    assert not json.loads((tmp_path / LEASE / "1.json").read_text())["released"]


def test_it_beats(tmp_path: Path, quick: None) -> None:
    beats: list[float] = []
    with Lease(tmp_path, each_beat=lambda: beats.append(time.time())).take() as mine:
        time.sleep(0.6)
        assert mine.me.beat >= 3
        assert mine.me.seen > mine.me.started
    assert len(beats) >= 3


def _follow(folder: str, gate: Any, answers: Any) -> None:
    module.DEAD_S = 0.0
    gate.wait()
    try:
        number = Lease(Path(folder)).take(wait=False).me.number
    except UsageError:
        number = 0
    answers.put(number)
    gate.wait()  # the winner lives until all have looked


def test_of_many_that_find_a_dead_owner_one_follows(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    put(tmp_path, replace(Lease(tmp_path).me, number=6, pid=2**22 + 1, seen=0.0))
    gate, answers = spawn.Barrier(4), spawn.Queue()
    many = [spawn.Process(target=_follow, args=(str(tmp_path), gate, answers)) for _ in range(4)]
    for one in many:
        one.start()
    assert sorted(answers.get(timeout=60) for _ in many) == [0, 0, 0, 7]
    for one in many:
        one.join()


def test_a_number_that_was_passed_by_meanwhile_is_given_up(tmp_path: Path) -> None:
    """Looked when 1 was the highest; 2 was taken, given back and swept, 3 is the owner."""
    before = replace(elsewhere(), number=1)
    put(tmp_path, replace(elsewhere(), number=3))
    assert not Lease(tmp_path)._claim(before)
    assert sorted(path.name for path in (tmp_path / LEASE).iterdir()) == ["3.json"]


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    with Lease(tmp_path).take():
        assert not module._create(tmp_path / LEASE / "1.json", b"x")
        assert [path.name for path in (tmp_path / LEASE).iterdir()] == ["1.json"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="give an --out that can be written"):
        Lease(tmp_path / "file").take()


def test_created_by_a_conditional_put(tmp_path: Path) -> None:
    place = UPath("memory://lease-test/1.json")
    assert module._create(place, b"one")
    assert not module._create(place, b"two")
    assert place.read_bytes() == b"one"
