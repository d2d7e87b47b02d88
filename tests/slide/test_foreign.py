"""What TIAToolbox reads for us. Importing it takes seconds, so there are few of these."""

from __future__ import annotations

from pathlib import Path

import glymur
import imagecodecs
import numpy as np
import pytest
import zarr

from tests.slide.test_tiled import scenery, whole
from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box
from wsipipe.slide.foreign import open_foreign

pytestmark = pytest.mark.filterwarnings("ignore")  # TIAToolbox and what it imports warn of their own dependencies
NO_OPENJPEG = glymur.version.openjpeg_version == "0.0.0"


def jpeg_2000(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="jp2"))
    return path


@pytest.mark.skipif(NO_OPENJPEG, reason="glymur finds no OpenJPEG library here")
def test_jpeg_2000_levels_are_exact_in_any_box(tmp_path: Path) -> None:
    pixels = scenery(301, 403, 3)
    slide = open_foreign(jpeg_2000(tmp_path / "a.jp2", pixels))
    assert np.array_equal(whole(slide), pixels)
    for index, level in enumerate(slide.info.levels):
        assert level.downsample == 2**index
        got = slide.read(Box(3, 5, 9, 4), level=index)
        assert np.array_equal(got, whole(slide, index)[3:12, 5:9])


@pytest.mark.skipif(not NO_OPENJPEG, reason="glymur finds an OpenJPEG library here")
def test_a_missing_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlideOpenError, match="needs the OpenJPEG library"):
        open_foreign(jpeg_2000(tmp_path / "a.jp2", scenery(40, 50, 3)))


def test_level_0_of_an_ome_zarr(tmp_path: Path) -> None:
    pixels = scenery(130, 150, 3)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=np.moveaxis(pixels, -1, 0), chunks=(1, 64, 64))
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "type": "space", "unit": "micrometer"} for a in "yx")]
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    channel = {"active": True, "coefficient": 1, "color": "FF0000", "family": "linear", "inverted": False, "label": "r"}
    levels = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5, 0.5]}]}]
    group.attrs.update({
        "name": "made", "version": "0.4",
        "multiscales": [{"version": "0.4", "axes": axes, "datasets": levels}],
        "omero": {
            "name": "made", "id": 1, "version": "0.4", "channels": [channel | {"window": window}] * 3,
            "rdefs": {"defaultT": 0, "defaultZ": 0, "model": "color"},
        },
    })  # fmt: skip
    slide = open_foreign(tmp_path / "a.zarr")
    assert slide.info.mpp == 0.5
    assert slide.info.reader.startswith("tiatoolbox ")
    assert np.array_equal(whole(slide), pixels)
    assert np.array_equal(slide.read(Box(33, 44, 50, 61), level=0), pixels[33:83, 44:105])
