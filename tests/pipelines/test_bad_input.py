"""Bad input: one line with cause and cure, the right exit code, and nothing lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

import wsipipe as package
from tests.pipelines.running import CONFIG, Answer, contents, run, write_slide, wsipipe

pytestmark = pytest.mark.timeout(600)  # whole runs, also on a machine that is busy otherwise


def refused(answer: Answer, *said: str, code: int = 2) -> None:
    """One line on stderr that says so; nothing on stdout."""
    assert answer.code == code, answer
    assert answer.out == ""
    lines = answer.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("wsipipe: ")
    for text in said:
        assert text in lines[0]


def test_wrong_path(tmp_path: Path) -> None:
    refused(run(tmp_path / "nowhere", tmp_path / "out"), "no such file or directory", "check the path")
    assert not (tmp_path / "out").exists()


def test_empty_directory_and_directory_of_non_slides(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(run(folder, tmp_path / "out"), "none below this directory", "give another directory")
    (folder / "notes.txt").write_text("no slide")
    (folder / "table.csv").write_text("a,b")
    refused(run(folder, tmp_path / "out"), "none below this directory", "known endings are")
    assert not (tmp_path / "out").exists()


def test_no_slides_at_all(tmp_path: Path) -> None:
    refused(run([], tmp_path / "out"), "which slides?", "--slide-list")


def test_out_is_a_file(slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    refused(run(slide, out), "this is a file", "give another path")
    assert out.read_text() == "mine"


@pytest.fixture(scope="module")
def batch(slide: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, object]]]:
    """Everything that is wrong with slides, in one run: the batch goes on."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "zero.svs").write_bytes(b"")
    (folder / "text.tif").write_text("no picture at all, whatever its name says")
    (folder / "truncated.tif").write_bytes(slide.read_bytes()[: slide.stat().st_size // 3])
    locked = folder / "locked.tif"
    locked.write_bytes(slide.read_bytes())
    locked.chmod(0)
    white = np.full((700, 700, 3), 243, np.uint8)
    tifffile.imwrite(
        folder / "glass.tif", white, tile=(256, 256), photometric="rgb", resolution=(2e4, 2e4), resolutionunit=3
    )
    tifffile.imwrite(
        folder / "small.tif", white[:100, :100], photometric="rgb", resolution=(2e4, 2e4), resolutionunit=3
    )
    tifffile.imwrite(folder / "no-mpp.tif", white, tile=(256, 256), photometric="rgb")
    tifffile.imwrite(
        folder / "huge-mpp.tif", white - 1, tile=(256, 256), photometric="rgb", resolution=(1, 1), resolutionunit=3
    )
    out = folder / "out"
    answer = run(folder, out, "--json")
    assert answer.code == 3
    rows = answer.json["slides"]
    assert answer.err == ""
    return out, {Path(str(row["path"])).name: row for row in rows}


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("zero.svs", "SlideOpenError", "empty"),
        ("text.tif", "SlideOpenError", "no reader takes it"),
        ("truncated.tif", "Slide", "copy"),
        ("small.tif", "TileSizeError", "set tile.size to"),
        ("no-mpp.tif", "MppError", "stores no mpp"),
        ("huge-mpp.tif", "MppError", "--mpp-policy assume:0.5"),
    ],
)
def test_a_bad_slide_fails_alone(
    batch: tuple[Path, dict[str, dict[str, object]]], name: str, error: str, said: str
) -> None:
    row = batch[1][name]
    assert row["status"] == "failed"
    assert str(row["error"]).startswith(error), row
    assert said in str(row["reason"])
    assert "\n" not in str(row["reason"])
    assert "Traceback" not in str(row["reason"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file(batch: tuple[Path, dict[str, dict[str, object]]]) -> None:
    row = batch[1]["locked.tif"]
    assert (row["status"], row["error"]) == ("failed", "SlideOpenError")
    assert "permission" in str(row["reason"]).lower()


def test_a_slide_without_tissue_is_done(batch: tuple[Path, dict[str, dict[str, object]]]) -> None:
    out, rows = batch
    row = rows["glass.tif"]
    assert (row["status"], row["tiles"], row["category"]) == ("done", 0, None)
    assert str(row["reason"]).startswith("no tissue")
    result = package.open_results(out).slide(str(row["id"]))
    assert len(result.tiles) == 0
    assert len(result.graph) == 0
    assert not result.probability()[...].any()
    assert result.overview().pixels.shape[2] == 3


def test_nothing_is_lost(batch: tuple[Path, dict[str, dict[str, object]]]) -> None:
    out, rows = batch
    assert len(rows) == 8
    assert len(package.open_results(out).slides) == 8
    assert json.loads((out / "run.json").read_text())["slides"]["failed"] >= 6


def listed(folder: Path, text: str) -> Path:
    path = folder / "slides.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("mpp", ["-1", "1000", "nan", "half"])
def test_slide_list_with_a_wrong_mpp(slide: Path, tmp_path: Path, mpp: str) -> None:
    rows = listed(tmp_path, f"wsi,mpp\n{slide.name},{mpp}\n")
    refused(run(slide, tmp_path / "out", "--slide-list", rows), "from 0.05 to 20", repr(mpp))


def test_slide_list_with_unknown_column_or_row(slide: Path, tmp_path: Path) -> None:
    rows = listed(tmp_path, f"wsi,mmp\n{slide.name},0.5\n")
    refused(run(slide, tmp_path / "out", "--slide-list", rows), "the columns are wsi and any of", "'mmp'")
    rows = listed(tmp_path, "wsi,mpp\nmade2.tif,0.5\n")
    refused(run(slide, tmp_path / "out", "--slide-list", rows), "fits no slide", "did you mean made.tif?")
    refused(run(slide, tmp_path / "out", "--slide-list", tmp_path / "none.csv"), "give a CSV file")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("policy", ["assume:-1", "assume:1000", "assume:", "assume:nan", "guess"])
def test_mpp_policy(slide: Path, tmp_path: Path, policy: str) -> None:
    refused(run(slide, tmp_path / "out", "--mpp-policy", policy), "mpp", policy)


@pytest.mark.parametrize("value", ["-0.5", "1000", ".inf", "fine"])
def test_working_mpp(slide: Path, tmp_path: Path, value: str) -> None:
    refused(run(slide, tmp_path / "out", "--set", f"tile.mpp={value}"), "tile.mpp")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tyle: {size: 128}", "did you mean tile?"),
        ("tile: {sise: 128}", "did you mean tile.size?"),
        ("tile: [128", "not YAML"),
        ("- 1\n- 2", "a mapping of sections, got a list"),
        ("tile: {size: 100}", "multiple of 16"),
        ("tile: {size: big}", "tile.size"),
        ("stain: {method: maczenko}", "stain.method"),
        ("slide: {mpp_policy: 'assume:0.5.5'}", "mpp"),
    ],
)
def test_configuration(slide: Path, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    answer = wsipipe("run", "gastric", slide, "--out", tmp_path / "out", "--config", path, "--untrained")
    refused(answer, said)
    assert not (tmp_path / "out").exists()


def test_configuration_that_is_no_text(slide: Path, tmp_path: Path) -> None:
    for path in (tmp_path, slide, tmp_path / "none.yaml"):
        refused(wsipipe("run", "gastric", slide, "--out", tmp_path / "out", "-c", path), "give a readable YAML file")


@pytest.mark.parametrize("text", ["tile.size", "=3", "tile.size.px=3", "tile={", "nothing=1"])
def test_set(slide: Path, tmp_path: Path, text: str) -> None:
    refused(run(slide, tmp_path / "out", "--set", text))


def weights(folder: Path, name: str, architecture: str) -> Path:
    """Weights of an untrained network with a card that says so."""
    from wsipipe.graph import gcn
    from wsipipe.models import vnet
    from wsipipe.models import weights as stored
    from wsipipe.models.architecture import VNET, VNetConfig

    presets = {"vnet": VNET, "gcn": gcn.GCN}[architecture]
    found = stored.find("untrained:0:tiny", presets)
    network = stored.load(
        found,
        (lambda card: vnet.VNet(VNetConfig(**card.architecture.config)))
        if architecture == "vnet"
        else (lambda card: gcn.build(gcn.GcnConfig(**card.architecture.config))),
    )
    path = folder / f"{name}.safetensors"
    stored.save(path, network, found.card.model_copy(update={"name": name}))
    return path


def test_weights_for_another_architecture(slide: Path, tmp_path: Path) -> None:
    graph = weights(tmp_path, "graph", "gcn")
    refused(run(slide, tmp_path / "out", "--set", f"network.weights={graph}"), "'gcn'", "'vnet'", "give weights")
    tile = weights(tmp_path, "tile", "vnet")
    refused(run(slide, tmp_path / "out", "--set", f"graph.weights={tile}"), "'vnet'", "'gcn'", "give weights")
    assert not (tmp_path / "out").exists()


def test_weights_that_are_missing_or_damaged(slide: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    refused(run(slide, tmp_path / "out", "--set", f"network.weights={missing}"), "check the path")
    refused(run(slide, tmp_path / "out", "--set", "network.weights=gastric-fantom"), "no weights of this name")
    refused(run(slide, tmp_path / "out", "--set", "network.weights=untrained:0:huge"), "light, wide, tiny")
    tile = weights(tmp_path, "tile", "vnet")
    tile.write_bytes(tile.read_bytes()[:-8])
    refused(run(slide, tmp_path / "out", "--set", f"network.weights={tile}"), "sha256", "copy both again")
    assert not (tmp_path / "out").exists()


def test_results_survive_a_refused_command(slide: Path, finished: Path) -> None:
    before = contents(finished)
    refused(run(slide, finished, "--set", "tile.sise=3"))
    assert contents(finished) == before


def test_the_tiny_configuration_holds_every_setting() -> None:
    import yaml

    from wsipipe.config import known_keys
    from wsipipe.pipelines.gastric import GastricConfig

    stored = yaml.safe_load(CONFIG.read_text())
    flat = [f"{a}.{b}" for a, section in stored.items() if isinstance(section, dict) for b in section]
    assert [*flat, "seed"] == known_keys(GastricConfig)


def test_a_file_that_was_replaced_is_another_slide(tmp_path: Path) -> None:
    made = write_slide(tmp_path / "a.tif", 600, seed=1)
    assert run(made, tmp_path / "out", "--json").json["slides"][0]["tiles"] > 0
    write_slide(made, 500, seed=2)
    assert run(made, tmp_path / "out", "--json").code == 0
    assert len(list((tmp_path / "out").glob("a-*.zarr"))) == 2
