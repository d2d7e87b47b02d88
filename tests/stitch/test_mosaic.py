"""Fields to a mosaic: exact where nothing was done to them, close to the truth where much was, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.stitch.made import TINY, stitch, write
from wsipipe.errors import SlideOpenError, StitchError, StoppedError, UsageError
from wsipipe.evaluate.stitch import fields_table, rigid_gap
from wsipipe.grid import Box
from wsipipe.phantom import fields as made
from wsipipe.pipelines import microscope
from wsipipe.run.course import Course, Work
from wsipipe.run.mosaic import make
from wsipipe.run.mosaic.make import phases
from wsipipe.run.mosaic.plan import fields_of
from wsipipe.run.pool import Pool
from wsipipe.slide import open_slide

SIDE = 192
JITTER = made.Microscope(SIDE, overlap=0.25, jitter_px=8)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def test_a_cut_picture_is_put_together_exactly(tmp_path: Path) -> None:
    truth = write(tmp_path / "f", JITTER)
    found = stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25", "places.mpp=0.5"])
    placed = fields_table(found, truth)
    corner = truth.middle - (SIDE - 1) / 2
    assert np.allclose(placed[["y", "x"]], corner - corner.min(axis=0), atol=0.02)
    slide = open_slide(tmp_path / "m.zarr")
    assert slide.info.mpp == pytest.approx(0.5)
    y, x = corner.min(axis=0).astype(int)
    height, width = slide.info.shape
    truth_pixels = made.texture((620, 620), 3)(Box(y, x, height, width))
    pixels = slide.read(Box(0, 0, height, width), level=0)
    covered = np.zeros((height, width), bool)
    for top, left in corner.astype(int) - (y, x):
        covered[top : top + SIDE, left : left + SIDE] = True
    assert (pixels == truth_pixels)[covered].all()
    assert (pixels[~covered] == 255).all()


def test_turned_shaded_and_noisy_fields_are_placed_within_a_pixel(tmp_path: Path) -> None:
    how = made.Microscope(SIDE, 0.25, 8, turn_deg=0.2, vignetting=0.25, noise=2.0, blur_px=0.8)
    truth = write(tmp_path / "f", how)
    found = stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25"])
    placed = fields_table(found, truth)
    gap = rigid_gap(placed[["y", "x"]].to_numpy(), truth.middle, np.ones(len(truth.middle), bool))
    assert np.hypot(*gap.T).max() < 1
    assert "left as it is" not in (found.said or {})["light"]


def test_empty_fields_are_flagged_and_placed_by_the_stage_model(tmp_path: Path) -> None:
    truth = write(tmp_path / "f", made.Microscope(SIDE, 0.25, 8, noise=1.0, empty_share=0.12))
    found = stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25"])
    placed = fields_table(found, truth)
    known = (placed["status"] == "registered").to_numpy()
    assert not known[truth.empty].any()
    gap = rigid_gap(placed[["y", "x"]].to_numpy(), truth.middle, known)
    assert np.abs(gap[truth.empty]).max() <= 16


def test_groups_that_no_edge_joins_are_told(tmp_path: Path) -> None:
    how = made.Microscope(SIDE, 0.25, 8)
    truth = made.layout((620, 620), how, 3)
    picture = np.array(made.texture((620, 620), 3)(Box(0, 0, 620, 620)))
    middle = int(truth.middle[truth.cell[:, 1] == 1, 1].mean())
    picture[:, middle - 110 : middle + 110] = made.GLASS
    made.write(tmp_path / "f", made.from_array(picture), truth, how)
    found = stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25"])
    placed = fields_table(found, truth)
    assert (found.said or {})["groups"] == 2
    assert placed["group"][truth.cell[:, 1] == 0].nunique() == 1
    assert set(placed["group"][truth.cell[:, 1] != 1]) == {1, 2}


def test_a_field_of_another_slide_is_found_and_left_out(tmp_path: Path) -> None:
    truth = write(tmp_path / "f", JITTER)
    stranger = made.texture((620, 620), 99)(Box(30, 30, SIDE, SIDE))
    Image.fromarray(stranger).save(tmp_path / "f" / truth.name(4))
    found = stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25"])
    placed = fields_table(found, truth)
    assert placed["status"][4] == "outlier"
    assert not placed["in_mosaic"][4]
    assert (placed["status"].drop(4) == "registered").all()


def test_a_missing_field_is_told(tmp_path: Path) -> None:
    truth = write(tmp_path / "f", JITTER)
    (tmp_path / "f" / truth.name(4)).unlink()
    found = stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25"])
    assert (found.said or {})["missing"] == ["row 1, column 1"]


def test_fields_that_do_not_overlap_or_lie_in_another_order_are_refused(tmp_path: Path) -> None:
    how = made.Microscope(SIDE, -0.05)
    write(tmp_path / "f", how, shape=(690, 690))
    with pytest.raises(StitchError, match="do not overlap, or lie in another order"):
        stitch(tmp_path / "f", tmp_path / "m.zarr")


def test_a_table_places_fields_that_do_not_overlap(tmp_path: Path) -> None:
    truth = write(tmp_path / "f", made.Microscope(SIDE, -0.05), shape=(690, 690))
    corner = truth.middle - (SIDE - 1) / 2
    rows = [{"file": truth.name(i), "y": y, "x": x} for i, (y, x) in enumerate(corner)]
    pd.DataFrame(rows).to_csv(tmp_path / "p.csv", index=False)
    found = stitch(tmp_path / "f", tmp_path / "m.zarr", [f"places.positions={tmp_path / 'p.csv'}"])
    placed = fields_table(found, truth)
    assert np.allclose(placed[["y", "x"]], corner - corner.min(axis=0), atol=0.5)


@pytest.mark.parametrize("kind", ["grey", "deep", "alpha"])
def test_grey_sixteen_bit_and_alpha(tmp_path: Path, kind: str) -> None:
    truth = write(tmp_path / "f", JITTER)
    for index in range(len(truth.middle)):
        path = tmp_path / "f" / truth.name(index)
        pixels = np.asarray(Image.open(path))
        if kind == "alpha":
            Image.fromarray(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])).save(path)
        elif kind == "grey":
            Image.fromarray(pixels[..., 0]).save(path)
        else:
            Image.fromarray(pixels[..., 0].astype(np.uint16) * 16).save(path)
    stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25"])
    slide = open_slide(tmp_path / "m.zarr")
    pixels = slide.read(Box(40, 40, 100, 100), level=0)
    assert slide.info.channels == 3
    assert pixels.std() > 5
    if kind != "alpha":
        assert (pixels[..., 0] == pixels[..., 2]).all()


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    write(tmp_path / "f", made.Microscope(SIDE, 0.25, 8, vignetting=0.2, noise=1.0))
    whole = stitch(tmp_path / "f", tmp_path / "a" / "m.zarr", ["places.overlap=0.25"])
    mosaic = tmp_path / "b" / "m.zarr"
    plan = microscope.plan(tmp_path / "f", mosaic, None, [*TINY, "places.overlap=0.25"])
    for stop_after in (3, 12, 25, 34):
        with Pool(workers=0) as pool:
            done: list[int] = []

            def count() -> None:
                done.append(1)  # noqa: B023
                if len(done) >= stop_after:  # noqa: B023
                    pool.stop()

            slide = fields_of(plan.text())
            folder = Path(plan.beside)
            folder.mkdir(parents=True, exist_ok=True)
            work = Work(str(folder / f"work-{plan.key(slide.info.fingerprint)}"), plan.text())
            Course(work, phases(work, slide, plan), pool, tell=lambda phase, units: None, check=count).run()
        assert not mosaic.exists()
    resumed = make(plan, mosaic, lambda: Pool(workers=0), tell=lambda p, d: None, say=lambda line: None)
    assert tree(whole.mosaic) == tree(resumed.mosaic)
    for name in ("edges.csv", "edges.parquet", "fields.csv", "edges.png", "mosaic.png", "stitch.json"):
        assert (whole.beside / name).read_bytes() == (resumed.beside / name).read_bytes()
    assert not list(resumed.beside.glob("work-*"))


def test_made_already_nothing_is_done(tmp_path: Path) -> None:
    write(tmp_path / "f", JITTER)
    stitch(tmp_path / "f", tmp_path / "m.zarr", ["places.overlap=0.25"])

    def no_pool() -> Pool:
        raise StoppedError("no workers are needed")

    plan = microscope.plan(tmp_path / "f", tmp_path / "m.zarr", None, [*TINY, "places.overlap=0.25"])
    assert make(plan, tmp_path / "m.zarr", no_pool, tell=lambda p, d: None).whole


def test_what_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "f", JITTER)
    (tmp_path / "m.zarr").mkdir()
    (tmp_path / "m.zarr" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not replaced"):
        stitch(tmp_path / "f", tmp_path / "m.zarr")


@pytest.mark.parametrize("order", ["fields", "mosaic"])
def test_both_orders_of_deblurring_sharpen(tmp_path: Path, order: str) -> None:
    write(tmp_path / "f", made.Microscope(SIDE, 0.25, 8, blur_px=1.2), shape=(430, 430))
    plain = stitch(tmp_path / "f", tmp_path / "a.zarr", ["places.overlap=0.25"])
    sets = ["places.overlap=0.25", "deblur.method=wiener", f"deblur.order={order}"]
    sharp = stitch(tmp_path / "f", tmp_path / "b.zarr", sets)
    before, after = (open_slide(one.mosaic).read(Box(60, 60, 128, 128), level=0).std() for one in (plain, sharp))
    assert after > before


def test_fields_of_another_size_are_refused(tmp_path: Path) -> None:
    truth = write(tmp_path / "f", JITTER)
    Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(tmp_path / "f" / truth.name(0))
    with pytest.raises(SlideOpenError, match="one size and colour"):
        stitch(tmp_path / "f", tmp_path / "m.zarr")
