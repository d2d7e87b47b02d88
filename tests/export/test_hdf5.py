"""HDF5 as TRIDENT and CLAM read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from wsipipe.export import export
from wsipipe.export.hdf5 import magnification
from wsipipe.query import Results

Written = Callable[..., list[Path]]
TRIDENT = {
    "patch_size", "patch_size_level0", "level0_magnification", "target_magnification", "overlap", "name", "savetodir",
    "level0_width", "level0_height",
}  # fmt: skip


def test_trident_finds_its_attributes(written: Written, results: Results, tmp_path: Path) -> None:
    coords, features = written("trident", "alpha")
    assert coords.relative_to(tmp_path / "trident").as_posix() == "20x_512px_0px_overlap/patches/alpha_patches.h5"
    assert features.relative_to(coords.parents[1]).as_posix() == "features_wsipipe/alpha.h5"
    table = results.slide("alpha").tiles
    with h5py.File(coords) as file:
        stored, told = file["coords"], dict(file["coords"].attrs)
        assert (stored.dtype, stored.shape, stored.chunks) == (np.int64, (5, 2), (512, 2))
        np.testing.assert_array_equal(stored[:], table[["x", "y"]])
    assert set(told) == TRIDENT
    assert (told["patch_size"], told["patch_size_level0"], told["overlap"]) == (512, 1013, 0)
    assert (told["level0_width"], told["level0_height"], told["name"]) == (6000, 4100, "alpha")
    side = told["patch_size"] * told["level0_magnification"] / told["target_magnification"]  # as TRIDENT computes it
    assert side == pytest.approx(512 * 0.5 / 0.2527)
    assert abs(side - table["width"]).max() <= 1


def test_features_lie_beside_their_coordinates(written: Written, results: Results) -> None:
    for tool in ("trident", "clam"):
        _, path = written(tool, "alpha", tiles="topk")
        with h5py.File(path) as file:
            rows = np.asarray(results.slide("alpha").features)[[0, 3]]
            np.testing.assert_array_equal(file["features"][:], rows)
            assert file["features"].dtype == np.float32
            assert len(file["coords"]) == 2


def test_clam_reads_squares_of_a_stored_level(written: Written, results: Results, tmp_path: Path) -> None:
    coords, features = written("clam", "alpha")
    assert [p.relative_to(tmp_path / "clam").as_posix() for p in (coords, features)] == [
        "patches/alpha.h5",
        "h5_files/alpha.h5",
    ]
    with h5py.File(coords) as file:
        told, xy = dict(file["coords"].attrs), file["coords"][:]
    assert (told["patch_level"], told["patch_size"], told["name"]) == (0, 1013, "alpha")
    assert told["level_dim"].tolist() == [6000, 4100]
    np.testing.assert_array_equal(xy, results.slide("alpha").tiles[["x", "y"]])


def test_slides_of_one_file_name_keep_apart(written: Written) -> None:
    names = [path.name for path in written("clam")]
    assert names == ["alpha.h5"] * 2 + ["empty-222.h5"] * 2 + ["other-333.h5"] * 2


def test_no_tiles(written: Written) -> None:
    for path in written("trident", "empty"):
        with h5py.File(path) as file:
            assert file["coords"].shape == (0, 2)


@pytest.mark.parametrize(("mpp", "want"), [(0.5, 20), (0.499, 20), (0.2527, 40), (1.0, 10), (0.345, 29), (3.0, 10 / 3)])
def test_magnification(mpp: float, want: float) -> None:
    assert magnification(mpp) == pytest.approx(want)


def test_of_the_pipeline(real: Results, tmp_path: Path) -> None:
    """The squares that CLAM would read are the tiles."""
    coords, _ = export(real, "clam", tmp_path)
    slide = next(iter(real))
    with h5py.File(coords) as file:
        np.testing.assert_array_equal(file["coords"][:], slide.tiles[["x", "y"]])
        assert file["coords"].attrs["patch_size"] == slide.tiles["width"].iloc[0]
