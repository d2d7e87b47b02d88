"""A results directory made by a short run on a made slide, for questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines import running


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one run; a query adds a catalogue to a copy of it only."""
    return running.finished(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made slide that `finished` is of."""
    return running.made_slide(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def asked(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `finished` that may get a catalogue."""
    import shutil

    copy = tmp_path_factory.mktemp("asked") / "results"
    shutil.copytree(finished, copy)
    return copy
