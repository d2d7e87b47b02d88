"""A disk that fills up in the middle of a run: a clear end, and the same bytes once there is room again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.running import CONFIG, contents

SIZE = "1m"
SCRIPT = r"""
set -eu
mount -t tmpfs -o size={size} tmpfs {disk}
set +e
{command}; echo "first $?"
ls {disk}/run.json {disk}/runs > /dev/null && echo "records there"
{python} -m wsipipe status {disk} --json > /dev/null; echo "status $?"
mount -o remount,size=200m {disk}
{command}; echo "second $?"
cp -r {disk}/. {copy}
"""


def allowed() -> bool:
    """Whether this machine lets us mount a tmpfs in a namespace of our own."""
    if shutil.which("unshare") is None:
        return False
    trial = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@pytest.mark.timeout(300)
def test_a_full_disk_ends_clearly_and_the_same_command_finishes(slide: Path, finished: Path, tmp_path: Path) -> None:
    if not allowed():
        pytest.skip("needs a tmpfs in a user and mount namespace (unshare -rm), which this machine does not allow")
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    copy.mkdir()
    words = [sys.executable, "-m", "wsipipe", "run", "gastric", slide, "--out", disk, "--config", CONFIG, "--untrained"]
    command = " ".join(f"'{word}'" for word in (*words, "--workers", "0"))
    script = SCRIPT.format(size=SIZE, disk=f"'{disk}'", copy=f"'{copy}'", command=command, python=f"'{sys.executable}'")
    said = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=True)
    ends = dict(
        line.rsplit(" ", 1) for line in said.stdout.splitlines() if line.startswith(("first", "second", "status"))
    )
    assert ends["first"] != "0", said.stdout
    assert "No space left on device" in said.stdout + said.stderr
    assert "Traceback" not in said.stderr, said.stderr[-2000:]
    assert "records there" in said.stdout
    assert ends["status"] == "0"
    assert ends["second"] == "0", said.stderr[-2000:]
    told = ("layers.jsonl",)
    assert {name: sha for name, sha in contents(copy).items() if not name.endswith(told)} == {
        name: sha for name, sha in contents(finished).items() if not name.endswith(told)
    }
