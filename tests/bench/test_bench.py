"""`wsipipe bench`: what is measured is what a run does, and every line says what it is compared with."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.running import write_slide, wsipipe
from wsipipe.bench import advice, engine, network, reading, stain
from wsipipe.bench import figure as module
from wsipipe.bench.figure import Figure
from wsipipe.models.device import number_format
from wsipipe.run.pixels import read_tiles

pytestmark = pytest.mark.timeout(300)
KEYS = {"work", "unit", "ours", "limit", "ratio_to_limit", "peers", "note"}


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slide(tmp_path_factory.mktemp("bench") / "made.tif", 2100)


def test_a_figure_is_medians_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    clock = [0.0]
    seconds = {
        "ours": iter([9.0, 0.01, 0.02, 0.01]),
        "limit": iter([9.0] + 3 * [0.005]),
        "peer": iter([9.0] + 3 * [0.04]),
    }

    def job(name: str) -> float:
        order.append(name)
        clock[0] += next(seconds[name])
        return 1.0

    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    found = module.figure("work", "1/s", {name: partial(job, name) for name in seconds}, rounds=3)
    assert order == ["ours", "limit", "peer"] * 4  # the first of each does not count
    told = found.told()
    assert told.keys() == KEYS
    assert told["ours"] == pytest.approx(100)
    assert told["ratio_to_limit"] == pytest.approx(0.5)
    assert told["peers"]["peer"]["ratio"] == pytest.approx(4)


def test_without_a_limit_there_is_no_ratio() -> None:
    assert Figure("work", "1/s", 2.0).told()["ratio_to_limit"] is None


def test_the_sample_is_whole_tiles_of_the_middle(slide: Path) -> None:
    found = reading.sample(slide)
    assert len(found.boxes) == 16  # 4 x 4 of 512 px in 2,100
    assert found.megapixels == pytest.approx(16 * 512 * 512 / 1e6)
    native = reading._native(found)
    assert native.megapixels >= found.megapixels
    assert reading.bare(native) == reading.bare(native, threads=2) == native.megapixels
    assert reading.ours(found, threads=2) == found.megapixels


def test_peers_and_the_bare_decoder_see_the_same_pixels(slide: Path) -> None:
    found = reading.sample(slide)
    ours = read_tiles(found.slide, found.frame, found.grid, found.ids[0])
    for name, maker in reading._peers().items():
        read = maker(slide)
        for tile, box in zip(ours, found.boxes, strict=True):
            assert np.array_equal(tile, read(box)), name


def test_arithmetic_of_peers_gives_what_ours_gives(slide: Path) -> None:
    given = stain.tissue(reading.sample(slide))
    ours = stain.recolour(given.rgb, given.change)
    bare = stain._opencv(given.change, given.rgb[0])
    assert np.abs(bare.astype(int) - ours[0]).max() <= 1


def test_the_command_prints_json_and_a_table(slide: Path) -> None:
    answer = wsipipe("bench", "read", slide, "--rounds", 1, "--json", "--peers")
    assert answer.code == 0, answer
    assert [one.keys() for one in answer.json] == [KEYS, KEYS]
    assert {"OpenSlide", "TIAToolbox"} <= answer.json[0]["peers"].keys()
    table = wsipipe("bench", "stain", slide, "--rounds", 1)
    assert table.code == 0, table
    assert "Macenko, apply" in table.out
    assert "--workers" in table.out
    tissue = wsipipe("bench", "tissue", slide, "--rounds", 1, "--json")
    assert tissue.json[0]["ours"] > 0


def test_engines_are_run_beside_each_other_and_say_their_memory(slide: Path) -> None:
    answer = wsipipe("bench", "memory", slide, slide, "--rounds", 1, "--json", "--peers")
    assert answer.code == 0, answer
    copied, peak, *_ = answer.json
    assert copied["work"] == "memory, copying tiles [made.tif]"
    assert copied["ours"] > 0
    assert {"TIAToolbox", "LazySlide"} <= peak["peers"].keys()
    assert 100 < peak["ours"] < min(one["value"] for one in peak["peers"].values())


def test_the_averaging_engine_gives_means(slide: Path, tmp_path: Path) -> None:
    assert engine.ours(slide, tmp_path) > 0
    rgb = np.random.default_rng(0).integers(0, 256, (2, 512, 512, 3)).astype(np.uint8)
    made = engine.average().fn(rgb=rgb)
    assert np.abs(made["features"] - rgb.mean(axis=(1, 2))).max() < 0.1
    assert np.abs(made["probability"][1, 3, 5] - rgb[1, 12:16, 20:24, 1].mean()) <= 1


def test_advice_is_what_was_quickest() -> None:
    told = [
        Figure("read tiles of 512 px", "Mpx/s", 10.0, 12.0, {"OpenSlide": 2.0}),
        Figure(network.work(number_format()), "tiles/s", 20.0),
        Figure(f"{network.work(number_format())}, batch 4", "tiles/s", 25.0),
        Figure("wsipipe run gastric, 1 worker", "tiles/s", 7.0),
        Figure("wsipipe run gastric, 2 workers", "tiles/s", 13.0, note="15 slides of 3000 tiles per hour"),
    ]
    first, second = advice.lines(told)
    assert "reader native (5.0 times" in first
    assert "--workers 2 --threads 1 (13.0 tiles/s)" in first
    assert "network.batch 4 (25.0" in first
    assert second == "15 slides of 3000 tiles per hour"
    assert advice.lines([])[0].count("not measured") == 3


def test_wrong_words(slide: Path) -> None:
    for words, said in ((["speed", slide], "one of read"), (["read"], "give a slide")):
        answer = wsipipe("bench", *words)
        assert (answer.code, said in answer.err) == (2, True), answer


def test_the_network_is_timed_beside_a_matrix_product() -> None:
    made = list(network.figures(peers=False, rounds=1, weights="untrained:0:tiny", batch=1))
    assert [one.work for one in made] == ["tile network, float32", "tile network, bfloat16"]
    assert all(one.ours > 0 for one in made)
    tried = [one.work for one in network.batches(rounds=1, weights="untrained:0:tiny")]
    assert tried == [f"{network.work(number_format())}, batch {size}" for size in (1, 4, 8, 16)]
