"""What importing costs: no room loads torch, dask or tiatoolbox, whatever module of it is imported."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torch_geometric", "dask", "distributed", "tiatoolbox", "monai")
LIGHT = (
    "grid", "slide", "store", "tissue", "stain", "deblur", "lesion", "graph", "phantom", "query", "export", "report",
    "pipelines",
)  # fmt: skip
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


@pytest.mark.parametrize("room", LIGHT)
def test_every_module_of_a_room_loads_nothing_heavy(room: str) -> None:
    assert heavy_after(IMPORT_ALL.format(room=room)) == []


def test_the_runner_loads_no_torch() -> None:
    assert set(heavy_after(IMPORT_ALL.format(room="run"))) <= {"dask", "distributed"}


def test_help_answers_within_a_second() -> None:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "wsipipe", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        times.append(time.perf_counter() - started)
    assert "run" in done.stdout
    assert min(times) < 1.5  # a second on an idle machine; the suite may share this one
