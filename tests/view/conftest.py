"""One results directory and one viewer of it for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.view.made import Served, served, write_results
from wsipipe.query import open_results


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides in every state; read only."""
    return write_results(tmp_path_factory.mktemp("view"))


@pytest.fixture(scope="session")
def viewer(results: Path) -> Iterator[Served]:
    """A running viewer."""
    with served(results) as running:
        yield running


@pytest.fixture(scope="session")
def made_id(results: Path) -> str:
    """Id of the slide that is where it was."""
    return next(name for name in open_results(results).done if name.startswith("made-"))
