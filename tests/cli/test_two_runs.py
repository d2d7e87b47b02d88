"""Two runs on one results directory (bar 6): one waits, both end well, and neither hangs when the other is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipelines.running import CONFIG, contents, run
from wsipipe.query.results import open_results
from wsipipe.store.lease import owner

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


def begin(slide: Path, out: Path, *words: object) -> subprocess.Popen[str]:
    """``wsipipe run gastric`` in a process group of its own."""
    command = ["run", "gastric", slide, "--out", out, "--config", CONFIG, "--untrained", "--workers", 0, *words]
    return subprocess.Popen(
        [sys.executable, "-m", "wsipipe", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until_marked(out: Path, marks: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 200
    while len(list(out.glob("*.zarr/work/*/done/c/*"))) < marks:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_one_works_the_others_wait_and_none_hangs_when_it_is_killed(
    slide: Path, finished: Path, tmp_path: Path
) -> None:
    first = begin(slide, tmp_path)
    until_marked(tmp_path, 3, first)
    refused = run(slide, tmp_path, "--no-wait")
    assert (refused.code, refused.out) == (2, "")
    assert "another run is at work" in refused.err
    both = [begin(slide, tmp_path) for _ in range(2)]
    for process in both:
        assert process.stderr is not None
        assert re.search(r"waiting for run \w{8} on host .* since 20", process.stderr.readline())
    os.killpg(first.pid, signal.SIGKILL)  # left uncollected: a zombie
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("waiting for run" in err for _, err in told) == 1  # now for one another
    first.communicate()
    assert contents(tmp_path) == contents(finished)
    assert len(open_results(tmp_path).slides) == 1
    last = owner(tmp_path)
    assert last is not None
    assert (last.number, last.released) == (3, True)
