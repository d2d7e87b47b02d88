"""The `wsipipe` command in this process, and what it leaves as bytes. Shared by tests/pipelines and tests/cli."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from wsipipe.cli.app import main

CONFIG = Path(__file__).parents[2] / "configs" / "gastric.tiny.yaml"
TOLD = {"run.json", "slides.parquet", "log.jsonl", "metrics.prom", "lease", "report.html"}
"""Files and folders with times in them."""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be one JSON value and nothing else."""
        return json.loads(self.out)


def wsipipe(*words: object) -> Answer:
    """Run ``wsipipe WORDS...``; a traceback is an error of the test."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["wsipipe", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def run(slides: object, out: Path | str, *words: object, workers: int = 0) -> Answer:
    """``wsipipe run gastric`` with the tiny configuration, in this process unless workers are asked for."""
    given = slides if isinstance(slides, list) else [slides]
    fixed = ("--config", CONFIG, "--untrained", "--workers", workers)
    return wsipipe("run", "gastric", *given, "--out", out, *fixed, *words)


def contents(root: Path) -> dict[str, str]:
    """sha256 of every file below, without the files that tell times."""
    files = (path for path in root.rglob("*") if path.is_file() and not TOLD.intersection(path.relative_to(root).parts))
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def units_done(out: Path) -> int:
    """Tiles that the last run computed."""
    return int(sum(json.loads((out / "run.json").read_text())["tiles_per_step"].values()))


def phantom_picture(side: int, seed: int = 0) -> Iterator[Any]:
    """Strips of glass with stained, textured tissue in the middle: noise that JPEG keeps."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    inside = (y**2 + x**2 < 0.2)[..., None]
    cells = np.kron(rng.random((-(-side // 8),) * 2), np.ones((8, 8)))[:side, :side, None]
    stain = np.where(cells > 0.6, np.array([110, 70, 150]), np.array([225, 150, 190]))
    picture = np.where(inside, stain + rng.normal(0, 12, (side, side, 3)), 243)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    for row in range(0, side, 512):
        yield picture[row : row + 512]


def write_slide(path: Path, side: int, *, seed: int = 0, mpp: float = 0.5) -> Path:
    """A pyramidal tiled JPEG TIFF."""
    from wsipipe.phantom.pyramid_file import write_pyramid

    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, phantom_picture(side, seed), (side, side), mpp, quality=85)
    return path


@cache
def made_slide(folder: Path) -> Path:
    """One slide of 1,000 px for the whole session: not a multiple of the tile or of the unit."""
    return write_slide(folder / "made" / "slides" / "made.tif", 1000)


@cache
def finished(folder: Path) -> Path:
    """Results of one uninterrupted run on the made slide; tests leave them as they are."""
    out = folder / "made" / "results"
    answer = run(made_slide(folder), out)
    assert answer.code == 0, answer
    return out
