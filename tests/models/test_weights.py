"""Files that become tensors: found, checked, loaded, or refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wsipipe.errors import WeightsError
from wsipipe.models import weights
from wsipipe.models.architecture import VNET, VNET_PRESETS, Architecture, VNetConfig, settings
from wsipipe.models.card import Card, FeatureStatistics
from wsipipe.models.vnet import VNet, parameters
from wsipipe.models.weights import find, hash_file, load, save, statistics

CARD = Card(name="mine", architecture=VNET["tiny"], training_data="none", gflop_per_tile=0.1)


def build(card: Card) -> VNet:
    return VNet(settings(card.architecture, "vnet", VNetConfig))


def saved(folder: Path, known: FeatureStatistics | None = None) -> tuple[Path, VNet]:
    torch.manual_seed(5)
    made = VNet(VNET_PRESETS["tiny"])
    path = folder / "mine.safetensors"
    save(path, made, CARD, known=known)
    return path, made


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path, made = saved(tmp_path)
    file = find(path)
    got = load(file, build)
    assert not got.training
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, got.state_dict()[name]), name
    assert file.sha256 == hash_file(path) == json.loads(path.with_suffix(".json").read_text())["sha256"]
    assert file.card.parameters == parameters(made)
    assert sorted(part.name for part in tmp_path.iterdir()) == ["mine.json", "mine.safetensors"]


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = saved(tmp_path / "a")[0], saved(tmp_path / "b")[0]
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()


def test_statistics_travel_in_the_same_file(tmp_path: Path) -> None:
    known = FeatureStatistics(np.arange(12.0).reshape(3, 4), np.eye(4) / 3)
    path, _ = saved(tmp_path, known)
    got = statistics(find(path))
    assert got is not None
    np.testing.assert_array_equal(got.means, known.means)
    np.testing.assert_array_equal(got.precision, known.precision)
    load(find(path), build)
    assert statistics(find(saved(tmp_path)[0])) is None
    assert statistics(find("untrained", VNET)) is None


def test_untrained_networks_are_their_seed() -> None:
    first, second, other = (load(find(f"untrained:{s}:tiny", VNET), build) for s in (3, 3, 4))
    pairs = zip(first.parameters(), second.parameters(), other.parameters(), strict=True)
    same = [(torch.equal(a, b), torch.equal(a, c)) for a, b, c in pairs]
    assert all(a for a, _ in same)
    assert not all(c for _, c in same)


def test_loading_leaves_the_random_state_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load(find("untrained:9:tiny", VNET), build)
    assert torch.equal(torch.rand(3), expected)


def test_shipped_weights_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert find("mine").path == tmp_path / "mine.safetensors"
    with pytest.raises(WeightsError, match="did you mean 'mine'"):
        find("mien")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"no/such\.safetensors: there is no such weights file"):
        find("no/such.safetensors")
    with pytest.raises(WeightsError, match="untrained\\[:SEED"):
        find("untrained:x", VNET)
    with pytest.raises(WeightsError, match="no weights of this name"):
        find("untrained")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="their card says"):
        find(path)


def test_a_truncated_file_with_its_own_hash_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-8])
    rewrite(path, sha256=hash_file(path))
    with pytest.raises(WeightsError, match="no readable safetensors"):
        load(find(path), build)
    with pytest.raises(WeightsError, match="no readable safetensors"):
        statistics(find(path))


def test_a_missing_or_wrong_card_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    rewrite(path, colour="blue")
    with pytest.raises(WeightsError, match=r"mine\.json is wrong at colour"):
        find(path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(WeightsError, match=r"mine\.json is wrong at the file"):
        find(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="need a card beside them"):
        find(path)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    rewrite(path, architecture={"name": "gcn", "config": {}})
    with pytest.raises(WeightsError, match="are for a 'gcn' network, this step needs 'vnet'"):
        load(find(path), build)
    rewrite(path, architecture={"name": "vnet", "config": {"levels": 3}})
    with pytest.raises(WeightsError, match="wrong at levels"):
        load(find(path), build)


def test_tensors_must_be_those_of_the_architecture(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    config = VNET_PRESETS["tiny"].model_copy(update={"features": 8, "convs": (2, 1, 1)})
    rewrite(path, architecture=Architecture(name="vnet", config=config.model_dump(mode="json")).model_dump())
    with pytest.raises(
        WeightsError, match=r"6 missing .*encoder.0.convs.1.*6 of another shape .first: category.weight"
    ):
        load(find(path), build)


def test_weights_must_be_those_of_the_plan() -> None:
    file = find("untrained:0:tiny", VNET)
    assert file.check("") is file is file.check(file.sha256)
    with pytest.raises(WeightsError, match="was planned with weights of sha256 abc"):
        file.check("abc")


def test_a_full_disk_keeps_the_last_good_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, made = saved(tmp_path)
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights.os, "fsync", full)
    with pytest.raises(WeightsError, match="No space left on device"):
        save(path, made, CARD)
    assert before == (path.read_bytes(), path.with_suffix(".json").read_bytes())
    assert len(list(tmp_path.iterdir())) == 2


def test_finding_and_reading_needs_no_torch(tmp_path: Path) -> None:
    path, _ = saved(tmp_path, FeatureStatistics(np.zeros((1, 2)), np.eye(2)))
    code = (
        "import sys; from wsipipe.models.weights import find, statistics; from wsipipe.models import device;"
        "import wsipipe.lesion.network as n, wsipipe.lesion.gate as g, wsipipe.graph.gcn as c, wsipipe.graph.topk as t;"
        f"f = find({str(path)!r}); statistics(f); device.execution_fingerprint(device.execution('cpu'));"
        f"n.tile_network(weights={str(path)!r}, sha256=f.sha256); c.classify(weights='untrained');"
        "import wsipipe.graph.pearson, wsipipe.graph.baseline, wsipipe.lesion.regions;"
        "print(sorted(m for m in ('torch', 'torch_geometric', 'dask', 'zarr') if m in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("changes", [{"convs": [1, 1, 10**9]}, {"hidden": 10**9}, {"channels": [8, 10**9, 8]}], ids=str)
def test_a_network_too_large_to_be_true_is_not_built(changes: dict[str, object]) -> None:
    tiny = VNET["tiny"]
    with pytest.raises(WeightsError, match=r"wrong at .*less than or equal"):
        settings(tiny.model_copy(update={"config": tiny.config | changes}), "vnet", VNetConfig)


@pytest.mark.parametrize("seed", [[1], "x", -1, 2**70, True, None], ids=str)
def test_a_seed_that_is_none_is_refused(tmp_path: Path, seed: object) -> None:
    path, _ = saved(tmp_path)
    rewrite(path, made={"seed": seed})
    with pytest.raises(WeightsError, match=r"made\.seed is a whole number"):
        load(find(path), build)


def rewrite(path: Path, **changes: object) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))
