"""Every verb: what it prints where, with which exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.running import contents, run, wsipipe

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


def test_help_lists_the_verbs() -> None:
    answer = wsipipe("--help")
    assert answer.code == 0
    for verb in ("run", "info", "status", "demo"):
        assert f" {verb} " in answer.out
    assert "130 interrupted" in answer.out
    words = wsipipe("run", "gastric", "--help").out
    options = "--out --config --set --slide-list --mpp-policy --workers --threads --device --untrained --deidentify"
    for option in [*options.split(), "--dry-run", "--json"]:
        assert option in words


def test_version_and_wrong_usage() -> None:
    assert wsipipe("--version").out.startswith("wsipipe 0.")
    for words in (["fly"], ["run", "gastric"], ["run", "gastric", "a.tif", "--out"], ["info"], ["status"]):
        answer = wsipipe(*words)
        assert answer.code == 2, words
        assert answer.out == ""
        assert answer.err


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "zarr", "dask", "numpy", "cv2")
    code = f"import sys, wsipipe.cli.app; print([m for m in {heavy} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_info(slide: Path) -> None:
    answer = wsipipe("info", slide, "--json")
    assert (answer.code, answer.err) == (0, "")
    told = answer.json
    assert (told["height"], told["width"], told["mpp_is_sane"]) == (1000, 1000, True)
    assert told["mpp"] == pytest.approx(0.5, abs=1e-4)
    assert told["id"].startswith("made-")
    assert len(told["fingerprint"]) == 64
    assert "properties" not in told
    assert "properties" in wsipipe("info", slide, "--json", "--properties").json
    assert "1000 x 1000 (1/1)" in wsipipe("info", slide).out


def test_info_of_what_is_no_slide(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("nothing")
    answer = wsipipe("info", tmp_path / "text.tif")
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (3, "", 1)
    assert wsipipe("info", tmp_path / "none.tif").code in (2, 3)


def test_status_after_a_run(finished: Path) -> None:
    told = wsipipe("status", finished, "--json").json
    assert told["run"] == "ended"
    assert told["counts"] == {"done": 1}
    assert told["slides"][0]["reason"] == "untrained"
    assert "1 done" in wsipipe("status", finished).out


def test_status_during_a_run(finished: Path, slide: Path, tmp_path: Path) -> None:
    """A run that stops in the middle looks like one that still runs."""
    from unittest import mock

    from wsipipe.run import work

    real, counts = work.write.write_unit, []

    def looking(*args: object) -> int:
        written = real(*args)  # type: ignore[arg-type]
        counts.append(wsipipe("status", tmp_path, "--json").json)
        return written

    with mock.patch.object(work.write, "write_unit", looking):
        assert run(slide, tmp_path, "--json").code == 0
    assert [told["run"] for told in counts] == ["running"] * len(counts)
    slides = [told["slides"][0] for told in counts]
    assert {row["status"] for row in slides} == {"running"}
    assert slides[0]["units_done"] == 1
    assert max(row["units_done"] for row in slides) == slides[0]["units"] == 16


def test_status_of_what_is_no_result(tmp_path: Path) -> None:
    answer = wsipipe("status", tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert "give what a run's --out named" in answer.err


def test_dry_run_writes_nothing_and_counts_the_same(slide: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = run(slide, out, "--dry-run", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert not out.exists()
    told = answer.json
    done = wsipipe("status", finished, "--json").json["slides"][0]
    record = json.loads((next(finished.glob("*.zarr")) / "zarr.json").read_text())["attributes"]["wsipipe"]["record"]
    assert [(row["id"], row["tiles"]) for row in told["slides"]] == [(done["id"], record["tiles"])]
    assert told["slides"][0]["bytes"] > 0
    assert told["slides"][0]["seconds"] > 0
    plain = run(slide, out, "--dry-run")
    assert str(record["tiles"]) in plain.out
    assert "nothing was written" in plain.out
    assert not out.exists()


def test_dry_run_names_what_cannot_be_opened(slide: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.svs").write_bytes(b"")
    answer = run(tmp_path, tmp_path / "out", "--dry-run", "--json")
    assert answer.code == 3
    assert answer.json["slides"][0]["error"].startswith("SlideOpenError")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Finished results that a test may run into again."""
    return Path(shutil.copytree(finished, tmp_path / "results"))


def test_results_on_stdout_progress_on_stderr(slide: Path, copied: Path) -> None:
    before = contents(copied)
    answer = run(slide, copied)  # nothing to compute
    assert answer.code == 0
    assert "done" in answer.out
    assert "overview.png" in answer.out
    assert "done" in answer.err
    assert "results:" not in answer.err
    quiet = run(slide, copied, "--json")
    assert quiet.err == ""
    assert quiet.json["slides"][0]["status"] == "done"
    assert contents(copied) == before


def test_a_slide_named_twice_is_worked_on_once(slide: Path, copied: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tif"
    copy.write_bytes(slide.read_bytes())
    link = tmp_path / "made.tif"
    link.symlink_to(slide)
    answer = run([slide, copy, link, slide], copied, "--json")
    assert answer.code == 0
    rows = answer.json["slides"]
    assert sorted(row["status"] for row in rows) == ["done", "skipped", "skipped"]
    reasons = [row["reason"] for row in rows if row["status"] == "skipped"]
    assert all(reason.startswith("an alias: the same content as made-") for reason in reasons)
    told = {row["id"]: row["status"] for row in wsipipe("status", copied, "--json").json["slides"]}
    assert sorted(told.values()) == ["done", "skipped"]  # the link has the slide's own id


def test_an_alias_of_a_running_slide_leaves_its_bar(slide: Path, tmp_path: Path) -> None:
    link = tmp_path / "made.tif"
    link.symlink_to(slide)
    answer = run([slide, link], tmp_path / "out", "--threads", 2)
    assert answer.code == 0, answer
    assert answer.out.count("skipped") == 1


def test_untrained_is_refused_unless_asked_for(slide: Path, finished: Path, tmp_path: Path) -> None:
    for words in (["--set", "network.weights=gastric-phantom-v9"], ["--set", "graph.weights=nothing"]):
        answer = run(slide, tmp_path / "out", *words)
        assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
        assert "no weights of this name" in answer.err
    assert not (tmp_path / "out").exists()
    rows = wsipipe("status", finished, "--json").json["slides"]
    row = next(row for row in rows if row["status"] == "done")
    assert (row["category"], row["reason"]) == (None, "untrained")
    record = json.loads((next(finished.glob("*.zarr")) / "zarr.json").read_text())["attributes"]["wsipipe"]["record"]
    assert [record[f"p_{name}"] for name in ("negative", "low_grade", "high_grade", "invasive")] == [None] * 4


def test_options_stand_for_settings() -> None:
    from wsipipe.cli.run import settings

    sets = settings(["topk.k=3"], mpp_policy="skip", device="cpu")
    assert sets == ["topk.k=3", 'slide.mpp_policy="skip"', 'network.device="cpu"']


def test_the_untrained_option_names_what_nobody_named() -> None:
    from wsipipe.pipelines import gastric

    def names(*sets: str) -> tuple[str, str]:
        config = json.loads(gastric.launch(None, sets, untrained=True).recipe.config)
        return config["network"]["weights"], config["graph"]["weights"]

    assert names("network.device=cpu") == ("untrained", "untrained")
    assert names("network.weights=untrained:3") == ("untrained:3", "untrained")


def test_untrained_weights_need_the_option(slide: Path, tmp_path: Path) -> None:
    answer = wsipipe("run", "gastric", slide, "--out", tmp_path / "out", "--set", "network.weights=untrained:0:tiny")
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert "give --untrained" in answer.err
    assert not (tmp_path / "out").exists()


def test_module_and_command_are_the_same() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "wsipipe", "--version"], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert told.stdout.startswith("wsipipe ")
