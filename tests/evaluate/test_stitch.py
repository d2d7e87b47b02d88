"""The stitching table: exact where nothing was done, errors and flags where much was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsipipe.evaluate import stitch as measure
from wsipipe.grid import Box
from wsipipe.phantom import fields as made
from wsipipe.slide import open_slide
from wsipipe.slide.fields import open_fields

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
    assert float(str(row["seam energy"])) == pytest.approx(1, abs=1e-3)


def test_worn_fields_are_within_a_pixel(rows: dict[str, dict[str, object]]) -> None:
    row = rows["and turned by 0.2 degrees"]
    assert row["registered"] == 4
    assert row["exact"] == "-"
    assert float(str(row["worst"])) <= 1
    assert 0.5 < float(str(row["seam energy"])) <= 1


def test_a_seam_that_is_seen_has_more_energy(tmp_path: Path) -> None:
    """The same mosaic with a step of 40 grey levels where two fields meet, and with one field moved by 8 px."""
    picture, how = made.texture((600, 600), 5)(Box(0, 0, 600, 600)), measure.cases(SIDE)["cut"]
    truth = made.layout(picture.shape[:2], how, SEED)
    made.write(tmp_path / "fields", made.from_array(picture), truth, how, seed=SEED)
    found, _ = measure.stitched(tmp_path / "fields", tmp_path / "mosaic.zarr")
    placed = measure.fields_table(found, truth)
    fields, slide = open_fields(tmp_path / "fields"), open_slide(found.mosaic)
    mosaic = measure._grey(slide.read, slide.info.shape)
    laid, light = measure._placement(found, fields), measure._light(found, fields)

    def alone(plane: int, box: Box) -> np.ndarray:
        return measure._laid(fields, laid, light, plane, box)

    x = placed["x"].to_numpy(float)
    seam = round((x.min() + x.max() + SIDE) / 2)
    stepped, moved = mosaic.copy(), mosaic.copy()
    stepped[:, seam:] += 40
    moved[:, seam:-8] = mosaic[:, seam + 8 :]
    energy = [measure._seams(one, alone, fields, placed) for one in (mosaic, stepped, moved)]
    assert energy[0] == pytest.approx(1, abs=1e-3)
    assert min(energy[1:]) > 1.02
