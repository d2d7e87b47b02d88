"""One unit that fails: retried, then its slide fails or goes on without it; the others are none the wiser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from tests.pipelines.running import contents, run, units_done, write_slide, wsipipe
from wsipipe.query import open_results
from wsipipe.run import work
from wsipipe.store import write

UNIT = 5


@contextmanager
def failing(step: str, *, when: Callable[[int], bool] = lambda call: True) -> Iterator[None]:
    """Unit `UNIT` of a step cannot be written, at the calls that `when` names."""
    real, calls = write.write_unit, iter(range(10**6))

    def write_unit(layer, unit, *rest):  # type: ignore[no-untyped-def]
        if layer.name == step and unit == UNIT and when(next(calls)):
            raise OSError("made for a test")
        return real(layer, unit, *rest)

    with mock.patch.object(work.write, "write_unit", write_unit):
        yield


def log_of(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in out.glob("runs/*/log.jsonl") for line in path.read_text().splitlines()]


def test_a_unit_that_fails_once_is_tried_again(slide: Path, finished: Path, tmp_path: Path) -> None:
    with failing("tiles", when=lambda call: call == 0):
        assert run(slide, tmp_path).code == 0
    (failed,) = [line for line in log_of(tmp_path) if line["event"] == "task_failed"]
    assert (failed["step"], failed["unit"], failed["again"]) == ("tiles", UNIT, True)
    assert contents(tmp_path) == contents(finished)


@pytest.mark.parametrize("step", ["tiles", "tissue"])
def test_a_partial_slide_says_so_and_is_mended_by_the_same_command(
    slide: Path, finished: Path, tmp_path: Path, step: str
) -> None:
    with failing(step):
        answer = run(slide, tmp_path, "--on-unit-failure", "partial")
    assert answer.code == 3
    results = open_results(tmp_path)
    row = results.slides.iloc[0]
    assert (row["status"], row["category"], row["error"]) == ("partial", None, "UnitError")
    assert f"units are missing ({step} {UNIT})" in row["reason"]
    assert "made for a test" in row["reason"]
    told = wsipipe("status", tmp_path, "--json").json
    assert told["counts"] == {"partial": 1}
    one = results.slide(row["id"])
    assert one.record["missing"] == {step: [UNIT]}
    assert 0 < len(one.tiles) < len(open_results(finished).slide(row["id"][:6]).tiles)
    assert run(slide, tmp_path).code == 0
    assert units_done(tmp_path) > 0
    told = "layers.jsonl"  # names what the partial slide had, too
    assert {name: sha for name, sha in contents(tmp_path).items() if not name.endswith(told)} == {
        name: sha for name, sha in contents(finished).items() if not name.endswith(told)
    }


def test_without_partial_the_slide_fails_and_names_the_unit(slide: Path, tmp_path: Path) -> None:
    other = write_slide(tmp_path / "in" / "other.tif", 400, seed=3)
    shutil.copy(slide, tmp_path / "in" / "made.tif")
    with failing("tiles"):
        answer = run(tmp_path / "in", tmp_path / "out", "--retries", "0", "--json")
    assert answer.code == 3
    rows = {Path(row["path"]).name: row for row in answer.json["slides"]}
    assert rows["other.tif"]["status"] == "done"
    assert rows["made.tif"]["status"] == "failed"
    assert f"step tiles, unit {UNIT}: OSError: made for a test" in rows["made.tif"]["reason"]
    assert wsipipe("status", tmp_path / "out", "--json").json["counts"] == {"done": 1, "failed": 1}
    assert other.is_file()


def test_fail_fast_stops_at_the_first(slide: Path, tmp_path: Path) -> None:
    shutil.copy(slide, tmp_path / "large.tif")
    for index in range(4):
        write_slide(tmp_path / "in" / f"small-{index}.tif", 300, seed=index)
    (tmp_path / "large.tif").rename(tmp_path / "in" / "large.tif")
    with failing("tissue"):
        answer = run(tmp_path / "in", tmp_path / "out", "--retries", "0", "--fail-fast", "--json")
    assert answer.code == 3
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["status"] == "stopped"
    assert sum(told["slides"].values()) < 5
    assert run(tmp_path / "in", tmp_path / "out").code == 0
