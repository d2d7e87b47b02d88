"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.object_storage import bucket, faulty, s3_server

__all__ = ["bucket", "faulty", "s3_server"]

SHARED = Path(os.environ.get("WSIPIPE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures; tests that need it say so and skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real pictures, none at {SHARED} (set WSIPIPE_DATA)")
    return SHARED
