"""Training of the deblurring network: it learns, resumes to the same bytes, ends in time, and says what is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from wsipipe.config import load
from wsipipe.errors import ConfigError, UsageError, WeightsError
from wsipipe.models.deblur_config import DEBLUR
from wsipipe.models.deblurring import build
from wsipipe.models.device import execution
from wsipipe.models.weights import find
from wsipipe.models.weights import load as load_weights
from wsipipe.train import loop
from wsipipe.train.config import identity
from wsipipe.train.deblur import task_of, train_deblur
from wsipipe.train.deblur_config import DeblurTraining
from wsipipe.train.deblur_degrade import every_way
from wsipipe.train.deblur_pictures import Pictures, read
from wsipipe.train.deblur_task import charge
from wsipipe.train.log import Log
from wsipipe.train.loop import Plan, fit

TINY = Path(__file__).parents[2] / "configs" / "deblur.tiny.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training and one validation picture: blobs on noise."""
    root, rng = tmp_path_factory.mktemp("sharp"), np.random.default_rng(0)
    for name in ("train/a", "train/b", "val/c"):
        path = root / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        field = cv2.GaussianBlur(rng.normal(0, 1, (256, 256, 3)), (0, 0), 2)
        cv2.imwrite(str(path), np.where(field > 0, 200, 90).astype(np.uint8))
    return root


def settings(folder: Path, *sets: str) -> DeblurTraining:
    return load(DeblurTraining, TINY, [f"data.folder={folder}", *sets])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_leaves_weights_a_card_and_limits_that_are_found_by_path(folder: Path, tmp_path: Path) -> None:
    outcome = train_deblur(settings(folder), tmp_path, quiet=True)
    card = find(outcome.weights, DEBLUR).card
    assert card.made["limits"].keys() >= {"blur_probability", "focus"}
    assert card.made["pictures"] == ["a.png x 1", "b.png x 1"]
    assert "not for clinical use" in card.notice
    assert (tmp_path / "report" / "README.md").read_text().count("|") > 20


def test_resumed_equals_uninterrupted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(folder)
    whole = train_deblur(config, tmp_path / "whole", quiet=True)

    class Killed(Exception):
        pass

    stepped = Log.stepped

    def dying(self: Log, progress: object, parts: object) -> None:
        stepped(self, progress, parts)  # type: ignore[arg-type]
        if progress.done == 4:  # type: ignore[attr-defined]
            raise Killed

    monkeypatch.setattr(Log, "stepped", dying)
    with pytest.raises(Killed):
        train_deblur(config, tmp_path / "cut", quiet=True)
    monkeypatch.setattr(Log, "stepped", stepped)
    resumed = train_deblur(config, tmp_path / "cut", quiet=True)
    assert digest(resumed.weights) == digest(whole.weights)


def test_the_clock_ends_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(folder, "schedule.seconds=60", "schedule.steps=50", "schedule.epochs=9")
    how = execution("cpu", threads=1)
    rgb, names = read(config.data, "train", 112, seed=0)
    pictures = Pictures.of(rgb * 2, names * 2, "cpu")
    task = task_of(config, how, pictures, pictures)
    now = iter(range(0, 10**6, 7))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(type(task), "validate", lambda self: {"score": 0.0})
    with Log(tmp_path, quiet=True) as log:
        progress = fit(task, Plan(config.schedule, identity(config), tmp_path, 1e9, seconds=60), log)
    assert 0 < progress.done < 50
    assert progress.epoch == 1


def test_the_sub_models_begin_as_one_and_are_told_apart(folder: Path) -> None:
    config = settings(folder)
    rgb, names = read(config.data, "train", 112, seed=0)
    pictures = Pictures.of(rgb, names, "cpu")
    task = task_of(config, execution("cpu", threads=1), pictures, pictures)
    first, later = next(task.batches(0, 0)), next(task.batches(1, 0))
    assert (first.together, later.together) == (True, False)
    task.loss(first)["loss"].backward()
    used = [any(p.grad is not None for p in one.parameters()) for one in task.module.submodels]
    assert used == [True, False, False]
    task.loss(later)["loss"].backward()
    assert all(any(p.grad is not None for p in one.parameters()) for one in task.module.submodels)


def test_weights_of_sub_models_weigh(folder: Path) -> None:
    kinds = "[{kinds: [motion], weight: %s}, {kinds: [defocus, both], weight: %s}]"
    losses = []
    for weights in ((1, 1), (0, 1), (1, 0)):
        config = settings(folder, f"submodels={kinds % weights}")
        rgb, names = read(config.data, "train", 112, seed=0)
        pictures = Pictures.of(rgb, names, "cpu")
        task = task_of(config, execution("cpu", threads=1), pictures, pictures)
        torch.manual_seed(0)
        losses.append(float(task.loss(next(task.batches(1, 0)))["restore"].detach()))
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-4)


def test_decibels_weigh_slight_blurs_as_much_as_strong_ones() -> None:
    slight, strong = torch.full((1, 3, 4, 4), 0.01), torch.full((1, 3, 4, 4), 0.1)

    def tenth_off(off: torch.Tensor, measure: str) -> float:
        return float(charge(off, measure) - charge(0.9 * off, measure))

    assert tenth_off(slight, "absolute") < 0.2 * tenth_off(strong, "absolute")
    assert tenth_off(slight, "decibels") == pytest.approx(tenth_off(strong, "decibels"), rel=0.01)


def test_it_begins_from_other_weights_of_the_same_form(folder: Path, tmp_path: Path) -> None:
    first = train_deblur(settings(folder), tmp_path, quiet=True).weights
    config = settings(folder, f"init={first}")
    rgb, names = read(config.data, "train", 112, seed=0)
    pictures = Pictures.of(rgb, names, "cpu")
    begun = task_of(config, execution("cpu", threads=1), pictures, pictures).module
    given = load_weights(find(str(first), DEBLUR), build)
    assert all(torch.equal(a, b) for a, b in zip(begun.state_dict().values(), given.state_dict().values(), strict=True))
    other = settings(folder, f"init={first}", "submodels=[{kinds: [motion, defocus, both]}]")
    with pytest.raises(WeightsError, match="another form"):
        task_of(other, execution("cpu", threads=1), pictures, pictures)


def test_every_way_is_there_and_sharp_is_only_noisy(folder: Path) -> None:
    config = settings(folder)
    rgb, names = read(config.data, "train", 112, seed=0)
    generator = torch.Generator().manual_seed(1)
    wide = Pictures.of(rgb, names, "cpu").crops(2, 112, generator)
    data = every_way(wide, config.blurs, generator)
    assert data.kind.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert data.seen.shape == data.sharp.shape == (8, 3, 64, 64)
    off = (data.seen - data.sharp).abs().mean(dim=(1, 2, 3)) * 255
    assert float(off[:2].max()) < 3
    assert float(off[2:].min()) > float(off[:2].max())
    assert torch.equal(data.seen * 255, (data.seen * 255).round())


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train/ and val/"):
        train_deblur(settings(tmp_path / "nothing"), tmp_path / "out", quiet=True)
    with pytest.raises(UsageError, match="sides of 448 px"):
        read(settings(folder).data, "train", 448, seed=0)
    with pytest.raises(ConfigError, match="span"):
        settings(folder, "blurs.length_px=[9, 3]")
    with pytest.raises(ConfigError, match="none takes"):
        settings(folder, "submodels=[{kinds: [motion]}]")


def test_the_default_page_says_the_defaults() -> None:
    assert load(DeblurTraining, TINY.with_name("deblur.yaml")) == DeblurTraining()
