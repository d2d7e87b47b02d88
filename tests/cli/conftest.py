"""The made slide and its finished results, shared with tests/pipelines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines import running


@pytest.fixture(scope="session")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyramidal JPEG TIFF of made tissue, 1,000 px."""
    return running.made_slide(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one uninterrupted run; read only."""
    return running.finished(tmp_path_factory.getbasetemp())
