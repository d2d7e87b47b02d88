"""Pipelines: checked when built; keys that change with every ingredient and with nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract import stages
from wsipipe.errors import ChainError
from wsipipe.grid import Frame
from wsipipe.run import plan
from wsipipe.run.plan import Finish, Keep, Map, Overview, Pipeline, Reduce, keys, layer_of
from wsipipe.stage import RGB, Scope, Stage
from wsipipe.units import Mpp

FRAME = Frame((5000, 7000), 2.0, Mpp(0.5))
NAMES = ("overview", "fit", "tissue", "tiles", "topk", "publish")
OVERVIEW, FIT, TISSUE, TILES, TOPK, PUBLISH = range(6)


def pipeline(
    *,
    longest_px: int = 512,
    threshold: int = 100,
    network: Stage | None = None,
    batch: int = 8,
    k: int = 2,
    minimum: float = 0.7,
    params: dict[str, object] | None = None,
    amount: int = 10,
) -> Pipeline:
    network = network or stages.network(weights="w", sha256="aa")
    return Pipeline(
        "test",
        (
            Overview(longest_px=longest_px),
            Reduce("fit", (stages.fit(),)),
            Map("tissue", (stages.mask(threshold=threshold),), ("mask", "share"), scale=4, kept_only=False),
            Map("tiles", (stages.brighten(amount=amount), network), ("features",), batch=batch),
            Reduce("topk", (stages.select(k=k),)),
            Finish("publish", "json:dumps", params or {"a": 1}),
        ),
        Keep("share", minimum),
    )


def keys_of(page: Pipeline, frame: Frame = FRAME, fingerprint: str = "f" * 12, reader: str = "r 1") -> tuple[str, ...]:
    return keys(page, frame, fingerprint=fingerprint, reader=reader)


def changed(page: Pipeline, **how: object) -> list[str]:
    """Names of the steps whose key differs from that of the unchanged pipeline."""
    pairs = zip(NAMES, keys_of(pipeline()), keys_of(page, **how), strict=True)  # type: ignore[arg-type]  # by name
    return [name for name, before, after in pairs if before != after]


def test_equal_pipelines_have_equal_keys() -> None:
    assert keys_of(pipeline()) == keys_of(pipeline())
    assert len(set(keys_of(pipeline()))) == 6
    assert all(len(key) == 12 for key in keys_of(pipeline()))


@pytest.mark.parametrize(
    ("page", "steps"),
    [
        (pipeline(longest_px=1024), ["overview", "fit", "tiles", "publish"]),
        (pipeline(threshold=101), ["tissue", "tiles", "topk", "publish"]),
        (pipeline(batch=4), ["tiles", "publish"]),
        (pipeline(amount=11), ["tiles", "publish"]),
        (pipeline(network=stages.network(weights="w", sha256="ab")), ["tiles", "publish"]),
        (pipeline(network=replace(stages.network(weights="w", sha256="aa"), version=2)), ["tiles", "publish"]),
        (pipeline(k=3), ["topk", "publish"]),
        (pipeline(params={"a": 2}), ["publish"]),
    ],
    ids=["overview", "upstream", "batch", "stage", "weights", "version", "k", "finish"],
)
def test_a_change_reaches_its_step_and_what_is_downstream(page: Pipeline, steps: list[str]) -> None:
    assert changed(page) == steps


def test_a_change_of_the_kept_rule_reaches_every_step_on_kept_tiles() -> None:
    """Else a layer that is complete for few tiles would be taken for one of many, and the rest read as fill."""
    assert changed(pipeline(minimum=0.6)) == ["tiles", "topk", "publish"]


def test_kept_or_all_tiles_is_part_of_the_key() -> None:
    page = pipeline()
    every = replace(page.steps[TILES], kept_only=False)  # type: ignore[call-arg]  # a Map
    assert changed(replace(page, steps=(*page.steps[:TILES], every, *page.steps[TILES + 1 :]))) == ["tiles", "publish"]
    assert every.spec() != page.steps[TILES].spec()


@pytest.mark.parametrize(
    "how",
    [
        {"fingerprint": "e" * 12},
        {"reader": "r 2"},
        {"frame": replace(FRAME, shape=(5000, 7001))},
        {"frame": replace(FRAME, downsample=2.0001)},
        {"frame": replace(FRAME, mpp=Mpp(0.4999))},
        {"frame": replace(FRAME, level=1)},
    ],
    ids=str,
)
def test_slide_reader_and_frame_change_every_key(how: dict[str, object]) -> None:
    assert changed(pipeline(), **how) == list(NAMES)


@pytest.mark.parametrize("how", [{"tile": 256}, {"unit": 4}, {"plane": 1}], ids=str)
def test_grid_and_plane_change_every_key(how: dict[str, object]) -> None:
    assert changed(replace(pipeline(), **how)) == list(NAMES)  # type: ignore[arg-type]  # by name


def test_library_versions_change_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys_of(pipeline())
    monkeypatch.setattr(plan, "library_versions", lambda: {"numpy": "0"})
    assert not set(before) & set(keys_of(pipeline()))


@pytest.mark.parametrize("how", [{"seed": 1}, {"sample": 3}], ids=str)
def test_sample_and_seed_of_a_fit_change_its_key(how: dict[str, int]) -> None:
    def page(**options: int) -> Pipeline:
        look = replace(stages.brighten(), outputs=(replace(stages.FIT, name="look"),))
        tissue = Map("tissue", (stages.mask(),), ("share",), kept_only=False)
        return Pipeline("p", (tissue, Reduce("fit", (look,), **({"sample": 2} | options))), Keep("share", 0.5))

    assert keys_of(page())[0] == keys_of(page(**how))[0]
    assert keys_of(page())[1] != keys_of(page(**how))[1]


def test_a_path_of_weights_is_not_part_of_the_key() -> None:
    assert changed(pipeline(network=stages.network(weights="moved/elsewhere", sha256="aa"))) == []


def test_names_of_pipelines_are_not_part_of_the_key() -> None:
    assert changed(replace(pipeline(), name="other")) == []


def test_keys_are_the_same_in_another_process() -> None:
    code = "import json; from tests.run.test_plan import keys_of, pipeline; print(json.dumps(keys_of(pipeline())))"
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert tuple(json.loads(found.stdout)) == keys_of(pipeline())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Pipeline(
                "p", (Map("tiles", (stages.network(),), ("features",), kept_only=False),), Keep("share", 0)
            ),
            "'network' needs fit.* only rgb",
        ),
        (lambda: Pipeline("p", (Reduce("fit", (stages.fit(),)), Overview()), Keep("share", 0)), "'fit' needs overview"),
        (
            lambda: Pipeline("p", (Map("m", (stages.mask(),), ("mosk",), kept_only=False),), Keep("share", 0)),
            r"keeps \['mosk'\], but its stages make only \['mask', 'share'\]",
        ),
        (
            lambda: Pipeline("p", (Map("m", (stages.brighten(),), ("rgb",)),), Keep("share", 0)),
            "'m' works on kept tiles, but no step before it leaves 'share'",
        ),
        (lambda: Pipeline("p", (Reduce("topk", (stages.select(),)),), Keep("share", 0)), "'topk' works on kept tiles"),
    ],
    ids=["map", "order", "keep", "rule", "rule of reduce"],
)
def test_what_does_not_fit_fails_when_built(make: Callable[[], Pipeline], said: str) -> None:
    with pytest.raises(ChainError, match=said):
        make()


def test_a_per_tile_row_is_offered_to_later_steps_as_a_table_only() -> None:
    share = Stage(stages.brighten().ref, "again", 1, (RGB, stages.SHARE), (RGB,), lambda **_: {})
    tissue = Map("tissue", (stages.mask(),), ("share", "mask"), kept_only=False)
    with pytest.raises(ChainError, match=r"needs share\[\] float32 per tile"):
        Pipeline("p", (tissue, Map("m", (share,), ("rgb",))), Keep("share", 0.5))


@pytest.mark.parametrize("scope", ["tile", "tiles"])
def test_a_picture_is_not_offered_to_later_steps(scope: Scope) -> None:
    """The runner hands no pictures to stages; asking for one must fail when built, not in a worker."""
    picture = replace(stages.MASK, scope=scope)
    asks = Stage(stages.brighten().ref, "asks", 1, (RGB, picture), (RGB,), lambda **_: {})
    tissue = Map("tissue", (stages.mask(),), ("share", "mask"), kept_only=False)
    with pytest.raises(ChainError, match="needs mask"):
        Pipeline("p", (tissue, Map("m", (asks,), ("rgb",))), Keep("share", 0.5))


def test_index_is_the_last_step_that_leaves_an_array() -> None:
    page = pipeline()
    assert (page.index("overview"), page.index("share"), page.index("best")) == (0, 2, 4)
    with pytest.raises(KeyError, match="no step of pipeline 'test' leaves 'nothing'"):
        page.index("nothing")


def test_layers_of_maps_have_a_grid_with_the_chains_halo() -> None:
    step = Map("m", (stages.blur(radius=3), stages.mask()), ("share",), kept_only=False)
    page = Pipeline("p", (step,), Keep("share", 0))
    layer = layer_of(page, 0, "k", root="R", grid=page.grid(FRAME))
    assert (layer.grid and layer.grid.halo, layer.specs, layer.group) == (3, (stages.SHARE,), "work/m-k")
    assert layer_of(pipeline(), FIT, "k", root="R", grid=page.grid(FRAME)).grid is None


def test_missing_libraries_are_said_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "LIBRARIES", ("numpy", "no-such-library"))
    assert plan.library_versions()["no-such-library"] == "absent"
    assert plan.library_versions()["numpy"][0].isdigit()
