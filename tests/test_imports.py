"""What importing costs: no room loads torch, dask or tiatoolbox, whatever module of it is imported."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torch_geometric", "dask", "distributed", "tiatoolbox", "monai")
FOLDERS = sorted(path.name for path in (ROOT / "wsipipe").iterdir() if (path / "__init__.py").is_file())
HAVE_TORCH = {"models", "train", "bench", "evaluate"}  # training, and what measures networks
HAVE_DASK = {"run", "query", "export", "report", "doctor", "pipelines", "cli"}  # the runner, and what stands above it
IMPORT_ALL = """
import importlib, pkgutil, sys
room = importlib.import_module("wsipipe.{room}")
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    importlib.import_module(module.name)
"""


def heavy_after(code: str) -> list[str]:
    """Names of heavy libraries that a fresh interpreter has loaded after running `code`."""
    report = f"\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", ["wsipipe", "wsipipe.stage", "wsipipe.config", "wsipipe.cli"])
def test_importing_a_name_loads_nothing_heavy(name: str) -> None:
    assert heavy_after(f"import {name}") == []


@pytest.mark.parametrize("room", [name for name in FOLDERS if name not in HAVE_TORCH | HAVE_DASK])
def test_every_module_of_a_room_loads_nothing_heavy(room: str) -> None:
    assert heavy_after(IMPORT_ALL.format(room=room)) == []


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name in HAVE_DASK - {"cli"}])
def test_the_runner_and_what_stands_above_it_load_no_torch(folder: str) -> None:
    assert set(heavy_after(IMPORT_ALL.format(room=folder))) <= {"dask", "distributed"}


def test_help_costs_less_than_a_second() -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "wsipipe", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert "run" in done.stdout
    assert min(seconds) < 1.0  # of processor, not of the clock: other tests and people may share the machine
