"""Twenty slides, ten of them wrong, each in its own way: the good ones are done, each bad one is named (bar 2)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.pipelines.running import CONFIG, write_slide, wsipipe
from wsipipe.store import published

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise

GOOD = 9
ODD_NAME = "two words \N{MICROSCOPE}\nand a line.tif"
BAD = {
    "zero.svs": ("SlideOpenError", "the file is empty (0 bytes), copy it again"),
    "truncated.tif": ("SlideOpenError", "copy"),
    "magic.tif": ("SlideOpenError", "no reader takes it"),
    "no-mpp.tif": ("MppError", "stores no mpp"),
    "huge-mpp.tif": ("MppError", "--mpp-policy assume:0.5"),
    "locked.tif": ("SlideOpenError", "permission denied, change the file's rights"),
    "circle.tif": ("SlideOpenError", "Too many levels of symbolic links"),
    "aborts.tif": ("WorkerLostError", "quarantined"),
}
"""What is said of each: the error, and words of cause or cure."""
POWERLESS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
"""Root without the right to read what its permissions forbid."""


@dataclass(frozen=True)
class Told:
    """What the command left and said."""

    out: Path
    code: int
    err: str
    rows: dict[str, dict[str, object]]


def corrupt(path: Path) -> None:
    """Spoil the native tile in the middle of level 0."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        middle = len(page.dataoffsets) // 2
        offset, length = page.dataoffsets[middle], page.databytecounts[middle]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x5a" * length)


def glass(path: Path, resolution: tuple[float, float] | None) -> None:
    """A slide without tissue; `resolution` in pixels per centimetre."""
    white = np.full((400, 400, 3), 243 - len(path.name) % 9, np.uint8)
    told = {"resolution": resolution, "resolutionunit": 3} if resolution else {}
    tifffile.imwrite(path, white, tile=(256, 256), photometric="rgb", **told)


def make(folder: Path) -> None:
    """The twenty."""
    for index in range(GOOD):
        write_slide(folder / f"good-{index}.tif", 300, seed=index)
    whole = write_slide(folder / ODD_NAME, 300, seed=20).read_bytes()
    (folder / "zero.svs").write_bytes(b"")
    (folder / "truncated.tif").write_bytes(whole[: len(whole) // 3])
    (folder / "magic.tif").write_bytes(b"PK\x03\x04" + whole[4:])
    corrupt(write_slide(folder / "corrupt.tif", 600, seed=21))
    glass(folder / "glass.tif", (2e4, 2e4))
    glass(folder / "no-mpp.tif", None)
    glass(folder / "huge-mpp.tif", (1, 1))
    write_slide(folder / "locked.tif", 300, seed=22).chmod(0)
    (folder / "circle.tif").symlink_to("circle.tif")
    (folder / "again").symlink_to(".", target_is_directory=True)
    write_slide(folder / "aborts.tif", 300, seed=23)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The batch, run once by two workers whose reader of one slide ends the process."""
    folder = tmp_path_factory.mktemp("twenty")
    make(folder)
    out = folder.parent / f"{folder.name}-results"
    command = [sys.executable, "-m", "wsipipe", "run", "gastric", folder, "--out", out, "--config", CONFIG]
    command += ["--untrained", "--workers", "2", "--json"]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads every file, and there is no setpriv (util-linux) to take that right away")
        command = POWERLESS + command
    environment = os.environ | {"DASK_DISTRIBUTED__WORKER__PRELOAD": '["tests.pipelines.aborting"]'}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout, done.stderr
    rows = {Path(row["path"]).name: row for row in json.loads(done.stdout)["slides"]}
    return Told(out, done.returncode, done.stderr, rows)


def test_all_are_told_of(told: Told) -> None:
    assert len(told.rows) == GOOD + 3 + len(BAD) == 20
    assert told.code == 3
    assert told.err == ""


@pytest.mark.parametrize("name", [*(f"good-{index}.tif" for index in range(GOOD)), ODD_NAME])
def test_a_good_one_is_done(told: Told, name: str) -> None:
    row = told.rows[name]
    assert (row["status"], row["reason"]) == ("done", "untrained"), row  # the tiny network has random weights
    assert int(str(row["tiles"])) > 0


def test_a_tile_that_cannot_be_decoded_is_white_and_recorded(told: Told) -> None:
    row = told.rows["corrupt.tif"]
    assert (row["status"], row["category"]) == ("done", None)
    assert str(row["reason"]).startswith("damaged: ")
    record = published.marked(told.out / f"{row['id']}.zarr")["record"]
    assert record["damaged"]["tiles"] >= 1
    assert 0.05 < record["damaged"]["share"] < 0.5
    assert "partly white" in record["notices"][-1]


def test_glass_is_done_and_says_that_there_is_no_tissue(told: Told) -> None:
    row = told.rows["glass.tif"]
    assert (row["status"], row["tiles"]) == ("done", 0)
    assert str(row["reason"]).startswith("no tissue")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_is_named_with_cause_and_cure(told: Told, name: str) -> None:
    error, said = BAD[name]
    row = told.rows[name]
    assert (row["status"], row["error"]) == ("failed", error), row
    assert said in str(row["reason"]), row
    assert "\n" not in str(row["reason"])


def test_status_says_the_same(told: Told) -> None:
    answer = wsipipe("status", told.out, "--json")
    assert answer.code == 0
    assert answer.json["counts"] == {"done": GOOD + 3, "failed": len(BAD)}
