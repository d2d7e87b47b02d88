"""A run on a dask cluster that is there already: a scheduler and two workers as processes of their own, on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import psutil
import pytest

from tests.pipelines import running
from tests.pipelines.running import contents, run, units_done, wsipipe
from wsipipe.run import cluster as cluster_of_run

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


class Cluster:
    """A scheduler and its workers, started as a cluster's operator starts them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.file = folder / "scheduler.json"
        self._begin(
            "dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", self.file
        )
        wait_until(self.file.is_file)

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    def worker(self, *words: object) -> subprocess.Popen[bytes]:
        fixed = ("--nthreads", 1, "--no-dashboard", "--memory-limit", 0, "--local-directory", self.folder)
        return self._begin("dask_worker", "--scheduler-file", self.file, *fixed, *words)

    def _begin(self, module: str, *words: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *map(str, words)]
        with (self.folder / "said.txt").open("ab") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        self._stack.callback(end, process)
        return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    for one in [process, *children]:
        one.kill()
    process.wait()
    psutil.wait_procs(children, timeout=20)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    folder.mkdir()
    with ExitStack() as stack:
        yield Cluster(folder, stack)


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 200
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def marks(out: Path) -> int:
    return len(list(out.glob("*.zarr/work/*/done/c/*")))


def test_one_of_two_workers_is_killed_and_the_bytes_are_those_of_a_local_run(
    slide: Path, finished: Path, tmp_path: Path
) -> None:
    out, killed = tmp_path / "out", []
    with cluster(tmp_path / "cluster") as there:
        workers = [there.worker("--no-nanny"), there.worker("--no-nanny")]

        def kill() -> None:
            wait_until(lambda: marks(out) >= 4)
            os.kill(workers[0].pid, signal.SIGKILL)
            killed.append(marks(out))

        killer = threading.Thread(target=kill)
        killer.start()
        answer = run(slide, out, "--scheduler", there.file)
        killer.join()
        assert answer.code == 0, answer.err
        assert killed[0] < marks_of(finished)
        assert "died; its" in answer.err
        assert contents(out) == contents(finished)
        assert workers[1].poll() is None  # the cluster is not ours: it goes on
        assert run(slide, out, "--scheduler", there.address).code == 0
        assert units_done(out) == 0


def marks_of(out: Path) -> int:
    """Units that the run had, all steps together; they are packed by now."""
    lines = [json.loads(line) for path in out.glob("runs/*/log.jsonl") for line in path.read_text().splitlines()]
    return sum(line["event"] == "unit_done" for line in lines)


@contextmanager
def listening() -> Iterator[str]:
    """Something that takes connections and says nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield f"tcp://127.0.0.1:{taken.getsockname()[1]}"


def test_a_wrong_address_is_told_soon(slide: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "damaged.json").write_text("{")
    with mock.patch.object(cluster_of_run, "REACH_S", 2.0), listening() as mute, socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets this port
        refused = f"tcp://127.0.0.1:{refusing.getsockname()[1]}"
        wrong = {
            mute: "does not answer",
            refused: "does not answer",
            "tcp://no-such-host.invalid:8786": "does not answer",
            "8786": "no such scheduler file",
            tmp_path / "empty.json": "holds no address",
            tmp_path / "damaged.json": "Expecting property name",
        }
        for scheduler, reason in wrong.items():
            since = time.monotonic()
            answer = run(slide, tmp_path / "out", "--scheduler", scheduler)
            assert answer.code == 1
            assert reason in answer.err
            assert f"{scheduler}: reaching the scheduler" in answer.err
            assert "Traceback" not in answer.err
            assert time.monotonic() - since < 15


def test_a_worker_that_does_not_see_the_results_is_not_used(slide: Path, tmp_path: Path) -> None:
    """A relative --out would be another folder there; so does the run end, and not wait for nobody."""
    with cluster(tmp_path / "cluster") as there:
        there.worker("--no-nanny", "--preload", "tests.pipelines.blind")
        answer = run(slide, tmp_path / "out", "--scheduler", there.address)
    assert answer.code == 1
    assert "it does not see the results directory: give an --out that all machines share" in answer.err
    assert wsipipe("status", tmp_path / "out").code in (0, 3)


SSH = """#!/bin/sh
# As ssh does, but to this machine: no server of ssh is needed for the test.
[ "$1" = -tt ] && shift
echo "$1" >> "$LAB/hosts"
exec sh -c "$2"
"""


def test_the_script_for_workstations(slide: Path, finished: Path, tmp_path: Path) -> None:
    """`configs/cluster/workstations.sh` with an ssh that stays here: two hosts, and nothing left running."""
    lab, tools = tmp_path / "lab", tmp_path / "tools"
    lab.mkdir()
    tools.mkdir()
    (lab / ".venv").symlink_to(sys.prefix)
    (tools / "ssh").write_text(SSH)
    (tools / "ssh").chmod(0o755)
    script = Path(__file__).parents[2] / "configs" / "cluster" / "workstations.sh"
    words = [script, "one:1 two:1", "gastric", slide, "--out", lab / "out", "--config", running.CONFIG, "--untrained"]
    environment = os.environ | {"LAB": str(lab), "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert sorted((lab / "hosts").read_text().split()) == ["one", "two"]
    assert contents(lab / "out") == contents(finished)
    assert list(lab.glob("scheduler-*.json")) == []
    wait_until(
        lambda: not [one for one in psutil.process_iter(["cmdline"]) if str(lab) in " ".join(one.info["cmdline"] or ())]
    )
