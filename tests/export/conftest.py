"""Results to export: made by hand, and of a real slide where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wsipipe
from tests.export import made
from tests.pipelines import running
from wsipipe.export import Options, export
from wsipipe.query import Results

SETS = ("--set", "tile.size=256", "--set", "tile.unit=8", "--set", "topk.k=5", "--mpp-policy", "assume:0.5")
Written = Callable[..., list[Path]]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return made.make(tmp_path_factory.mktemp("export-results"))


@pytest.fixture(scope="session")
def results(folder: Path) -> Results:
    """The made results, opened."""
    return wsipipe.open_results(folder)


@pytest.fixture
def written(results: Results, tmp_path: Path) -> Iterator[Written]:
    """``written("qupath", "alpha", gzip=True)``: the files that an export of one slide (or all) wrote."""

    def write(to: str, *slides: str, **options: object) -> list[Path]:
        return export(results, to, tmp_path / to, slides=slides, options=Options(**options), overwrite=True)  # type: ignore[arg-type]

    return write


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of the pipeline: of a real SVS where the pictures are there, else of a made slide."""
    from tests.conftest import SHARED

    slide = SHARED / "slides" / "cmu-1-small-region.svs"
    if not slide.is_file():
        return wsipipe.open_results(running.finished(tmp_path_factory.getbasetemp()))
    out = tmp_path_factory.mktemp("export-real") / "results"
    answer = running.run(slide, out, *SETS)
    assert answer.code == 0, answer
    return wsipipe.open_results(out)
