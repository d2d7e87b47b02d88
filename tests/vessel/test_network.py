"""The network over tiles: shapes, the halo's crop, fixed batches, flips, tiles against the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.errors import ConfigError, WeightsError
from wsipipe.models.device import execution
from wsipipe.phantom.fundus import make_fundus
from wsipipe.stage import chain
from wsipipe.vessel.network import RGB, predict, segment, vessel_network

TINY = "untrained:0:tiny"


@pytest.fixture(scope="module")
def picture():
    return make_fundus(1, size=(192, 224)).picture


def test_the_stage_crops_its_halo_and_fills_its_batch(picture):
    stage = segment(weights=TINY, device="cpu", batch=2, halo=32, enhance=True)
    tiles = np.stack([picture[:128, :128], picture[64:, :128], picture[:128, 96:]])
    made = chain([stage], [RGB])(rgb=tiles)
    assert made["vessel"].shape == (3, 3, 64, 64)
    assert made["vessel"].dtype == np.float32
    assert made["enhanced"].shape == (3, 64, 64, 3)
    assert 0 <= made["vessel"].min() <= made["vessel"].max() <= 1
    alone = stage.fn(rgb=tiles[2:])
    assert np.array_equal(alone["vessel"][0], made["vessel"][2])
    assert stage.fn(rgb=tiles[:0])["vessel"].shape == (0, 3, 64, 64)
    assert stage.halo == 32


def test_without_enhancement_the_deployment_network_runs_and_says_the_same(picture):
    with_, without = (segment(weights=TINY, device="cpu", batch=1, halo=0, enhance=e) for e in (True, False))
    tile = picture[None, :64, :64]
    assert "enhanced" not in without.fn(rgb=tile)
    assert np.array_equal(with_.fn(rgb=tile)["vessel"], without.fn(rgb=tile)["vessel"])


def test_flips_make_the_answer_of_a_mirrored_picture_the_mirrored_answer(picture):
    network = vessel_network(TINY, how=execution("cpu"), flips=True)
    even = picture[:192, :192]
    assert np.allclose(predict(network, even[:, ::-1].copy()), predict(network, even)[..., ::-1], atol=1e-5)


def test_other_sizes_say_artery_against_vein_only(picture):
    alone, wider = (vessel_network(TINY, how=execution("cpu"), scales=scales) for scales in ((), (0.5, 2.0)))
    one, other = predict(alone, picture), predict(wider, picture)
    assert np.array_equal(one[2], other[2])
    assert not np.allclose(one[:2], other[:2])
    assert 0 <= other.min() <= other.max() <= 1


def test_the_picture_s_own_size_asked_once_more_changes_nothing(picture):
    alone, twice = (vessel_network(TINY, how=execution("cpu"), scales=scales) for scales in ((), (1.0,)))
    assert np.allclose(predict(alone, picture), predict(twice, picture), atol=1e-6)


def test_a_tile_with_enough_halo_equals_the_whole_picture(picture):
    network = vessel_network(TINY, how=execution("cpu"))
    wide = np.concatenate([picture[:, ::-1], picture, picture[:, ::-1]], axis=1)
    whole = predict(network, wide)
    halo, at = 160, 224
    tile = predict(network, wide[:, at - halo : at + 64 + halo])
    assert np.abs(tile[..., halo : halo + 64] - whole[..., at : at + 64]).max() < 1e-3


def test_wrong_options_are_refused():
    with pytest.raises(ConfigError, match=r"0\.25 to 4"):
        vessel_network(TINY, how=execution("cpu"), scales=(0.85, 0))
    for wrong in ({"batch": 0}, {"halo": -1}):
        with pytest.raises(ConfigError, match="at least 1 and 0"):
            segment(weights=TINY, device="cpu", **wrong)
    with pytest.raises(WeightsError):
        segment(weights="gastric-phantom-v0", device="cpu")
    with pytest.raises(ConfigError, match="larger than twice"):
        segment(weights=TINY, device="cpu", halo=32).fn(rgb=np.zeros((1, 64, 64, 3), np.uint8))
