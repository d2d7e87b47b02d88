"""The stain stages: pointwise, the same alone and in a batch, unchanged where there is nothing to fit."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsipipe import stain
from wsipipe.errors import ConfigError, UsageError
from wsipipe.stage import RGB, Stage, chain
from wsipipe.stain import on_gpu, reference, unmix
from wsipipe.stain.fitting import fit_pixels
from wsipipe.stain.sample import pool

Made = Callable[..., np.ndarray]
METHODS = ("macenko", "vahadane", "ruifrok", "reinhard")


def run(tiles: np.ndarray, *, method: str, nonnegative: bool = False) -> np.ndarray:
    fitted = stain.fit(method=method, pixels=20_000).fn(rgb=tiles)
    return applied(stain.apply(method=method, nonnegative=nonnegative), tiles, fitted)


def applied(stage: Stage, tiles: np.ndarray, fitted: dict[str, np.ndarray]) -> np.ndarray:
    return stage.fn(rgb=tiles, **{spec.name: fitted[spec.name] for spec in stage.inputs if spec.name != "rgb"})["rgb"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("nonnegative", [False, True])
def test_a_tile_alone_a_batch_and_the_whole_are_the_same(made: Made, method: str, nonnegative: bool) -> None:
    whole = made(side=200)
    fitted = stain.fit(method=method, pixels=20_000).fn(rgb=whole[None])
    stage = stain.apply(method=method, nonnegative=nonnegative)
    expected = applied(stage, whole[None], fitted)[0]
    tiles = np.stack([whole[y : y + 50, x : x + 50] for y in range(0, 200, 50) for x in range(0, 200, 50)])
    batch = applied(stage, tiles, fitted)
    for index, tile in enumerate(tiles):
        y, x = divmod(index, 4)
        part = expected[50 * y : 50 * y + 50, 50 * x : 50 * x + 50]
        assert np.array_equal(batch[index], part)
        assert np.array_equal(applied(stage, tile[None], fitted)[0], part)
    odd = np.ascontiguousarray(whole[3:10, 5:18])
    assert np.array_equal(applied(stage, odd[None], fitted)[0], expected[3:10, 5:18])


@given(st.integers(0, 2**32 - 1), st.integers(1, 3 * unmix.BLOCK))
@settings(max_examples=15, deadline=None)
def test_recolour_equals_the_formula_and_ignores_neighbours(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 3), dtype=np.uint8)
    matrix = rng.normal(0.3, 0.4, (3, 3))
    od = np.maximum(-np.log(np.maximum(pixels, 1) / 255), 1e-6)
    exact = np.clip(255 * np.exp(-od @ matrix), 0, 255)
    found = unmix.recolour(pixels, matrix)
    assert np.abs(found - exact).max() < 0.501
    cut = slice(count // 3, count // 3 + 7)
    assert np.array_equal(unmix.recolour(pixels[cut], matrix), found[cut])


def test_torchs_recolour_is_within_a_grey_level(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    tiles, matrix = rng.integers(0, 256, (5, 20, 30, 3)).astype(np.uint8), rng.normal(0, 0.7, (3, 3))
    monkeypatch.setattr(on_gpu, "BATCH", 2)
    found = on_gpu.recolour(tiles, matrix, device="cpu")
    assert np.abs(found.astype(int) - unmix.recolour(tiles, matrix)).max() <= 1
    assert on_gpu.recolour(tiles[:0], matrix, device="cpu").shape == (0, 20, 30, 3)


def test_the_device_is_part_of_the_key_where_it_is_no_cpu() -> None:
    assert stain.apply().spec() == stain.apply(device="cpu").spec() != stain.apply(device="cuda").spec()


def test_recolour_does_not_overflow() -> None:
    """A matrix as wild as this would make white black in OpenCV."""
    pixels = np.array([[1, 1, 1], [255, 255, 255], [1, 255, 1]], np.uint8)
    assert unmix.recolour(pixels, np.full((3, 3), -9.0)).tolist() == [[255] * 3] * 3
    assert unmix.recolour(pixels, np.full((3, 3), 9.0))[0].tolist() == [0] * 3


@pytest.mark.parametrize("nonnegative", [False, True])
def test_target_to_target_is_the_identity_on_its_plane(made: Made, stains: np.ndarray, nonnegative: bool) -> None:
    rng = np.random.default_rng(0)
    od = rng.uniform(0, 1.2, (64, 64, 2)) @ stains
    picture = np.floor(255 * np.exp(-od) + 0.5).astype(np.uint8)
    ends = (stains, np.array([1.1, 0.9])) * 2
    if nonnegative:
        found = unmix.recolour_nonnegative(picture, *ends)
    else:
        found = unmix.recolour(picture, unmix.transfer(*ends))
    assert np.abs(found.astype(int) - picture).max() <= (3 if nonnegative else 1)  # the lasso takes 0.01 off


@pytest.mark.parametrize("method", METHODS)
def test_two_stainings_of_the_same_tissue_become_alike(made: Made, method: str) -> None:
    """The same concentrations in two laboratories' stains differ before and hardly after."""
    blue = np.array([[0.66, 0.70, 0.22], [0.25, 0.92, 0.25]])
    red = np.array([[0.48, 0.78, 0.40], [0.10, 0.86, 0.48]])
    pictures = [made(vectors * strength, side=300)[None] for vectors, strength in ((blue, 1.0), (red, 1.3))]
    before = np.abs(pictures[0].astype(float) - pictures[1]).mean()
    after = np.abs(np.subtract(*(run(picture, method=method).astype(float) for picture in pictures))).mean()
    assert after < {"reinhard": 0.8, "ruifrok": 0.7}.get(method, 0.4) * before


def test_blank_tiles_give_no_fit_and_are_not_changed() -> None:
    blank = np.random.default_rng(0).integers(236, 250, (2, 128, 128, 3), dtype=np.uint8)
    for method in ("macenko", "vahadane", "reinhard"):
        fitted = stain.fit(method=method).fn(rgb=blank)
        assert fitted["stain_valid"].tolist() == [0]
        assert np.isnan(fitted["stain_distance"][0])
        assert np.array_equal(applied(stain.apply(method=method), blank, fitted), blank)
    assert stain.fit().fn(rgb=blank[:0])["stain_valid"].tolist() == [0]


def test_fit_has_the_declared_shapes_and_is_repeatable(made: Made) -> None:
    tiles = np.stack([made(seed=seed) for seed in range(3)])
    for method in (*METHODS, "none"):
        stage = stain.fit(method=method, seed=7, pixels=5000)
        first, again = stage.fn(rgb=tiles), stage.fn(rgb=tiles.copy())
        for spec in stage.outputs:
            assert first[spec.name].shape == spec.shape
            assert first[spec.name].dtype == spec.dtype
            assert np.array_equal(first[spec.name], again[spec.name])
        assert first["stain_valid"].tolist() == [1]
    distances = {float(stain.fit(method=method).fn(rgb=tiles)["stain_distance"][0]) for method in METHODS}
    assert len(distances) == 1  # Macenko's, whatever the method


def test_none_changes_nothing_and_needs_no_fit(made: Made) -> None:
    stage = stain.apply(method="none")
    assert [spec.name for spec in stage.inputs] == ["rgb"]
    tiles = made()[None]
    assert stage.fn(rgb=tiles)["rgb"] is tiles


def test_stages_chain_travel_and_keep_their_key() -> None:
    stages = chain([stain.apply(method="vahadane")], [RGB, *stain.fit().outputs]).stages
    again = pickle.loads(pickle.dumps(stages[0]))
    assert again.spec() == stages[0].spec()
    assert stain.fit(seed=1).spec() != stain.fit(seed=2).spec()
    assert stain.apply().halo == 0


def test_built_in_numbers_are_those_of_the_target_picture(shared_data: Path) -> None:
    picture = str(shared_data / "stain" / "target-he.png")
    for method in METHODS:
        fitted, built_in = reference.target(picture, method), reference.target("default", method)
        assert fitted.name.startswith("sha256:23c1e65fb65f")
        assert np.allclose(fitted.matrix, built_in.matrix, atol=1e-5)
        assert np.allclose(fitted.greatest, built_in.greatest, atol=1e-4)
        assert np.allclose(fitted.lab, built_in.lab, atol=1e-3)


def test_a_moved_reference_is_the_same_stage_and_leaves_no_path(shared_data: Path, tmp_path: Path, made: Made) -> None:
    picture = shared_data / "stain" / "source-he.png"
    moved = shutil.copy(picture, tmp_path / "elsewhere.png")
    stages = [stain.apply(reference=str(path)) for path in (picture, moved)]
    assert stages[0].spec() == stages[1].spec()
    assert "elsewhere" not in str(stages[1].spec())
    assert stages[0].spec() != stain.apply().spec()
    Path(moved).unlink()
    tiles = made()[None]
    fitted = stain.fit().fn(rgb=tiles)
    results = [applied(stage, tiles, fitted) for stage in (stages[0], pickle.loads(pickle.dumps(stages[1])))]
    assert np.array_equal(*results)


def test_unusable_references(tmp_path: Path) -> None:
    import cv2

    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "glass.png"), np.full((200, 200, 3), 244, np.uint8))
    for name, told in (("absent.png", "No such file"), ("empty.png", "not a picture"), ("text.png", "not a picture"),
                       ("glass.png", "no two stains")):  # fmt: skip
        with pytest.raises(UsageError, match=told) as caught:
            stain.apply(reference=str(tmp_path / name))
        assert name in caught.value.subject


def test_wrong_settings() -> None:
    for wrong in ({"method": "best"}, {"backend": "mine"}, {"pixels": 0}):
        with pytest.raises(ConfigError, match="correct it"):
            stain.fit(**wrong)
    with pytest.raises(ConfigError, match="macenko"):
        stain.apply(method="best")


def test_a_missing_back_end_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsipipe.stain.backends.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"wsipipe\[staintools\]"):
        stain.fit(backend="staintools")
    with pytest.raises(UsageError, match="tiatoolbox"):
        stain.fit(backend="tiatoolbox")


def test_fit_keeps_to_the_sampled_tiles_and_survives_any_picture() -> None:
    rng = np.random.default_rng(0)
    for tiles in (rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8), np.zeros((1, 64, 64, 3), np.uint8)):
        found = fit_pixels(pool(tiles, most=10**6, seed=0))
        assert found.valid in (True, False)
        made = applied(stain.apply(), tiles, stain.fit().fn(rgb=tiles))
        assert made.shape == tiles.shape


def test_importing_the_rooms_is_cheap() -> None:
    heavy = ("torch", "tiatoolbox", "staintools", "cv2", "skimage", "scipy", "dask", "zarr")
    code = f"import sys, wsipipe.stain, wsipipe.tissue, wsipipe.deblur; print([m for m in {heavy} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
