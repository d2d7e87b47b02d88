"""The evaluation of the gastric networks: its parts on numbers that are known, and once the whole of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from tests.train.test_graphs import CPU, TINY, cohort
from wsipipe.cli.app import app
from wsipipe.config import load
from wsipipe.evaluate import gastric_plots, gastric_tiles, gastric_variants
from wsipipe.evaluate.gastric_config import EvaluateGastricConfig, VariantSection
from wsipipe.evaluate.gastric_gate import gate_table
from wsipipe.evaluate.gastric_slides import Observed
from wsipipe.evaluate.gastric_variants import ALL, REPLACED, Fits, categories, said_by, variant_table, variants
from wsipipe.train.config import GraphNetSection, SlidesConfig
from wsipipe.train.features import SlideFeatures, of_split
from wsipipe.train.metric import pooled_dice

CONFIGS = Path(__file__).parents[2] / "configs"


def seen(category: int, *, right: bool = True, share: float = 0.1, passes: bool = True) -> Observed:
    slide = SlideFeatures(
        "s", "test", "s", category, np.arange(2), np.zeros((2, 4), np.float32), np.ones(2, np.float32),
        np.full((2, 4), 0.25, np.float32),
    )  # fmt: skip
    prob = np.eye(4, dtype=np.float32)[category if right else (category + 1) % 4]
    passed = np.array([1, 1, passes, 1], np.uint8)
    value = np.array([9, 5, 0.2, 0.3], np.float32)
    return Observed(slide, share, value, passed, prob, np.array([5, 10, 10]))


def test_the_written_defaults_are_the_defaults() -> None:
    assert load(EvaluateGastricConfig, CONFIGS / "evaluate-gastric.yaml") == load(EvaluateGastricConfig, None)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, 50), rng.integers(0, 4, (50, 2))
    expected = np.mean([f1_score(truth, column, average="macro", labels=range(4)) for column in said.T])
    assert gastric_variants.macro_f1(said, truth) == pytest.approx(expected)


def test_every_variant_that_was_asked_for_is_there() -> None:
    found = variants(GraphNetSection(), VariantSection(k=(5, 10), threshold=(0.5, 0.9)))
    names = [one.name for one in found]
    assert len(set(names)) == len(names)
    by_name = {one.name: one.graph for one in found}
    assert by_name["k = 5"].k == 5
    assert by_name["t = 0.9"].threshold == 0.9
    assert by_name["mean pooling, all tiles"].k == ALL
    assert not by_name["without edges"].edges
    assert {by_name[f"ordered read-out, {o}"].order for o in ("ascending", "descending", "random")} == {
        "ascending", "descending", "random",
    }  # fmt: skip


def test_ours_learns_what_is_there_and_the_table_compares(tmp_path: Path) -> None:
    known, base = cohort(), load(SlidesConfig, TINY, ["schedule.epochs=12"])
    tested = {"test": of_split(known, "test")}
    asked = [variants(base.graph, VariantSection())[0], variants(base.graph, VariantSection())[-1]]
    calls: list[tuple[int, int]] = []
    answers = said_by(
        asked, known, tested, base, Fits((0, 1), tmp_path, CPU, lambda done, total: calls.append((done, total)))
    )
    answers[REPLACED] = gastric_variants.replaced_method(known, tested)
    assert calls[-1] == (4, 4)
    truth = categories(tested["test"])
    assert answers[asked[0].name]["test"].shape == (8, 2)
    assert gastric_variants.accuracy(answers[asked[0].name]["test"], truth) > 0.8
    assert set(answers[REPLACED]["test"].ravel()) == {0}  # every tile says "negative": nothing is ever called
    table = variant_table(answers, {"test": truth}, 2)
    assert table.rows[0][2] is None
    assert table.rows[-1][2].high < 0


def test_a_network_that_is_right_half_the_time_has_a_dice_of_one_half() -> None:
    assert pooled_dice(np.array([[5, 10, 10], [5, 10, 10]])) == 0.5
    assert np.isnan(pooled_dice(np.zeros((1, 3), np.int64)))
    assert gastric_tiles.macro_f1(np.eye(4, dtype=np.int64)[None] * 3) == 1


def test_the_tile_table_gives_the_gain_of_normalisation() -> None:
    good, bad = np.array([[9, 10, 10]] * 3), np.array([[4, 10, 10]] * 3)
    classes = np.repeat(np.eye(4, dtype=np.int64)[None], 3, axis=0)
    table = gastric_tiles.tile_table({("n", "test", "with"): (good, classes), ("n", "test", "without"): (bad, classes)})
    assert [row[2] for row in table.rows] == ["with normalisation", "without normalisation", "with, less without"]
    assert table.rows[-1][3].value == pytest.approx(0.5)


def test_the_gate_table_says_what_stops() -> None:
    table = gate_table({"few": [seen(0), seen(1, passes=False)]}, {"kidney": seen(-1, passes=False)})
    assert table.rows[0][2].value == 0.5
    assert table.rows[0][3] == "focus 1"
    assert "out of focus" in table.rows[1][3]


def test_a_plot_is_drawn(tmp_path: Path) -> None:
    slides = [seen(n % 4, right=n > 6, share=0.01 * (n + 1)) for n in range(24)]
    groups = gastric_plots.by_lesion(slides)
    assert [place for place, _ in groups] == sorted(place for place, _ in groups)
    assert groups[0][1].value < groups[-1][1].value == 1
    gastric_plots.draw(tmp_path / "d.png", slides, {0.0: slides, 2.0: slides}, {0.0: slides, 30.0: slides})
    assert (tmp_path / "d.png").stat().st_size > 10_000


@pytest.mark.timeout(400)
def test_the_whole_evaluation_and_once_more_from_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["evaluate", "gastric", "--out", str(tmp_path), "--config", str(CONFIGS / "evaluate-gastric.tiny.yaml")]
    command += ["--data", str(tmp_path / "absent"), "--json"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    for name in ("shipped", "gate", "slides", "tiles"):
        assert (tmp_path / f"{name}.md").is_file()
    assert (tmp_path / "degradation.png").is_file()
    told = json.loads(first.stdout)
    gate = {row["slides"]: row for row in told[1]["rows"]}
    assert "too little tissue" in gate["a blank slide"]["stopped by"]
    assert any("not there: CMU" in note for note in told[1]["notes"])
    made = json.loads((tmp_path / "evaluation.json").read_text())
    assert made["phantom"]["version"] == "1"

    def again(*_: object, **__: object) -> Path:
        raise AssertionError("a slide was made that was there already")

    monkeypatch.setattr("wsipipe.evaluate.gastric_slides.write_gastric", again)
    monkeypatch.setattr("wsipipe.phantom.gastric_slide.write_gastric", again)
    second = CliRunner().invoke(app, command)
    assert second.exit_code == 0, second.output
    assert json.loads(second.stdout) == told
