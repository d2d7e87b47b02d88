"""Stopping a run from outside: it ends in time, leaves no process behind, and the same command finishes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.pipelines.running import CONFIG, contents, run

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


class Started:
    """``wsipipe run gastric`` with two workers in processes of its own, once it has marked more units than before."""

    def __init__(self, slide: Path, out: Path) -> None:
        self.out = out
        fixed = ("--config", CONFIG, "--untrained", "--workers", 2, "--json")
        words = [sys.executable, "-m", "wsipipe", "run", "gastric", slide, "--out", out, *fixed]
        before = self._marks()
        self.process = subprocess.Popen(
            [*map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell hands on "ignored"
        )
        wait_until(lambda: self._marks() > before or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(self.family) >= 2

    def _marks(self) -> int:
        return len(list(self.out.glob("*.zarr/work/*/done/c/*")))

    def ends(self) -> tuple[int, float, str]:
        """Exit code, seconds that it took from now, stderr; no process of the run is left a little later."""
        since = time.monotonic()
        _, err = self.process.communicate(timeout=120)
        seconds = time.monotonic() - since
        _, alive = psutil.wait_procs(self.family, timeout=20)
        assert alive == []
        return self.process.returncode, seconds, err

    @property
    def status(self) -> str:
        return str(json.loads((self.out / "run.json").read_text())["status"])


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 200
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_stopped_in_every_way_and_run_again(slide: Path, finished: Path, tmp_path: Path) -> None:
    terminated = Started(slide, tmp_path)
    terminated.process.send_signal(signal.SIGTERM)
    code, seconds, err = terminated.ends()
    assert (code, terminated.status) == (143, "interrupted"), err
    assert seconds < 40  # 10 on a machine that has nothing else to do
    assert "the same command continues" in err
    assert "Traceback" not in err

    twice = Started(slide, tmp_path)
    twice.process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    twice.process.send_signal(signal.SIGINT)
    code, seconds, err = twice.ends()
    assert (code, twice.status) == (130, "interrupted"), err
    assert seconds < 40  # 10 on a machine that has nothing else to do
    assert "Traceback" not in err

    killed = Started(slide, tmp_path)
    os.kill(killed.process.pid, signal.SIGKILL)  # the runner alone: its workers must see it themselves
    assert killed.ends()[0] == -signal.SIGKILL

    assert run(slide, tmp_path).code == 0
    assert contents(tmp_path) == contents(finished)
