"""The order in which a unit reaches the disk, by its system calls: a kill cannot show it, a power cut would."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CALLS = "openat,rename,renameat,renameat2,fsync,fdatasync,write,pwrite64,mkdir"
SCRIPT = """
import sys, numpy as np
from wsipipe.grid import Grid
from wsipipe.stage import Spec
from wsipipe.store import write
from wsipipe.store.layer import Layer

grid = Grid((64, 64), tile=16, unit=2)
layer = Layer(sys.argv[1], "step", "k", (Spec("rows", (5,)), Spec("mask", (None, None), "uint8", scale=4)), grid)
write.create(layer)
ids = grid.ids(3)
batch = {"rows": np.ones((len(ids), 5), np.float32), "mask": np.ones((len(ids), 4, 4), np.uint8)}
write.write_unit(layer, 3, ids, batch)
write.complete(layer)
"""


@dataclass(frozen=True)
class Call:
    """One system call: where in the order, its name, and the path that it is about (of a rename: where to)."""

    index: int
    name: str
    path: str


def traced(script: str, folder: Path) -> list[Call]:
    """Successful calls of a Python script on paths below `folder`, in the order in which they ended."""
    if not shutil.which("strace"):
        pytest.skip("needs strace, which is not installed")
    log = folder / "trace"
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", log]
    told = subprocess.run(
        [*map(str, command), sys.executable, "-c", script, str(folder / "s.zarr")], capture_output=True, text=True
    )
    if "ptrace" in told.stderr and not log.stat().st_size:
        pytest.skip(f"strace may not trace here: {told.stderr.strip()[:200]}")
    assert told.returncode == 0, told.stderr
    calls = (_call(index, line, str(folder / "s.zarr")) for index, line in enumerate(_whole(log)))
    return [call for call in calls if call]


def _whole(log: Path) -> list[str]:
    """Lines of the trace; a call that another thread interrupted is put together where it ended."""
    begun: dict[str, str] = {}
    lines = []
    for line in log.read_text(errors="replace").splitlines():
        thread, _, text = line.partition(" ")
        if text.rstrip().endswith("<unfinished ...>"):
            begun[thread] = text.strip().removesuffix("<unfinished ...>")
        elif found := re.match(r"\s*<\.\.\. \w+ resumed>(.*)", text):
            lines.append(begun.pop(thread, "") + found.group(1))
        else:
            lines.append(text.strip())
    return lines


def _call(index: int, line: str, below: str) -> Call | None:
    found = re.match(r"(\w+)\((.*)\)\s+= (?!-1)", line)
    if not found:
        return None
    name, arguments = found.groups()
    paths = [path for path in re.findall(r'[<"]([^<">]*)[>"]', arguments) if path.startswith(below)]
    if name == "openat" and "O_CREAT" not in arguments:
        return None
    return Call(index, name, str(Path(paths[-1]).relative_to(below))) if paths else None


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    return traced(SCRIPT, tmp_path_factory.mktemp("traced").resolve())


def appears(calls: list[Call], path: str) -> int:
    """When a file's final name is there."""
    made = [call.index for call in calls if call.path == path and call.name in ("openat", "rename", "renameat2")]
    assert len(made) == 1, (path, made)
    return made[0]


def synced(calls: list[Call], path: str, *, after: int) -> int:
    """When a file or folder is first synced after a moment."""
    found = [
        call.index for call in calls if call.path == path and call.name in ("fsync", "fdatasync") and call.index > after
    ]
    assert found, f"{path} is never synced after call {after}"
    return found[0]


def beside(path: str) -> str:
    """Where a file that is written in a folder ``*.partial`` will be moved to."""
    return re.sub(r"[^/]+\.partial/", "", path)


WORK = "work/step-k/"


@pytest.mark.parametrize("data", ["rows/c/3/0", "mask/c/1/1"])
def test_data_and_its_folders_are_synced_before_the_mark_appears(calls: list[Call], data: str) -> None:
    mark, there = appears(calls, f"{WORK}done/c/3"), appears(calls, WORK + data)
    writes = [call.index for call in calls if call.name in ("write", "pwrite64") and beside(call.path) == WORK + data]
    assert writes
    assert max(writes) < there < synced(calls, WORK + data, after=there) < mark
    for folder in Path(WORK + data).parents[: data.count("/")]:
        assert synced(calls, str(folder), after=there) < mark


def test_marks_and_their_folder_are_synced_before_complete_appears(calls: list[Call]) -> None:
    mark, complete = appears(calls, f"{WORK}done/c/3"), appears(calls, f"{WORK}complete/c/0")
    for path in ("done/c/3", "done/c", "done"):
        assert mark < synced(calls, WORK + path, after=mark) < complete
    for path in ("complete/c/0", "complete/c", "complete"):
        assert synced(calls, WORK + path, after=complete)


def test_a_layer_is_described_on_the_disk_before_it_takes_marks(calls: list[Call]) -> None:
    marks = appears(calls, f"{WORK}done/zarr.json")
    for name in ("rows", "mask", "complete"):
        there = appears(calls, f"{WORK}{name}/zarr.json")
        assert there < synced(calls, f"{WORK}{name}/zarr.json", after=there) < marks
    assert synced(calls, f"{WORK}done/zarr.json", after=marks) < appears(calls, f"{WORK}rows/c/3/0")


def test_the_check_sees_a_missing_sync(tmp_path: Path) -> None:
    """The same script with the syncing of data taken out is caught."""
    careless = SCRIPT.replace("write.create", "write._sync_chunk = lambda *args: None\nwrite.create", 1)
    with pytest.raises(AssertionError, match="never synced"):
        test_data_and_its_folders_are_synced_before_the_mark_appears(traced(careless, tmp_path.resolve()), "rows/c/3/0")
