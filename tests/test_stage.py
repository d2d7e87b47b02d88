"""Stages: chains that fail when built, values that pickle, hashes that are stable."""

from __future__ import annotations

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from tests.contract import stages
from wsipipe.errors import ChainError
from wsipipe.stage import INSIDE, OVERVIEW, RGB, Chain, Ref, Spec, canonical, chain, digest, resolve


def test_chain_hands_the_latest_array_of_each_name_on() -> None:
    joined = chain([stages.brighten(amount=10), stages.brighten(amount=5), stages.mask(threshold=115)], [RGB, INSIDE])
    rgb = np.full((1, 4, 4, 3), 100, np.uint8)
    made = joined(rgb=rgb, inside=np.array([[4, 4]], np.int32))
    assert (made["rgb"] == 115).all()
    assert made["share"].tolist() == [1.0]
    assert (rgb == 100).all()


def test_chain_keeps_what_it_was_given() -> None:
    extra = np.arange(3)
    assert chain([stages.brighten()], [RGB])(rgb=np.zeros((1, 2, 2, 3), np.uint8), extra=extra)["extra"] is extra


def test_chain_adds_halos() -> None:
    assert chain([stages.blur(radius=2), stages.brighten(), stages.blur(radius=3)], [RGB]).halo == 5
    assert Chain(()).halo == 0


def test_chain_error_names_the_stage_and_both_sides() -> None:
    with pytest.raises(ChainError) as caught:
        chain([stages.brighten(), stages.network()], [RGB, INSIDE])
    said = str(caught.value)
    assert "'network' needs fit[3] float64 per slide" in said
    assert "only rgb[None, None, 3] uint8 per tile, inside[2] int32 per tile" in said
    assert "\n" not in said


def test_chain_error_where_nothing_is_there() -> None:
    with pytest.raises(ChainError, match="there is only nothing"):
        chain([stages.fit()], [])


@pytest.mark.parametrize(
    "offered",
    [
        replace(stages.FIT, dtype="float32"),
        replace(stages.FIT, shape=(4,)),
        replace(stages.FIT, shape=()),
        replace(stages.FIT, scope="tile"),
        replace(stages.FIT, name="fitted"),
    ],
)
def test_chain_refuses_another_dtype_shape_scope_or_name(offered: Spec) -> None:
    with pytest.raises(ChainError):
        chain([stages.network()], [RGB, offered])


@pytest.mark.parametrize(
    ("asked", "offered", "fits"),
    [
        ((None, None, 3), (64, 64, 3), True),
        ((64, 64, 3), (None, None, 3), True),
        ((64,), (32,), False),
        ((), (), True),
        ((None,), (), False),
        ((None, None), (None,), False),
    ],
)
def test_a_free_side_accepts_any_size(asked: tuple[int, ...], offered: tuple[int, ...], fits: bool) -> None:
    assert Spec("a", asked).accepts(Spec("b", offered)) is fits


def test_a_later_stage_sees_what_an_earlier_one_declares() -> None:
    assert chain([stages.fit()], [OVERVIEW]).outputs == {"fit": stages.FIT}
    assert list(chain([stages.mask(), stages.brighten()], [RGB, INSIDE]).outputs) == ["mask", "share", "rgb"]


def test_order_matters() -> None:
    chain([stages.fit(), stages.network()], [RGB, OVERVIEW])
    with pytest.raises(ChainError, match="'network'"):
        chain([stages.network(), stages.fit()], [RGB, OVERVIEW])


def test_pickled_chain_gives_the_same_values() -> None:
    joined = chain([stages.brighten(amount=3), stages.mask()], [RGB, INSIDE])
    back = pickle.loads(pickle.dumps(joined))
    given = {"rgb": np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3), "inside": np.array([[8, 8]], np.int32)}
    assert back.spec() == joined.spec()
    assert all((back(**given)[name] == value).all() for name, value in joined(**given).items())


def test_pickle_holds_a_reference_not_the_function() -> None:
    assert len(pickle.dumps(stages.network(weights="w" * 10))) < 400


def test_weights_are_checked_by_hash_wherever_they_lie() -> None:
    here, there = (stages.network(weights=path, sha256="ab12") for path in ("here", "there"))
    assert here.spec() == there.spec()
    assert digest(here.spec()) != digest(stages.network(weights="here", sha256="ab13").spec())


def test_weights_without_a_hash_are_told_apart_by_their_name() -> None:
    assert stages.network(weights="untrained:1").spec() != stages.network(weights="untrained:2").spec()


def test_factory_is_handed_the_hash_to_check() -> None:
    assert Ref("tests.contract.stages:network", {"weights": "x"}, "cd34").build().ref.weights == "cd34"


def test_a_stage_is_built_once_per_process_whatever_thread_asks() -> None:
    ref = Ref("tests.contract.stages:network", {"weights": "built-once"}, "ef56")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ref.build(), range(32)))
    assert all(stage is found[0] for stage in found)
    assert stages.BUILT.count("built-once") == 1


def test_canonical_text_is_sorted_and_tight() -> None:
    assert canonical({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_refuses_what_json_cannot_hold(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": value})


def test_canonical_refuses_arrays_and_numpy_integers() -> None:
    with pytest.raises(TypeError):
        canonical(np.int64(1))


def test_digest_is_the_start_of_the_sha256() -> None:
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()[:12]
    assert len(digest({}, length=64)) == 64


def test_resolve_finds_a_function() -> None:
    assert resolve("json:loads")("[1]") == [1]


@pytest.mark.parametrize("wrong", [{"name": "other"}, {"version": 2}])
def test_spec_tells_name_and_version(wrong: dict[str, object]) -> None:
    stage = stages.brighten()
    assert replace(stage, **wrong).spec() != stage.spec()  # type: ignore[arg-type]  # one field at a time
