"""--deidentify: no file name, path, case, user or host name in any byte below RESULTS."""

from __future__ import annotations

import platform
from pathlib import Path
from unittest import mock

import pytest

from tests.pipelines.running import Answer, contents, run, write_slide
from wsipipe.run import report, work

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise

NAMES = ("SMITH", "JOHN_1234", "PATIENTS", "CASE-77-X", "broken-JANE", "grepuser7", "grephost7", "SECRETFOLDER")


@pytest.fixture(scope="module")
def told(slide: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A de-identified run over a named slide, two broken ones and a slide list that names the case."""
    folder = tmp_path_factory.mktemp("SECRETFOLDER") / "PATIENTS"
    named = folder / "SMITH^JOHN_1234.tif"
    write_slide(named, 700, seed=5)
    (folder / "broken-JANE.tif").write_bytes(slide.read_bytes()[:30_000])
    (folder / "broken-JANE.svs").write_bytes(b"")
    (folder / "broken-JANE.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 50)
    (folder / "broken-JANE.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    rows = folder.parent / "list.csv"
    rows.write_text("wsi,case_id\nSMITH^JOHN_1234.tif,CASE-77-X\n")
    out = tmp_path_factory.mktemp("results") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report.getpass, "getuser", lambda: "grepuser7")
        patch.setattr(report.platform, "node", lambda: "grephost7")
        answer = run(folder, out, "--slide-list", rows, "--deidentify", "--json")
    return out, answer


def test_the_run_itself(told: tuple[Path, Answer]) -> None:
    rows = told[1].json["slides"]
    assert told[1].code == 3
    assert sorted(row["status"] for row in rows) == ["done", "failed", "failed", "failed", "failed"]
    done = next(row for row in rows if row["status"] == "done")
    assert done["id"] == f"slide-{done['fingerprint'][:12]}"
    assert all(row["reason"] for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_no_byte_names_anyone(told: tuple[Path, Answer], name: str) -> None:
    out, answer = told
    assert len(contents(out)) > 50
    where = [path for path in out.rglob("*") if name in str(path.relative_to(out))]
    where += [path for path in out.rglob("*") if path.is_file() and name.encode() in path.read_bytes()]
    assert where == []
    assert name not in answer.out


def test_the_same_run_with_names_does_name(told: tuple[Path, Answer], slide: Path, finished: Path) -> None:
    """The search above would find them."""
    assert slide.name.encode() in (finished / "slides.parquet").read_bytes()
    assert platform.node().encode() in (finished / "run.json").read_bytes()


def test_paths_in_settings_are_left_out(slide: Path, tmp_path: Path) -> None:
    from tests.pipelines.test_bad_input import weights

    folder = tmp_path / "grepuser7"
    folder.mkdir()
    tile = weights(folder, "tile", "vnet")
    out = tmp_path / "out"
    answer = run(slide, out, "--deidentify", "--set", f"network.weights={tile}", "--json")
    assert answer.code == 0
    assert [path for path in out.rglob("*") if path.is_file() and b"grepuser7" in path.read_bytes()] == []


def test_a_library_that_quotes_a_path(slide: Path, tmp_path: Path) -> None:
    def quoting(*args: object) -> int:
        raise OSError(5, "cannot decode", str(slide))

    with mock.patch.object(work.write, "write_unit", quoting):
        answer = run(slide, tmp_path / "out", "--deidentify")
    assert answer.code == 3
    assert "a worker failed on the slide" in answer.out
    assert slide.name not in answer.out + answer.err
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"made.tif" in path.read_bytes()] == []
