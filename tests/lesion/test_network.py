"""The tile stage: numbers against a plain loop, bytes independent of grouping."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsipipe.errors import ConfigError, WeightsError
from wsipipe.lesion.network import POSITIVE, tile_network
from wsipipe.models.architecture import VNET, VNET_PRESETS
from wsipipe.models.card import Card
from wsipipe.models.vnet import VNet
from wsipipe.models.weights import find, load, save
from wsipipe.stage import INSIDE, RGB, Stage, chain

Arrays = dict[str, NDArray[Any]]
TINY = "untrained:2:tiny"


def tiles(count: int, side: int = 64, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    inside = np.full((count, 2), side, np.int32)
    if count > 2:
        inside[1], inside[2] = (side, side - 11), (side - 27, 5)
    return {"rgb": rgb, "inside": inside}


def run(stage: Stage, given: Arrays, rows: list[int]) -> Arrays:
    return dict(stage.fn(**{name: array[rows] for name, array in given.items()}))


def test_numbers_equal_a_plain_loop() -> None:
    given, stage = tiles(5), tile_network(weights=TINY, positive="any", map_scale=4, batch=4)
    got = run(stage, given, list(range(5)))
    network = load(find(TINY, VNET), lambda _: VNet(VNET_PRESETS["tiny"]))
    for row in range(5):
        pixels = torch.from_numpy(given["rgb"][row : row + 1]).permute(0, 3, 1, 2) / 255
        with torch.inference_mode():
            said = network((pixels - 0.5) / 0.25)
        p = 1 - said.pixel_logits.softmax(1)[0, 0].double().numpy()
        height, width = given["inside"][row]
        np.testing.assert_allclose(got["features"][row], said.features[0], atol=1e-5)
        np.testing.assert_allclose(got["class_prob"][row], said.class_logits.softmax(1)[0], atol=1e-6)
        np.testing.assert_allclose(got["positive_sum"][row], p[:height, :width].sum(), rtol=1e-5)
        np.testing.assert_allclose(got["positive_mean"][row], p[:height, :width].mean(), rtol=1e-5)
        for y in range(16):
            for x in range(16):
                part = p[4 * y : min(4 * y + 4, height), 4 * x : min(4 * x + 4, width)]
                expected = 255 * part.mean() if part.size else 0
                assert abs(float(got["probability"][row, y, x]) - expected) <= 0.5 + 1e-3


@pytest.mark.parametrize(("preset", "dtype"), [("tiny", "float32"), ("light", "float32"), ("light", "bfloat16")])
def test_a_tile_has_the_same_bytes_whichever_tiles_share_its_unit(preset: str, dtype: str) -> None:
    count, side = (11, 64) if preset == "tiny" else (6, 512)
    given = tiles(count, side)
    stage = tile_network(weights=f"untrained:0:{preset}", batch=4, dtype=dtype)
    whole = run(stage, given, list(range(count)))
    shuffled = np.random.default_rng(1).permutation(count).tolist()
    groups = [shuffled, *([row] for row in range(min(3, count))), shuffled[: count // 2], list(range(count))[::-1]]
    for rows in groups:
        part = run(stage, given, rows)
        for name, array in part.items():
            for place, row in enumerate(rows):
                assert array[place].tobytes() == whole[name][row].tobytes(), (name, rows)


def test_what_the_process_does_with_threads_changes_no_byte() -> None:
    given, stage = tiles(4, 256), tile_network(weights="untrained")
    torch.set_num_threads(1)
    expected = run(stage, given, [0, 1, 2, 3])
    torch.set_num_threads(2)
    with ThreadPoolExecutor(2) as pool:
        for got in pool.map(lambda _: run(stage, given, [0, 1, 2, 3]), range(4)):
            for name, array in expected.items():
                assert got[name].tobytes() == array.tobytes(), name
    assert tile_network(weights=TINY, threads=2).spec() != tile_network(weights=TINY).spec()


def test_no_tiles_give_empty_arrays_of_the_declared_kind() -> None:
    stage = tile_network(weights=TINY)
    got = run(stage, tiles(1), [])
    assert {name: (array.shape, array.dtype.name) for name, array in got.items()} == {
        "features": ((0, 16), "float32"), "class_prob": ((0, 4), "float32"), "positive_sum": ((0,), "float32"),
        "positive_mean": ((0,), "float32"), "probability": ((0, 16, 16), "uint8"),
    }  # fmt: skip
    assert [(spec.name, spec.dtype) for spec in stage.outputs] == [(n, a.dtype.name) for n, a in got.items()]


def test_categories_add_up_to_one_and_any_is_what_negative_leaves() -> None:
    given = tiles(2)
    mean = {p: run(tile_network(weights=TINY, positive=p), given, [0, 1])["positive_mean"] for p in POSITIVE}
    np.testing.assert_allclose(mean["any"] + mean["negative"], 1, atol=1e-6)
    np.testing.assert_allclose(sum(mean[p] for p in POSITIVE[1:]), 1, atol=1e-6)


def test_inputs_are_not_changed() -> None:
    given = tiles(3)
    before = {name: array.copy() for name, array in given.items()}
    for array in given.values():
        array.setflags(write=False)
    run(tile_network(weights=TINY), given, [0, 1, 2])
    for name, array in given.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_worker_rebuilds_the_stage() -> None:
    stage = tile_network(weights=TINY, batch=2, positive="invasive", map_scale=8, dtype="bf16")
    again = pickle.loads(pickle.dumps(stage))
    assert again == stage
    assert again.spec() == stage.spec()
    assert stage.ref.weights == find(TINY, VNET).sha256
    assert "weights" not in stage.ref.spec()["params"]
    chain([stage], [RGB, INSIDE])
    given = tiles(3)
    first, second = run(stage, given, [0, 1, 2]), run(again, given, [0, 1, 2])
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_bfloat16_is_close() -> None:
    given = tiles(4)
    exact, short = (run(tile_network(weights=TINY, dtype=d), given, [0, 3]) for d in ("float32", "bfloat16"))
    np.testing.assert_allclose(short["positive_mean"], exact["positive_mean"], atol=0.02)
    assert short["features"].dtype == np.float32


def test_wrong_options_are_named(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="positive: must be one of any, negative"):
        tile_network(weights=TINY, positive="lesion")
    with pytest.raises(ConfigError, match="1 or more"):
        tile_network(weights=TINY, batch=0)
    with pytest.raises(WeightsError, match="was planned with"):
        tile_network(weights=TINY, sha256="0" * 64)
    with pytest.raises(ConfigError, match=r"multiples of map_scale 5, got 64 x 64"):
        run(tile_network(weights=TINY, map_scale=5), tiles(1), [0])
    path = tmp_path / "gcn.safetensors"
    other = Card(name="g", architecture=VNET["tiny"].model_copy(update={"name": "gcn"}))
    save(path, VNet(VNET_PRESETS["tiny"]), other)
    with pytest.raises(WeightsError, match="this step needs 'vnet'"):
        tile_network(weights=str(path))
