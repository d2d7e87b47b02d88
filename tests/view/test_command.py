"""`wsipipe view` as a command: what it prints, how it ends, what it says of a wrong path."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.pipelines.running import wsipipe
from tests.view.made import Served


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_serves_and_ends_cleanly(results: Path, made_id: str, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "wsipipe", "view", str(results), "--slide", "made", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        address = running.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        assert address.endswith(f"/slide/{made_id}/")
        with urlopen(address + "slide.json") as answer:
            assert json.loads(answer.read())["id"] == made_id
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "Ctrl-C" in err


def test_wrong_paths_are_one_line_and_exit_code_2(results: Path, tmp_path: Path) -> None:
    for words, text in (
        ([tmp_path / "none"], "no such directory"),
        ([results / "slides.parquet"], "a file, not a directory"),
        ([tmp_path], "no slides.parquet in it"),
        ([results, "--slide", "nobody"], "no such slide"),
        ([results, "--slide", "broken-1"], "it was failed"),
        ([results, "--slide", "linked-1"], "not in the results directory"),
        ([results, "--slides", tmp_path / "none"], "no such file or directory"),
        ([results, "--port", "70000"], "70000"),
    ):
        answer = wsipipe("view", *words, "--no-browser")
        assert (answer.code, answer.out) == (2, ""), words
        assert text in answer.err, words


def test_a_port_in_use(results: Path, viewer: Served) -> None:
    answer = wsipipe("view", results, "--port", viewer.gate.port, "--no-browser")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert f"port {viewer.gate.port} is not free (another program listens there)" in answer.err
