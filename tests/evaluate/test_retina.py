"""Retinal evaluation: one ruler for ours and others, the published draw, tables, ablation and folds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from wsipipe.cli.app import app
from wsipipe.errors import SlideError, UsageError
from wsipipe.evaluate import retina_ablation as page
from wsipipe.evaluate.retina import (
    CLEAN,
    PLAIN,
    REPAIRED,
    Asked,
    as_json,
    evaluate,
    evaluate_folder,
    export,
    from_json,
    shown,
)
from wsipipe.evaluate.retina_table import by_picture, condition_table, gain, repair_table
from wsipipe.phantom.fundus import write_fundus
from wsipipe.vessel.degrade import KINDS
from wsipipe.vessel.folder import cases

TINY = Path(__file__).parents[2] / "configs" / "retina-train.tiny.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("fundus")
    write_fundus(made, 4, 1, size=(96, 96))
    return made


@pytest.fixture(scope="module")
def found(folder):
    return cases(folder)


def oracle(found):
    """A program that knows the truth of the clean pictures, by their pixels."""
    known = {case.working().picture.tobytes(): case.working() for case in found}

    def segment(picture):
        case = known.get(picture.tobytes()) or next(iter(known.values()))
        maps = np.zeros((3, *case.label.shape), np.float32)
        for channel, codes in enumerate(((1, 3), (2,), (1, 2, 3))):
            maps[channel] = np.isin(case.label, codes)
        return maps

    return segment


def test_the_truth_is_counted_as_perfect_on_clean_pictures(found):
    asked = Asked(conditions=(CLEAN, *KINDS), repaired=True, topology=False)
    records = evaluate(shown(found[:2], asked), oracle(found), asked)
    assert len(records) == 2 * 8 * 2
    clean = by_picture(records, (CLEAN,), PLAIN)
    assert sorted(clean) == [case.name for case in found[:2]]
    assert all(row[0] == row[3] == 100 for row in clean.values())
    table = condition_table(records, title="t")
    names = [row[0] for row in table.rows]
    assert names.count("clean") == names.count("mean of seven") == names.count("blur") == 2
    assert "crossing or uncertain ones are left out" in table.notes[0]
    assert [row[0] for row in repair_table(records, PLAIN, REPAIRED).rows] == ["clean", "mean of seven"]
    assert from_json(json.loads(json.dumps(as_json(records)))) == records or any(
        np.isnan(one.counts.topology) for one in records
    )


def test_gains_are_paired(found):
    ours = {"a": np.arange(11.0), "b": np.arange(11.0) + 5}
    theirs = {"a": np.arange(11.0) - 1, "b": np.arange(11.0) + 4, "c": np.zeros(11)}
    told = gain(ours, theirs, "g_acc")
    assert (told.value, told.low, told.high) == pytest.approx((1, 1, 1))
    assert str(told) == "1.00 [1.00, 1.00]"


def test_other_programs_are_counted_by_the_same_ruler(found, tmp_path):
    for case in found:
        Image.fromarray(case.label).save(tmp_path / f"{case.name}.png")
    records = evaluate_folder(found, tmp_path, Asked(topology=False))
    assert {one.condition for one in records} == {CLEAN}
    assert all(one.counts.s_acc == one.counts.g_acc == 1 for one in records)


def test_probabilities_in_colour_are_understood_and_conditions_have_folders(found, tmp_path):
    for condition in (CLEAN, "blur"):
        (tmp_path / condition).mkdir()
        for case in found:
            colour = np.stack([np.isin(case.label, codes) * 200 for codes in ((1, 3), (1, 2, 3), (2,))], axis=2)
            Image.fromarray((colour + 9).astype(np.uint8)).save(tmp_path / condition / f"{case.name}.png")
    records = evaluate_folder(found, tmp_path, Asked(topology=False))
    assert {one.condition for one in records} == {CLEAN, "blur"}
    assert all(one.counts.g_acc == 1 for one in records)


def test_missing_and_wrong_predictions_are_refused(found, tmp_path):
    with pytest.raises(UsageError, match="one PNG per picture"):
        evaluate_folder(found, tmp_path, Asked())
    Image.new("L", (5, 4)).save(tmp_path / f"{found[0].name}.png")
    with pytest.raises(SlideError, match="bring it to the picture's size"):
        evaluate_folder(found[:1], tmp_path, Asked())
    with pytest.raises(UsageError, match="conditions are"):
        Asked(conditions=("fog",))


def test_the_pictures_that_are_counted_can_be_had(found, tmp_path):
    asked = Asked(conditions=(CLEAN, "light"))
    assert export(found, tmp_path, asked) == 2 * len(found)
    record = json.loads((tmp_path / "record.json").read_text())
    assert {one["kind"] for one in record} == {CLEAN, "light"}
    got = np.asarray(Image.open(tmp_path / CLEAN / f"{found[0].name}.png"))
    assert np.array_equal(got, found[0].working().picture)


def test_the_verb_counts_and_writes(folder, tmp_path):
    options = ["--weights", "untrained:0:tiny", "--condition", "clean", "--condition", "jpeg", "--device", "cpu"]
    done = CliRunner().invoke(
        app,
        ["evaluate", "retina", "--data", str(folder), *options, "--folds", "2", "--threads", "1", "-o", str(tmp_path)],
    )
    assert done.exit_code == 0, done.output
    assert "Seeds of the degradations" in done.output
    told = json.loads((tmp_path / "table.json").read_text())
    assert {row["pictures"] for row in told["rows"]} == {2}
    assert len(json.loads((tmp_path / "pictures.json").read_text())["rows"]) == 2 * 2 * 2


def test_ablation_and_folds_share_their_work_and_make_tables(folder, tmp_path):
    bench = page.Bench(
        TINY,
        tmp_path,
        (f"data.folders=[{{path: {folder}}}]", "data.made.pictures=0", "data.folds=2", "schedule.steps=2"),
        asked=Asked(conditions=(CLEAN,), repaired=False, topology=False, cldice=False),
        flips=False,
    )
    experiments = page.ablation(["segmentation only", "+ rec", "enhance, then segment"], 1)
    assert page.run(experiments[:2], bench) == 2
    assert page.run(experiments, bench) == 1
    assert page.run(experiments, bench) == 0
    found = page.collect(experiments, tmp_path)
    table = page.ablation_table(found, title="t")
    assert [row[0] for row in table.rows] == ["segmentation only", "+ rec", "enhance, then segment"]
    assert table.rows[0][-1] is None
    assert table.rows[1][-4] == "segmentation only"
    assert [one.sets for one in page.folds(2)] == [("data.folds=2", "data.fold=0"), ("data.folds=2", "data.fold=1")]


def test_rows_of_the_source_are_all_there():
    named = {"segmentation only", "+ rec", "+ rec + ssim", "+ rec + mask", "enhance, then segment"}
    named |= {"all, mask 0.1", "all, mask 0.4", "all, mask 1.0"}
    assert named <= page.ROWS.keys()
    assert len({one.slug for one in page.ablation(list(page.ROWS), 3)}) == 3 * len(page.ROWS)
