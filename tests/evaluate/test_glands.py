"""Cross-validation of the segmentation branch on pictures with masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from wsipipe.config import load
from wsipipe.errors import UsageError
from wsipipe.evaluate.glands import evaluate_glands, folds
from wsipipe.train.glands import GlandsConfig, read_samples
from wsipipe.train.metric import pooled_dice

CONFIG = Path(__file__).parents[2] / "configs" / "glands.yaml"
SETS = [
    "network=tiny", "folds=2", "crops=4", "schedule.epochs=6", "schedule.batch=4", "schedule.crop_px=96",
    "numbers.dtype=float32", "machine.device=cpu", "machine.threads=1", "schedule.learning_rate=0.01",
]  # fmt: skip


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Dark discs on light ground; one picture is smaller than a crop."""
    for name in ("images", "masks"):
        (tmp_path / "in" / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        side = 80 if number == 5 else 128
        mask = np.zeros((side, side), np.uint8)
        cv2.circle(mask, (side // 2, side // 2), int(rng.integers(20, 36)), 255, -1)
        rgb = np.where(mask[..., None] > 0, (120, 60, 140), (230, 190, 220)) + rng.normal(0, 8, (side, side, 3))
        cv2.imwrite(str(tmp_path / "in/images" / f"p{number}.png"), rgb.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(tmp_path / "in/masks" / f"p{number}.png"), mask)
    return tmp_path / "in"


def test_the_written_defaults_are_the_defaults() -> None:
    assert load(GlandsConfig, CONFIG) == load(GlandsConfig, None)


def test_every_picture_is_in_one_fold() -> None:
    parts = folds([f"p{n}" for n in range(11)], 3, seed=1)
    assert sorted(len(part) for part in parts) == [3, 4, 4]
    assert set.union(*parts) == {f"p{n}" for n in range(11)}
    with pytest.raises(UsageError, match="3 folds need as many pictures"):
        folds(["a", "b"], 3, seed=0)


def test_dice_of_counts() -> None:
    assert pooled_dice(np.array([[1, 2, 2], [3, 4, 4]])) == pytest.approx(8 / 12)


def test_it_learns_writes_masks_and_gives_the_same_again(pictures: Path, tmp_path: Path) -> None:
    config = load(GlandsConfig, None, SETS)
    table = evaluate_glands(config, pictures, tmp_path / "out", quiet=True)
    assert table.rows[0][1].value > 0.5
    for path in (pictures / "masks").iterdir():
        said, true = (cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in (tmp_path / "out/masks" / path.name, path))
        assert said.shape == true.shape
        assert set(np.unique(said)) <= {0, 255}
    assert (tmp_path / "out/worst.png").is_file()
    again = evaluate_glands(config, pictures, tmp_path / "out", quiet=True)
    assert again.told() == table.told()


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda f: (f / "masks/p0.png").unlink(), "missing or no PNG"),
        (lambda f: cv2.imwrite(str(f / "masks/p0.png"), np.zeros((9, 9), np.uint8)), "both have one size"),
        (lambda f: cv2.imwrite(str(f / "masks/p0.png"), np.full((128, 128), 7, np.uint8)), "0 and 255"),
        (lambda f: [p.unlink() for p in (f / "images").iterdir()], "there is no picture"),
    ],
)
def test_wrong_folders_are_refused(pictures: Path, spoil: object, match: str) -> None:
    spoil(pictures)  # type: ignore[operator]
    with pytest.raises(UsageError, match=match):
        read_samples(pictures)
