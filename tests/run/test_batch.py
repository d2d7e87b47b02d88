"""The batch: which slide comes when, and what becomes of one whose units fail. Stages and stores are fakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run import fakes
from wsipipe.run.batch import Batch, Row
from wsipipe.run.policy import Policy
from wsipipe.run.pool import Pool

SIZES = {"b.svs": 200, "a.svs": 300, "copy.svs": 200, "c.svs": 100}
"""In the order given; files of one size have one content here."""


def worked(
    folder: Path, *, plan: fakes.Plan | None = None, policy: Policy | None = None, threads: int = 2
) -> tuple[dict[str, Row], fakes.Heard]:
    heard = fakes.Heard()
    job = fakes.job(plan or fakes.Plan(), folder)
    with fakes.in_place(), Pool(workers=0, threads=threads) as pool:
        rows = Batch(job, fakes.slides(folder / "in", SIZES), pool, heard, policy=policy).run()
    return {Path(row.source.path).name: row for row in rows}, heard


def test_the_largest_comes_first_and_the_first_of_two_copies_counts(tmp_path: Path) -> None:
    for threads in (1, 5):
        rows, heard = worked(tmp_path, threads=threads)
        assert heard.started == ["a", "b", "c"]
        assert {name: row.status for name, row in rows.items()} == {
            "a.svs": "done",
            "b.svs": "done",
            "copy.svs": "skipped",
            "c.svs": "done",
        }
        assert rows["copy.svs"].reason == "an alias: the same content as b"
        assert {name: row.index for name, row in rows.items()} == {name: place for place, name in enumerate(SIZES)}
        assert heard.done == 3 * 4


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_unit_is_tried_as_often_as_the_policy_says(tmp_path: Path, retries: int) -> None:
    rows, heard = worked(tmp_path, plan=fakes.Plan(wrong={"a": {2: 2}}), policy=Policy(retries=retries))
    assert rows["a.svs"].status == ("done" if retries == 2 else "failed")
    assert heard.failed == [("a", 2, tried < retries) for tried in range(min(retries, 1) + 1)]
    assert rows["b.svs"].status == rows["c.svs"].status == "done"


def test_a_failed_slide_says_where(tmp_path: Path) -> None:
    rows, heard = worked(tmp_path, plan=fakes.Plan(wrong={"b": {3: 9}}))
    row = rows["b.svs"]
    assert (row.status, row.error) == ("failed", "UnitError")
    assert row.reason == "step tiles, unit 3: OSError: made for a test"
    assert "Traceback" in row.trace
    assert heard.failed == [("b", 3, True), ("b", 3, False)]


def test_a_partial_slide_goes_on_without_its_units(tmp_path: Path) -> None:
    plan = fakes.Plan(wrong={"a": {1: 9, 3: 9}})
    rows, _ = worked(tmp_path, plan=plan, policy=Policy(on_unit_failure="partial"))
    row = rows["a.svs"]
    assert row.status == "partial"
    assert row.record["missing"] == {"tiles": [1, 3]}
    assert row.record["closed_without"] == [(0, (1, 3))]
    assert row.reason.startswith("units are missing (tiles 1, 3)")
    assert row.tiles["tiles"] == 2
    assert rows["b.svs"].record["closed_without"] == []


def test_a_slide_of_which_no_unit_can_be_done_has_failed(tmp_path: Path) -> None:
    plan = fakes.Plan(units=2, wrong={"a": {0: 9, 1: 9}})
    rows, _ = worked(tmp_path, plan=plan, policy=Policy(on_unit_failure="partial"))
    assert rows["a.svs"].status == "failed"
    assert rows["b.svs"].status == "done"


def test_fail_fast_begins_nothing_more(tmp_path: Path) -> None:
    plan = fakes.Plan(units=1, wrong={"a": {0: 9}})
    rows, _ = worked(tmp_path, plan=plan, policy=Policy(retries=0, fail_fast=True), threads=1)
    assert rows["a.svs"].status == "failed"
    assert "c.svs" not in rows


def test_few_slides_are_under_way_at_a_time(tmp_path: Path) -> None:
    most = 0
    heard = fakes.Heard()
    sources = fakes.slides(tmp_path / "in", {f"{i}.svs": i + 1 for i in range(30)})
    with fakes.in_place(), Pool(workers=0, threads=3) as pool:
        batch = Batch(fakes.job(fakes.Plan(sleep_s=0.001), tmp_path), sources, pool, heard)
        begin = batch.next

        def watched() -> object:
            nonlocal most
            most = max(most, len(batch.active))
            return begin()

        batch.next = watched  # type: ignore[assignment, method-assign]
        assert len(batch.run()) == 30
    assert most <= 3 + 1
