"""Fits: known vectors are found, dirt does not move them, and degenerate samples are refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import nnls

from wsipipe.stain import density, extract, fitting, sample
from wsipipe.stain.distance import angles_deg, he_distance, in_order

Made = Callable[..., np.ndarray]


@pytest.mark.parametrize(("method", "within_deg"), [(extract.macenko, 3.0), (extract.vahadane, 6.0)])
@pytest.mark.parametrize("seed", range(3))
def test_known_vectors_are_found(
    made: Made, stains: np.ndarray, method: Callable, within_deg: float, seed: int
) -> None:
    found = method(sample.pool(made(seed=seed)[None], most=50_000, seed=0))
    assert angles_deg(found, stains).max() < within_deg
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


@pytest.mark.parametrize("method", [extract.macenko, extract.vahadane])
def test_glass_ink_blood_and_borders_do_not_move_the_fit(made: Made, method: Callable) -> None:
    clean = made()
    dirty = np.concatenate([clean, *(np.full((256, 60, 3), colour, np.uint8) for colour in (
        (245, 244, 246), (20, 110, 60), (40, 90, 180), (5, 3, 4), (70, 72, 70), (215, 60, 55),
    ))], axis=1)  # fmt: skip
    found = [method(sample.pool(picture[None], most=10**6, seed=0)) for picture in (clean, dirty)]
    assert angles_deg(*found).max() < 1.0


def test_what_speaks() -> None:
    colours = {
        (150, 90, 160): True,  # haematoxylin
        (225, 130, 170): True,  # eosin
        (130, 85, 45): True,  # the brown of DAB: the gate must see it
        (245, 240, 244): False,  # glass
        (215, 60, 55): False,  # blood
        (40, 120, 60): False,  # green ink
        (30, 28, 30): False,  # black ink
        (120, 118, 121): False,  # a fold, dust
    }
    assert sample.speaks(np.array(list(colours), np.uint8)).tolist() == list(colours.values())


def test_pool_is_drawn_by_seed_and_keeps_all_where_there_are_few(made: Made) -> None:
    tiles = np.stack([made(seed=1), made(seed=2)])
    everything = sample.pool(tiles, most=10**6, seed=0)
    assert len(everything) == sum(len(sample.pool(tile[None], most=10**6, seed=5)) for tile in tiles)
    first, again, other = (sample.pool(tiles, most=500, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(first) == 500
    assert sample.pool(tiles[:0], most=5, seed=0).shape == (0, 3)


def degenerate(kind: str) -> np.ndarray:
    """Samples that show no two stains."""
    rng = np.random.default_rng(0)
    strength = rng.uniform(0.3, 2, (5000, 1))
    if kind == "few":
        return np.tile(np.array([[150, 90, 160], [225, 130, 170]], np.uint8), (extract.MIN_PIXELS // 2 - 1, 1))
    if kind == "one colour":
        return np.full((5000, 3), (150, 90, 160), np.uint8)
    if kind == "one stain":
        return (255 * np.exp(-strength * [0.58, 0.75, 0.31])).astype(np.uint8)
    return np.zeros((0, 3), np.uint8)


@pytest.mark.parametrize("kind", ["few", "one colour", "one stain", "empty"])
@pytest.mark.parametrize("method", ["macenko", "vahadane", "none"])
def test_degenerate_samples_are_refused(kind: str, method: str) -> None:
    found = fitting.fit_pixels(degenerate(kind), method=method)
    assert not found.valid
    assert np.isnan(found.distance_deg)
    assert np.isnan(found.matrix).all()


@given(hnp.arrays(np.float64, (40, 3), elements=st.floats(0, 4)), st.sampled_from([0.0, 0.01, 0.1]))
@settings(max_examples=50, deadline=None)
def test_nonnegative_codes_are_optimal(od: np.ndarray, penalty: float) -> None:
    stains = np.array([[0.58, 0.75, 0.31], [0.16, 0.91, 0.38]])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    codes = density.nonnegative_codes(od, stains, penalty)
    assert codes.min() >= 0
    gradient = (codes @ stains - od) @ stains.T + penalty
    assert gradient.min() > -1e-9  # Karush-Kuhn-Tucker
    assert np.abs(gradient * codes).max() < 1e-9
    if penalty == 0:
        assert np.allclose(codes[0], nnls(stains.T, od[0])[0], atol=1e-9)


def test_density_and_products() -> None:
    assert density.TABLE[255] == 1e-6
    assert density.TABLE[0] == density.TABLE[1] == np.log(255)
    rng = np.random.default_rng(0)
    rows, matrix = rng.normal(size=(50, 3)), rng.normal(size=(3, 2))
    assert np.allclose(density.times(rows, matrix), rows @ matrix)
    assert np.array_equal(density.times(rows[7:9], matrix), density.times(rows, matrix)[7:9])


@given(hnp.arrays(np.float64, (2, 3), elements=st.floats(0.01, 1)))
def test_order_does_not_matter_to_the_distance(matrix: np.ndarray) -> None:
    assert he_distance(matrix) == he_distance(matrix[::-1])
    assert np.allclose(he_distance(matrix * 3.7), he_distance(matrix), atol=1e-6)
    assert np.array_equal(in_order(matrix), in_order(matrix[::-1])) or np.isclose(
        angles_deg(matrix, in_order(matrix)).sum(), 0, atol=1e-3
    )


def test_greatest_is_the_percentile_of_concentrations(made: Made, stains: np.ndarray) -> None:
    pixels = sample.pool(made()[None], most=10**6, seed=0)
    codes = np.linalg.lstsq(stains.T, density.density(pixels).T, rcond=None)[0]
    assert np.allclose(extract.greatest(pixels, stains), np.percentile(codes, 99, axis=1))


def test_vahadane_is_deterministic(made: Made) -> None:
    pixels = sample.pool(made()[None], most=20_000, seed=0)
    assert np.array_equal(extract.vahadane(pixels), extract.vahadane(pixels.copy()))
