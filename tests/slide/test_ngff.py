"""Our own OME-Zarr images, and others', as slides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.contract.slide_contract import SlideContract
from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box, Frame
from wsipipe.slide.base import Slide
from wsipipe.slide.ngff import open_ngff
from wsipipe.store.raster import from_array, write_image
from wsipipe.units import Mpp

RGB = np.random.default_rng(3).integers(0, 256, (610, 530, 3)).astype(np.uint8)


def ours(root: Path, *names: str) -> Path:
    for name in names:
        write_image(root, name, from_array(RGB), frame=Frame((610, 530), 1.0, Mpp(0.5)), channels=("r", "g", "b"))
    return root


class TestOurs(SlideContract):
    @pytest.fixture
    def slide(self, tmp_path: Path) -> Slide:
        return open_ngff(ours(tmp_path / "a.zarr", "he"))


def test_pixels_levels_and_mpp_are_what_was_written(tmp_path: Path) -> None:
    slide = open_ngff(ours(tmp_path / "a.zarr", "he"))
    assert slide.info.mpp == pytest.approx(0.5)
    assert [level.shape for level in slide.info.levels] == [(610, 530), (305, 265), (153, 133)]
    assert slide.id.startswith("a-")
    assert np.array_equal(slide.read(Box(0, 0, 610, 530), level=0), RGB)


def test_an_element_opens_by_its_own_path(tmp_path: Path) -> None:
    root = ours(tmp_path / "a.zarr", "he")
    slide = open_ngff(root / "images" / "he")
    assert np.array_equal(slide.read(Box(9, 8, 7, 6), level=0), RGB[9:16, 8:14])


def test_several_images_are_scenes(tmp_path: Path) -> None:
    root = ours(tmp_path / "a.zarr", "b", "a")
    with pytest.raises(SlideOpenError, match=r"2 scenes.*0: a; 1: b"):
        open_ngff(root)
    assert open_ngff(root, 1).info.shape == (610, 530)
    with pytest.raises(SlideOpenError, match="no scene 2"):
        open_ngff(root, 2)


def test_an_image_of_version_04_with_planes_opens(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w", zarr_format=2)
    stored = np.random.default_rng(1).integers(0, 60000, (2, 3, 40, 50)).astype(np.uint16)
    group.create_array("0", data=stored)
    axes = [{"name": "t"}, {"name": "c"}, *({"name": a, "unit": "micrometer"} for a in "yx")]
    scale = [{"type": "scale", "scale": [1, 1, 0.25, 0.25]}]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    slide = open_ngff(tmp_path / "x.zarr")
    assert (slide.info.planes, slide.info.channels, slide.info.mpp) == (2, 3, 0.25)
    assert np.array_equal(slide.read(Box(1, 2, 9, 8), level=0, plane=1), np.moveaxis(stored[1, :, 1:10, 2:10], 0, -1))


def test_another_group_is_no_image(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "x.zarr"), mode="w")
    with pytest.raises(SlideOpenError, match="multiscales"):
        open_ngff(tmp_path / "x.zarr")
