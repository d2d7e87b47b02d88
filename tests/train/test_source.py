"""A laboratory's own tables, masks and tile sets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.train.conftest import painted
from wsipipe.config import load
from wsipipe.errors import UsageError
from wsipipe.models.card import CATEGORIES
from wsipipe.run.job import Recipe
from wsipipe.train.config import TilesConfig
from wsipipe.train.source import gather
from wsipipe.train.table import SLIDE_COLUMNS, TILE_COLUMNS, read_table
from wsipipe.train.tileset import TileSet

NOWHERE = Recipe("wsipipe.pipelines.gastric:build", "{}")
SHARES = (0.5, 0.5, 0.0)


@pytest.fixture
def tile_set(tmp_path: Path) -> Path:
    """Sixteen tiles with masks, four of each category, and their table."""
    rng, lines = np.random.default_rng(1), ["picture,mask,category,case_id"]
    for number in range(16):
        kind = number % 4
        rgb, mask = painted(kind, rng)
        cv2.imwrite(str(tmp_path / f"{number}.png"), rgb[..., ::-1])
        cv2.imwrite(str(tmp_path / f"{number}-mask.png"), mask)
        lines.append(f"{number}.png,{number}-mask.png,{CATEGORIES[kind]},case-{number}")
    (tmp_path / "tiles.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def configured(table: Path, **sets: str) -> TilesConfig:
    texts = ["data.source=tiles", f"data.own.table={table}", "data.own.split=[0.5,0.5,0.0]", "tile.size=64"]
    return load(
        TilesConfig, None, [*texts, "tissue.scale=8", "schedule.crop_px=32", *(f"{k}={v}" for k, v in sets.items())]
    )


def test_tile_sets_become_shards_and_are_made_once(tile_set: Path, tmp_path: Path) -> None:
    config = configured(tile_set / "tiles.csv")
    folder = gather(config, NOWHERE, tmp_path / "cache")
    train, val = TileSet.of(folder, "train"), TileSet.of(folder, "val")
    assert len(train) == len(val) == 8
    assert np.bincount(train.label).tolist() == [2, 2, 2, 2]
    for row, (number, _) in enumerate(train.where.tolist()):
        case = train.shards[number].case_id.removeprefix("case-")
        rgb, mask = train.read(row)
        np.testing.assert_array_equal(rgb, cv2.imread(str(tile_set / f"{case}.png"))[..., ::-1])
        np.testing.assert_array_equal(mask, cv2.imread(str(tile_set / f"{case}-mask.png"), cv2.IMREAD_UNCHANGED))
    before = (folder / "index.json").stat().st_mtime_ns
    assert gather(config, NOWHERE, tmp_path / "cache") == folder
    assert (folder / "index.json").stat().st_mtime_ns == before


def test_missing_masks_are_named(tile_set: Path, tmp_path: Path) -> None:
    text = (tile_set / "tiles.csv").read_text().replace("1-mask.png,low", ",low").replace("2-mask.png,high", ",high")
    (tile_set / "tiles.csv").write_text(text.replace("0-mask.png,negative", ",negative"))
    with pytest.raises(UsageError, match=r"2 of 16 have no mask \(1\.png, 2\.png\)"):
        gather(configured(tile_set / "tiles.csv"), NOWHERE, tmp_path / "cache")


def test_a_category_without_tiles_is_named(tile_set: Path, tmp_path: Path) -> None:
    lines = (tile_set / "tiles.csv").read_text().splitlines()
    (tile_set / "tiles.csv").write_text("\n".join(line for line in lines if "high_grade" not in line))
    folder = gather(configured(tile_set / "tiles.csv"), NOWHERE, tmp_path / "cache")
    with pytest.raises(UsageError, match=r"needs a tile in split 'train', there is none of high_grade"):
        TileSet.of(folder, "train")


def test_a_mask_value_that_is_no_category_is_refused(tile_set: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tile_set / "3-mask.png"), np.full((64, 64), 9, np.uint8))
    with pytest.raises(UsageError, match=r"a pixel is 0 to 3 .* got the values \[9\]"):
        gather(configured(tile_set / "tiles.csv"), NOWHERE, tmp_path / "cache")


def test_a_picture_smaller_than_a_tile_is_refused(tile_set: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tile_set / "3.png"), np.zeros((40, 64, 3), np.uint8))
    with pytest.raises(UsageError, match="64 x 64 px or more is needed, got 40 x 64 px"):
        gather(configured(tile_set / "tiles.csv"), NOWHERE, tmp_path / "cache")


def test_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.own\.table is the path of a CSV, got ''"):
        gather(load(TilesConfig, None, ["data.source=slides"]), NOWHERE, tmp_path)


def table(folder: Path, *lines: str) -> Path:
    for name in ("a.svs", "b.svs", "c.svs"):
        (folder / name).touch()
    path = folder / "slides.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_unknown_category_names_the_nearest(tmp_path: Path) -> None:
    path = table(tmp_path, "wsi,category", "a.svs,low grade")
    with pytest.raises(UsageError, match=r"got 'low grade': did you mean low_grade\?"):
        read_table(path, SLIDE_COLUMNS, shares=SHARES, seed=0)


def test_one_case_in_two_splits_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "wsi,case_id,category,split", "a.svs,P1,negative,train", "b.svs,P1,negative,val")
    with pytest.raises(UsageError, match="P1: splitting cases: one case is in 'train' and in 'val'"):
        read_table(path, SLIDE_COLUMNS, shares=SHARES, seed=0)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("wsi,case_id", "a.svs,P1"), "the columns are wsi, category"),
        (("wsi,category,colour", "a.svs,negative,red"), "the columns are wsi, category"),
        (("wsi,category",), "it has no rows"),
        (("wsi,category", "z.svs,negative"), "z.svs: reading the table: there is no such file"),
        (("wsi,category,mpp", "a.svs,negative,500"), "an mpp is a number from 0.05 to 20"),
    ],
)
def test_bad_tables_say_why(tmp_path: Path, lines: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_table(table(tmp_path, *lines), SLIDE_COLUMNS, shares=SHARES, seed=0)


def test_a_slide_list_with_truth_is_read(tmp_path: Path) -> None:
    path = table(
        tmp_path, "wsi,mpp,case_id,category", "a.svs,0.25,P1,negative", "b.svs,,P2,negative", "c.svs,,P2,negative"
    )
    rows = read_table(path, SLIDE_COLUMNS, shares=SHARES, seed=0)
    assert [(row.path.name, row.mpp, row.case_id) for row in rows] == [
        ("a.svs", 0.25, "P1"), ("b.svs", None, "P2"), ("c.svs", None, "P2")
    ]  # fmt: skip
    assert rows[1].split == rows[2].split != rows[0].split
    assert TILE_COLUMNS[0] == "picture"
