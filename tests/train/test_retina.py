"""Training of the dual-branch network end to end: same bytes, resumed, held out, begun from weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wsipipe.config import load
from wsipipe.errors import ConfigError, UsageError, WeightsError
from wsipipe.models.device import execution
from wsipipe.phantom.fundus import write_fundus
from wsipipe.train import retina_loop
from wsipipe.train.retina import train_retina
from wsipipe.train.retina_config import RetinaConfig, RetinaDataSection
from wsipipe.train.retina_data import Source, colour_statistics, pool, split
from wsipipe.train.retina_made import made_cases
from wsipipe.vessel.network import forward, vessel_network

TINY = Path(__file__).parents[2] / "configs" / "retina-train.tiny.yaml"


def config(*sets: str) -> RetinaConfig:
    return load(RetinaConfig, TINY, list(sets))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("fundus")
    write_fundus(made, 4, 1, size=(96, 96))
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_retina(config(), tmp_path_factory.mktemp("trained"), quiet=True)


def test_same_seed_same_bytes_and_a_card(trained, tmp_path):
    again = train_retina(config(), tmp_path, quiet=True)
    assert trained.weights.read_bytes() == again.weights.read_bytes()
    assert trained.card.architecture.name == "dual_branch"
    assert "not for clinical use" in trained.card.notice
    assert trained.card.made["steps"] == 4
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    network = vessel_network(str(again.weights), how=execution("cpu"), enhance=True)
    vessel, enhanced = forward(network, np.zeros((1, 40, 40, 3), np.uint8))
    assert vessel.shape == (1, 3, 40, 40)
    assert enhanced.dtype == np.uint8


def test_a_killed_training_goes_on_to_the_same_bytes(trained, tmp_path, monkeypatch):
    real, steps = retina_loop._Run.step, iter(range(100))
    sets = ("machine.checkpoint_s=0.000001",)
    monkeypatch.setattr(retina_loop._Run, "step", lambda run: _step(run, steps, real))
    with pytest.raises(KeyboardInterrupt):
        train_retina(config(*sets), tmp_path, quiet=True)
    monkeypatch.setattr(retina_loop._Run, "step", real)
    again = train_retina(config(*sets), tmp_path, quiet=True)
    assert trained.weights.read_bytes() == again.weights.read_bytes()


def _step(run, steps, real):
    if next(steps) == 2:
        raise KeyboardInterrupt
    real(run)


def test_another_configuration_is_not_resumed(trained):
    with pytest.raises(ConfigError, match="another configuration"):
        train_retina(config("loss.rec=0.3"), trained.weights.parent, quiet=True)


def test_folds_keep_every_nth_picture(folder):
    sets = (f"data.folders=[{{path: {folder}}}]", "data.made.pictures=0", "data.folds=3", "data.fold=1")
    ((kept, judged),) = split(config(*sets).data)
    assert [case.name for case in judged] == sorted(case.name for case in kept + judged)[1::3]
    with pytest.raises(ValueError, match="fold is 0 to 1"):
        RetinaDataSection(folds=2, fold=2)


def test_weights_to_begin_from(trained, tmp_path):
    init = f"init={trained.weights}"
    short = ("schedule.steps=2", "schedule.learning_rate=0.000001", "schedule.average=0")
    made = train_retina(config(init, *short), tmp_path / "a", quiet=True)
    assert made.card.made["begun_from"] == "retina-tiny"
    assert made.card.mean == trained.card.mean
    with pytest.raises(WeightsError, match="another shape"):
        train_retina(config(init, "network=plain"), tmp_path / "b", quiet=True)


def test_a_network_without_enhancement_losses_has_no_enhancement_branch(tmp_path):
    made = train_retina(config("loss.rec=0", "loss.ssim=0", "loss.mask=0"), tmp_path, quiet=True)
    assert made.card.architecture.config["enhancer"] in ([], ())
    with pytest.raises(ConfigError, match="enhancement decoder"):
        vessel_network(str(made.weights), how=execution("cpu"), enhance=True)


def test_an_enhancement_network_before_the_next(trained, tmp_path):
    made = train_retina(config(f"before={trained.weights}", "schedule.steps=2"), tmp_path, quiet=True)
    assert made.card.made["config"]["before"] == "retina-tiny"


def test_the_clock_ends_a_training(tmp_path):
    made = train_retina(config("schedule.steps=100000", "schedule.seconds=1.5"), tmp_path, quiet=True)
    assert 0 < made.card.made["steps"] < 100000


def test_a_loss_that_is_no_number_is_told(tmp_path):
    with pytest.raises(Exception, match="is no number"):
        train_retina(config("schedule.learning_rate=1e30", "schedule.steps=12"), tmp_path, quiet=True)


def test_batches_are_a_function_of_seed_and_step_alone():
    settings = config()
    made = pool(made_cases(settings.data.made, 1), 1.0, "cpu")
    source = Source([], made, settings)
    one, again, other = source.batch(5, 0.0), source.batch(5, 0.0), source.batch(6, 0.0)
    assert torch.equal(one.poor, again.poor)
    assert not torch.equal(one.poor, other.poor)
    assert one.poor.shape == (2, 3, 64, 64)
    assert one.truth.label.shape == one.truth.counts.shape == (2, 3, 64, 64)
    assert 0 <= float(one.poor.min()) <= float(one.poor.max()) <= 1
    artery, vein, vessel = one.truth.label.unbind(1)
    assert bool((vessel >= artery).all() and (vessel >= vein).all())


def test_patches_show_the_picture_where_nothing_is_changed():
    sets = [f"augment.{name}=0" for name in ("turn_deg", "scale", "gain", "brightness", "gamma", "noise")]
    settings = config(
        *sets, "augment.flips=false", "schedule.degraded=0", "schedule.crop_px=128", "data.made.pictures=1"
    )
    (case,) = made_cases(settings.data.made, 1)
    patches = Source([], pool([case], 1.0, "cpu"), settings).batch(0, 0.0)
    got = (patches.truth.clean[0].permute(1, 2, 0).numpy() * 255).round()
    assert np.abs(got[16:112, 16:112] - case.picture.astype(float)).max() <= 1  # larger than the picture: in its middle
    label = patches.truth.label[0, :, 16:112, 16:112].numpy()
    np.testing.assert_allclose(label[2], case.label > 0, atol=1e-3)


def test_colour_statistics_are_those_of_the_field(folder):
    settings = config(f"data.folders=[{{path: {folder}}}]", "data.made.pictures=0")
    ((kept, _),) = split(settings.data)
    mean, std = colour_statistics([pool(kept, 1.0, "cpu")])
    light = np.concatenate([case.picture[case.field] for case in kept]) / 255
    np.testing.assert_allclose(mean, light.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(std, light.std(axis=0), atol=1e-3)


def test_a_folder_without_labels_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "images" / "a.png")
    with pytest.raises(UsageError, match="folder is missing"):
        train_retina(config(f"data.folders=[{{path: {tmp_path}}}]"), tmp_path / "out", quiet=True)


def test_the_configurations_that_ship_are_valid():
    for path in sorted(TINY.parent.glob("retina-*.yaml")):
        if path.stem.split("-")[1].split(".")[0] in ("train", "drive", "ablation", "made"):
            assert json.dumps(load(RetinaConfig, path, []).model_dump(mode="json"))
