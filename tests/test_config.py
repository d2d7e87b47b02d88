"""Configuration: every wrong value is one line that says which key and what instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, ValidationError, model_validator

from wsipipe import config
from wsipipe.config import Config, NetworkSection, SlideSection, TileSection, TissueSection
from wsipipe.errors import ConfigError


class Inner(Config):
    low: float = 0.0
    high: float = 1.0
    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Inner:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {self.low:g} and {self.high:g}")
        return self


class Page(Config):
    slide: SlideSection = SlideSection()
    tile: TileSection = TileSection()
    tissue: TissueSection = TissueSection()
    network: NetworkSection = NetworkSection(weights="w")
    inner: Inner = Inner()
    offset: float = 0.0
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _divides(self) -> Page:
        if self.tile.size % self.tissue.scale:
            raise ValueError(f"tile.size must be a multiple of {self.tissue.scale}")
        return self


def written(folder: Path, text: str) -> Path:
    path = folder / "page.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def told(text: str, folder: Path, *sets: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(Page, written(folder, text), sets)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_file_takes_all_defaults() -> None:
    page = config.load(Page, None)
    assert (page.tile.size, page.tile.mpp, page.tile.min_tissue, page.tile.unit) == (512, 0.5, 0.70, 8)
    assert page.slide.mpp_policy == "error"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "{}"])
def test_an_empty_file_takes_all_defaults(tmp_path: Path, text: str) -> None:
    assert config.load(Page, written(tmp_path, text)) == Page()


def test_file_then_sets_win(tmp_path: Path) -> None:
    path = written(tmp_path, "tile: {size: 256, mpp: 1.0}\nseed: 3\n")
    page = config.load(Page, path, ["tile.size=128", "seed = 7", "inner.names=[a, b]"])
    assert (page.tile.size, page.tile.mpp, page.seed, page.inner.names) == (128, 1.0, 7, ("a", "b"))


def test_the_last_set_wins() -> None:
    assert config.load(Page, None, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(("text", "value"), [("-1.5", -1.5), ("1e-3", 0.001), ("-2", -2.0), ("+0.5", 0.5), (".5", 0.5)])
def test_numbers_of_every_spelling(text: str, value: float) -> None:
    assert config.load(Page, None, [f"offset={text}"]).offset == value


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("tile: {sise: 3}", "tile.sise: no such setting; did you mean tile.size?"),
        ("tile: {min_tisue: 3}", "did you mean tile.min_tissue?"),
        ("tyle: {size: 3}", "tyle: no such setting; did you mean tile?"),
        ("sed: 3", "did you mean seed?"),
        ("network: {memory_fromat: x}", "did you mean network.memory_format?"),
    ],
)
def test_unknown_key_names_the_nearest(tmp_path: Path, text: str, near: str) -> None:
    assert near in told(text, tmp_path)


def test_unknown_key_of_a_set_names_the_nearest(tmp_path: Path) -> None:
    assert "did you mean tile.size?" in told("", tmp_path, "tile.sizes=3")


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    said = told("tile: {size: 500, mpp: -1}\nseed: -4\n", tmp_path)
    assert "tile.size: " in said
    assert "got 500" in said
    assert "tile.mpp: input should be greater than or equal to 0.05, got -1" in said
    assert "seed: input should be greater than or equal to 0, got -4" in said
    assert said.count(";") == 2


@pytest.mark.parametrize(
    "text",
    [
        "tile.min_tissue=-0.1",
        "tile.min_tissue=1.01",
        "tile.size=63",
        "tile.size=4112",
        "tile.size=100",
        "tile.unit=0",
        "slide.plane=-1",
        "slide.mpp_policy=guess",
        "network.batch=-1",
        "network.dtype=float16",
        "tissue.scale=3",
        "tile=3",
        "tile=",
        "seed=1.5",
        "seed=many",
        "offset=.nan",
        "offset=.inf",
        "offset=-.inf",
        "tile.min_tissue=.nan",
    ],
)
def test_values_out_of_range_are_refused(text: str) -> None:
    name = text.split("=", maxsplit=1)[0]
    with pytest.raises(ConfigError, match=f"{name}: "):
        config.load(Page, None, [text])


def test_rule_between_sections_is_one_readable_line(tmp_path: Path) -> None:
    said = told("tile: {size: 528}\ntissue: {scale: 32}\n", tmp_path)
    assert said == f"{tmp_path / 'page.yaml'}: tile.size must be a multiple of 32"


def test_rule_inside_a_section_names_it(tmp_path: Path) -> None:
    assert "inner: " in (said := told("inner: {low: 2}", tmp_path))
    assert "low must not be above high" in said


@pytest.mark.parametrize(
    "text", ["tile: {size: 3", "a: b: c", "\ttile: 1", "tile: [", "{'a': 1", "seed: 2026-13-01", "\x00"]
)
def test_what_is_not_yaml_is_told_with_the_file(tmp_path: Path, text: str) -> None:
    said = told(text, tmp_path)
    assert "not YAML" in said
    assert "page.yaml" in said


@pytest.mark.parametrize(("text", "kind"), [("[1, 2]", "list"), ("just words", "str"), ("3", "int"), ("false", "bool")])
def test_what_is_no_mapping_is_told(tmp_path: Path, text: str, kind: str) -> None:
    assert f"a mapping of sections, got a {kind}" in told(text, tmp_path)


def test_missing_file_directory_and_binary_are_told(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    for name in ("absent.yaml", ".", "binary"):
        with pytest.raises(ConfigError, match="reading the configuration"):
            config.load(Page, tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.system ['touch OWNED']",
        "seed: !!python/name:os.system",
        "!!python/object:os.x {}",
    ],
)
def test_yaml_is_loaded_safely(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "not YAML" in told(text, tmp_path)
    with pytest.raises(ConfigError):
        config.load(Page, None, [text.replace(": ", "=", 1)])
    assert not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize("text", ["seed", "=3", ".seed=3", "tile.=3", "tile..size=3", ""])
def test_a_set_without_key_and_value_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set takes section\.key=value"):
        config.load(Page, None, [text])


@pytest.mark.parametrize("text", ["seed=[", "seed={a", "seed=2026-13-01", "seed='"])
def test_a_set_that_is_not_yaml_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set seed: .* is not a YAML value"):
        config.load(Page, None, [text])


def test_a_set_below_a_value_is_told() -> None:
    with pytest.raises(ConfigError, match="'seed' is a value, not a section"):
        config.load(Page, None, ["seed=1", "seed.x=2"])


def test_a_value_may_hold_equal_signs() -> None:
    assert config.load(Page, None, ["network.weights=a=b"]).network.weights == "a=b"


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Page().tile.size = 3  # type: ignore[misc]  # wrong on purpose


def test_wrong_defaults_are_found() -> None:
    class Wrong(Config):
        size: Annotated[int, Field(ge=1)] = 0

    with pytest.raises(ConfigError, match="size"):
        config.check(Wrong, {})


def test_a_checked_page_survives_json() -> None:
    """The resolved configuration travels to workers and into run.json as JSON text."""
    page = config.load(Page, None, ["inner.names=[a]", "offset=-0.1"])
    assert Page.model_validate_json(page.model_dump_json()) == page
    json.loads(page.model_dump_json())


def test_known_keys_are_dotted_and_in_order() -> None:
    keys = config.known_keys(Page)
    assert keys[:5] == ["slide.mpp_policy", "slide.plane", "slide.icc", "slide.damaged", "tile.size"]
    assert keys[-2:] == ["offset", "seed"]


@pytest.mark.parametrize(
    "section",
    [
        config.SlideSection,
        config.TileSection,
        config.TissueSection,
        config.StainSection,
        config.DeblurSection,
        config.NetworkSection,
    ],
)
def test_every_setting_says_what_it_means(section: type[Config]) -> None:
    assert all(info.description for info in section.model_fields.values())


def test_brackets_nested_too_deep_are_no_yaml(tmp_path: Path) -> None:
    assert "not YAML" in told(f"tile: {'[' * 3000}", tmp_path)
    with pytest.raises(ConfigError, match="not a YAML value"):
        config.load(Page, None, [f"tile={'[' * 3000}"])


def test_aliases_are_not_written_out(tmp_path: Path) -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x]"]
    lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 8)}]" for i in range(1, 20)]  # 8 to the 20th, written out
    assert len(told(f"tile: {{size: {{{', '.join(lines)}}}}}", tmp_path)) < 5000
