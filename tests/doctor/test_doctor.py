"""`wsipipe doctor`: what is well is said to be, what is not comes with its fix."""

from __future__ import annotations

import resource
import shutil
import socket
import subprocess
import sys
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.running import wsipipe
from wsipipe.doctor import FAIL, PASS, WARN, installed, machine, places, reading
from wsipipe.models import weights
from wsipipe.slide import codecs

pytestmark = pytest.mark.timeout(300)


def test_this_machine_and_its_json(tmp_path: Path) -> None:
    started = time.process_time()
    answer = wsipipe("doctor", "--out", tmp_path / "results", "--json")
    assert time.process_time() - started < 10
    told = {one["name"]: one for one in answer.json["findings"]}
    wanted = ["python", "libraries", "openslide", "gpu", "file handles", "start of workers", "disk space", "disk speed"]
    assert set(wanted) | {f"codec {name}" for name in codecs.CODECS} | {"temporary space", "memory"} <= told.keys()
    assert [told[name]["status"] for name in ("python", "openslide", "start of workers")] == [PASS] * 3
    assert all(told[f"codec {name}"]["status"] == PASS for name in codecs.CODECS)
    assert all(told[f"weights {path.stem}"]["status"] == PASS for path in weights.FOLDER.glob("*.safetensors"))
    assert all(bool(one["fix"]) == (one["status"] != PASS) for one in told.values())
    assert answer.json["fit"] == (answer.code == 0) == all(one["status"] != FAIL for one in told.values())
    assert list(tmp_path.iterdir()) == []


def test_it_imports_no_torch_and_no_tiatoolbox() -> None:
    code = "import sys; from wsipipe.doctor import examine; examine(); "
    code += "print([m for m in ('torch', 'tiatoolbox') if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", f"if __name__ == '__main__': {code}"], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"


def test_a_scheduler_that_is_not_there_fails_and_says_how_to_start_one() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        answer = wsipipe("doctor", "--scheduler", address)
    assert answer.code == 1
    line = next(line for line in answer.out.splitlines() if "scheduler" in line)
    assert line.startswith("FAIL")
    assert f"dask worker {address}" in line


def test_a_scheduler_without_and_with_workers() -> None:
    from distributed import LocalCluster

    options = {"processes": False, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(
        n_workers=0, protocol="tcp", scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}, **options
    ) as cluster:
        assert places.scheduler(cluster.scheduler_address).status == WARN
    with LocalCluster(
        n_workers=1, protocol="tcp", scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}, **options
    ) as cluster:
        found = places.scheduler(cluster.scheduler_address)
        assert (found.status, "1 workers" in found.said) == (PASS, True)


def test_libraries_out_of_bounds_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "zarr":
            return "2.18.0"
        if name == "psutil":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    wrong = {one.name: one for one in installed.libraries() if one.status == FAIL}
    assert set(wrong) == {"library zarr", "library psutil"}
    assert "2.18.0, needs" in wrong["library zarr"].said
    assert "requirements.lock" in wrong["library psutil"].fix


def test_weights_that_are_not_what_their_card_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in weights.FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    broken, *sound = sorted(tmp_path.glob("*.safetensors"))
    data = bytearray(broken.read_bytes())
    data[-1] ^= 1
    broken.write_bytes(data)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert sound
    assert [one.status for one in installed.weights()] == [FAIL, *[PASS] * len(sound)]


def test_a_codec_that_is_missing_or_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "CODECS", {"none": "jetraw", "LZW": "lzw"})
    found = reading.codecs()
    assert [one.status for one in found] == [FAIL, PASS]
    assert "imagecodecs" in found[0].fix
    real = codecs.tifffile.imread
    monkeypatch.setattr(codecs.tifffile, "imread", lambda source: 255 - real(source))
    assert "other pixels" in codecs.tried()["LZW"]


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "status"), [(5e8, FAIL), (5e9, WARN), (5e11, PASS)])
def test_disk_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1e12, 1e12 - free, free))
    assert places.results(str(tmp_path / "not" / "there"))[0].status == status


def test_a_disk_that_is_slow_or_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**options: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(places, "GOOD_SPEED", 1e15)
        assert places.results(str(tmp_path))[1].status == WARN
    monkeypatch.setattr(places.tempfile, "TemporaryFile", refused)
    assert places.results(str(tmp_path))[1].status == FAIL


@pytest.mark.parametrize(("limit", "status"), [(128, FAIL), (1024, WARN), (65536, PASS)])
def test_file_handles(monkeypatch: pytest.MonkeyPatch, limit: int, status: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, 2048))
    found = machine.handles()
    assert found.status == status
    assert ("ulimit -n 2048" in found.fix) == (status != PASS)


def test_object_storage_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = places.results("s3://bucket/prefix")
    assert [one.status for one in found] == [FAIL]
    assert "AWS_ENDPOINT_URL" in found[0].fix


def test_object_storage_that_answers() -> None:
    assert [one.status for one in places.results("memory://doctor")] == [PASS]
