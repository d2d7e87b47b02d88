"""The stitching table: exact where nothing was done, errors and flags where much was."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsipipe.evaluate import stitch as measure
from wsipipe.grid import Box
from wsipipe.phantom import fields as made

SIDE, SEED = 256, 83
"""Of the fields; and one that leaves every pair 31 px of overlap: with a pixel or two, nothing holds them."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Two of the cases, as rows."""
    picture = made.texture((600, 600), 5)(Box(0, 0, 600, 600))
    folder: Path = tmp_path_factory.mktemp("stitch")
    found = {}
    for name in ("jitter", "and turned by 0.2 degrees"):
        values = measure._case(picture, folder / name.replace(" ", "-"), measure.cases(SIDE)[name], SEED)
        found[name] = dict(zip(measure.COLUMNS[1:], values, strict=True))
    return found


def test_a_cut_picture_is_exact(rows: dict[str, dict[str, object]]) -> None:
    row = rows["jitter"]
    assert (row["fields"], row["registered"], row["exact"]) == (4, 4, "yes")
    assert float(str(row["worst"])) < 0.01


def test_worn_fields_are_within_a_pixel(rows: dict[str, dict[str, object]]) -> None:
    row = rows["and turned by 0.2 degrees"]
    assert row["registered"] == 4
    assert row["exact"] == "-"
    assert float(str(row["worst"])) <= 1
    assert 0 < float(str(row["seam energy"])) < 1.3
