"""What a run leaves beside its results (log, metrics, changed settings), --overwrite, and `wsipipe clean`."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.pipelines.running import Answer, contents, run, units_done, wsipipe
from wsipipe.query.pace import Pace
from wsipipe.query.status import progress
from wsipipe.run.session import Session
from wsipipe.store import lease, staging
from wsipipe.store.lease import Lease, owner

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise

CHANGE = ("--set", "graph.threshold=0.37")


@pytest.fixture(scope="module")
def changed(slide: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A run with one other setting in a copy of the finished results."""
    out = tmp_path_factory.mktemp("changed") / "out"
    shutil.copytree(finished, out)
    (out / "run.json.1.partial").write_text("half")
    answer = run(slide, out, *CHANGE)
    assert answer.code == 0, answer
    return out, answer


def lines(out: Path) -> list[dict[str, object]]:
    """The log of the last run."""
    last = json.loads((out / "run.json").read_text())
    told = [json.loads(line) for line in (out / "runs" / last["key"] / "log.jsonl").read_text().splitlines()]
    return [line for line in told if line["run"] == last["run"]]


def metrics(out: Path) -> dict[str, float]:
    """Samples by name and labels."""
    families = text_string_to_metric_families((out / "metrics.prom").read_text())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_changed_setting_is_told(changed: tuple[Path, Answer]) -> None:
    out, answer = changed
    told = [line for line in answer.err.splitlines() if "setting changed" in line]
    assert len(told) == 1
    assert told[0].endswith("graph.threshold: 0.5 -> 0.37")
    assert [line["change"] for line in lines(out) if line["event"] == "setting_changed"] == [
        "graph.threshold: 0.5 -> 0.37"
    ]


def test_the_log_has_one_line_per_event(finished: Path) -> None:
    told = lines(finished)
    events = [line["event"] for line in told]
    assert (events[0], events[-1]) == ("run_started", "run_ended")
    run_json = json.loads((finished / "run.json").read_text())
    units = [line for line in told if line["event"] == "unit_done"]
    assert sum(int(str(line["tiles"])) for line in units) == sum(run_json["tiles_per_step"].values())
    assert sorted({line["unit"] for line in units if line["step"] == "tissue"}) == list(range(16))
    assert all(line["slide"] == units[0]["slide"] and line["time"] and line["seconds"] for line in units)
    ended = next(line for line in told if line["event"] == "slide_ended")
    assert (ended["status"], ended["reason"]) == ("done", "untrained")


def test_bytes_are_counted(finished: Path) -> None:
    told = json.loads((finished / "run.json").read_text())
    tissue = 64 * (128 // 16) ** 2 * 3
    assert told["read_bytes_per_step"]["tissue"] >= tissue
    assert told["read_bytes_per_step"]["tiles"] == told["tiles_per_step"]["tiles"] * 128 * 128 * 3
    logged = sum(int(str(line.get("written_bytes", 0))) for line in lines(finished))
    assert logged == sum(told["written_bytes_per_step"].values()) > 0
    assert told["sources"] == 1


def test_metrics_agree_with_the_run(finished: Path) -> None:
    found, told = metrics(finished), json.loads((finished / "run.json").read_text())
    assert found["wsipipe_up"] == 0
    assert found["wsipipe_heartbeat_timestamp_seconds"] >= found["wsipipe_start_timestamp_seconds"] > 1e9
    assert found["wsipipe_slides done"] == found["wsipipe_sources"] == 1
    assert found["wsipipe_slides failed"] == found["wsipipe_slides_running"] == 0
    assert found["wsipipe_units_done_total tissue"] == 16
    assert found["wsipipe_written_bytes_total tiles"] == told["written_bytes_per_step"]["tiles"]
    assert found[f"wsipipe_run_info {told['key']} {told['run']}"] == 1


def test_half_written_records_are_swept(changed: tuple[Path, Answer]) -> None:
    assert list(changed[0].rglob("*.partial")) == []


def test_metrics_are_written_while_it_runs(
    slide: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    seen: list[dict[str, float]] = []
    real = Session.step_started

    def looking(self: Session, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        seen.append(metrics(tmp_path / "out"))

    shutil.copytree(finished, tmp_path / "out")
    with mock.patch.object(Session, "step_started", looking):
        assert run(slide, tmp_path / "out", "--json").code == 0
    assert {one["wsipipe_up"] for one in seen} == {1}


def test_overwrite_keeps_the_old_until_the_new_is_whole(slide: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    store = next(out.glob("*.zarr"))
    other = store / "work" / "tissue-of-another-setting"
    other.mkdir()
    (other / "zarr.json").write_text("{}")
    before = contents(out)
    with mock.patch.object(staging, "_exchange", side_effect=OSError("made for a test")):
        assert run(slide, out, "--overwrite").code == 3
    assert units_done(out) > 0
    held = {name: digest for name, digest in contents(out).items() if not name.startswith(("overwriting", "runs"))}
    moved = str((other / "zarr.json").relative_to(out))
    assert held == {name: digest for name, digest in before.items() if name != moved and not name.startswith("runs")}
    again = run(slide, out, "--overwrite")
    assert again.code == 0, again
    assert units_done(out) == 0  # made anew already by the one that was stopped
    after = contents(out)
    assert {name: after[name] for name in before} == before
    assert not (out / "overwriting").exists()
    assert not (store / "work" / staging.FRESH).exists()


def test_an_overwrite_remembers_what_it_has_replaced(slide: Path, finished: Path, tmp_path: Path) -> None:
    """Killed between the exchange and the note of it, and with another slide still to do."""
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    with mock.patch.object(staging, "_after_exchange", side_effect=OSError("made for a test")):
        assert run(slide, out, "--overwrite").code == 3
    (tmp_path / "bad.tif").write_bytes(b"")
    assert run([slide, tmp_path / "bad.tif"], out, "--overwrite").code == 3
    assert units_done(out) == 0
    assert len(list((out / "overwriting").glob("*/replaced/*"))) == 1
    told = run(slide, out, "--overwrite")
    assert "going on with an overwrite that was interrupted: 1 slides are made anew already" in told.err
    assert {name: digest for name, digest in contents(out).items() if not name.startswith("runs")} == {
        name: digest for name, digest in contents(finished).items() if not name.startswith("runs")
    }


def test_clean_lists_asks_and_removes(changed: tuple[Path, Answer], slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(changed[0], out)
    assert wsipipe("clean", out, "--dry-run", "--json").json["leftovers"] == []  # both runs refer to their layers
    key = json.loads((out / "run.json").read_text())["key"]
    shutil.rmtree(next(path for path in (out / "runs").iterdir() if path.name != key))
    store = next(out.glob("*.zarr"))
    (store / "work" / "publishing").mkdir()
    (store / "x.partial").write_text("1234")
    told = wsipipe("clean", out, "--dry-run", "--json").json
    kinds = [one["kind"] for one in told["leftovers"]]
    assert (kinds.count("layer"), kinds.count("partial"), kinds.count("staging")) == (2, 1, 1)
    layers = [Path(one["path"]).name.split("-")[0] for one in told["leftovers"] if one["kind"] == "layer"]
    assert layers == ["category", "graph"]
    before = contents(out)
    refused = wsipipe("clean", out)
    assert (refused.code, refused.out) == (2, "")
    assert "--yes or --dry-run" in refused.err
    assert contents(out) == before
    done = wsipipe("clean", out, "--yes")
    assert done.code == 0
    assert "MB freed" in done.out
    assert {name for name in before if name not in contents(out)} == {
        name
        for name in before
        if any(name == one["path"] or name.startswith(f"{one['path']}/") for one in told["leftovers"])
    }
    assert run(slide, out, *CHANGE).code == 0
    assert units_done(out) == 0


def test_clean_refuses_beside_a_live_run_and_keeps_what_it_cannot_tell(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    for record in (out / "runs").glob("*/layers.jsonl"):
        record.unlink()
    (next(out.glob("*.zarr")) / "work" / "tissue-unknown").mkdir()
    told = wsipipe("clean", out, "--yes")
    assert "left no record" in told.out
    assert (next(out.glob("*.zarr")) / "work" / "tissue-unknown").is_dir()
    with Lease(out).take():
        live = wsipipe("clean", out, "--yes")
        assert (live.code, live.out) == (2, "")
        assert "another run is at work" in live.err
    assert wsipipe("clean", tmp_path, "--yes").code == 2


def test_a_lease_that_is_lost_stops_the_run(slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.02)
    real = Session.slide_started

    def followed(self: Session, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        who = owner(tmp_path)
        assert who is not None
        (tmp_path / "lease" / "2.json").write_bytes(lease._text(replace(who, run="b" * 32, number=2)))

    with mock.patch.object(Session, "slide_started", followed):
        answer = run(slide, tmp_path)
    assert answer.code == 2
    assert "has taken this results directory over" in answer.err


def test_watching_a_run_until_it_ends(slide: Path, finished: Path, tmp_path: Path) -> None:
    """From another thread, by the files alone: shares grow, an ETA appears, and it ends with the run."""
    out, told = tmp_path / "out", []
    shutil.copytree(finished, out)
    shutil.rmtree(next(out.glob("*.zarr")))
    (out / "slides.parquet").unlink()
    for rows in (out / "runs").glob("*/slides.parquet"):
        rows.unlink()
    begun, real = threading.Event(), Session.slide_started

    def waiting(self: Session, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        begun.set()

    with mock.patch.object(Session, "slide_started", waiting):
        thread = threading.Thread(target=lambda: told.append(run(slide, out, "--json")))
        thread.start()
        assert begun.wait(100)
        pace, seen = Pace(), []
        while not seen or seen[-1]["state"] == "running":
            found = progress(out)
            seen.append(found | {"state": pace.state(found), "eta": pace.look(found)})
            time.sleep(0.05)
        thread.join()
    assert told[0].code == 0
    shares = [look["slides"][0]["share"] for look in seen if look["slides"]]
    assert shares[-1] == 1.0
    assert any(0 < share < 1 for share in shares)
    assert any(look["eta"] for look in seen)
    assert (seen[0]["state"], seen[-1]["state"]) == ("running", "ended")
    assert progress(out)["owner"] is None


def test_watch_says_how_it_stands(finished: Path, tmp_path: Path) -> None:
    answer = wsipipe("status", finished, "--watch")
    assert (answer.code, len(answer.out.splitlines())) == (0, 1)
    assert "run ended; 1 done" in answer.out
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    told = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(told | {"status": "running"}))
    gone = wsipipe("status", out, "--watch", "--json")
    assert (gone.code, gone.json["state"]) == (1, "gone")
    assert "the same command continues" in gone.err
