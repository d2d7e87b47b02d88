"""The mpp policy, and slides that are kept open per process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.run.coordinates import CoordinateSlide
from wsipipe.errors import ConfigError, MppError, SlideOpenError
from wsipipe.run import source
from wsipipe.run.source import MppPolicy, Source, close_all, opened, true_mpp

NAN = float("nan")
ERROR, SKIP, ASSUME = MppPolicy(), MppPolicy("skip"), MppPolicy("assume", 0.5)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """What was asked of `open_slide`, which gives fakes; nothing stays open afterwards."""
    asked: list[tuple[Any, ...]] = []

    def open_slide(
        path: str, *, mpp: float | None = None, scene: int | None = None, icc: str = "record", damaged: str = "fail"
    ) -> CoordinateSlide:
        asked.append((path, mpp, scene))
        if path == "broken":
            raise SlideOpenError("it is broken", subject=path)
        return CoordinateSlide()

    close_all()
    monkeypatch.setattr(source, "open_slide", open_slide)
    yield asked
    close_all()


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("error", ERROR),
        ("skip", SKIP),
        ("assume:0.5", ASSUME),
        ("assume:.25", MppPolicy("assume", 0.25)),
        ("assume:20", MppPolicy("assume", 20.0)),
    ],
)
def test_policies_are_read(text: str, policy: MppPolicy) -> None:
    assert MppPolicy.parse(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "assume",
        "assume:",
        "assume:x",
        "assume:0",
        "assume:0.04",
        "assume:21",
        "assume:-0.5",
        "assume:nan",
        "assume:1.2.3",
        "error:1",
        "skip:0.5",
        "Error",
        "guess",
        "0.5",
    ],
)
def test_other_policies_are_one_line_errors(text: str) -> None:
    with pytest.raises(ConfigError, match=r"it is error, skip or assume:MPP with an MPP from 0.05 to 20") as caught:
        MppPolicy.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("policy", [ERROR, SKIP, ASSUME])
@pytest.mark.parametrize(
    ("told", "stored", "mpp"),
    [
        (None, 0.25, 0.25),
        (0.4, 0.25, 0.4),
        (0.4, None, 0.4),
        (0.4, 0.00499, 0.4),
        (0.05, None, 0.05),
        (None, 20.0, 20.0),
    ],
)
def test_the_slide_list_wins_over_the_file_and_both_over_the_policy(
    policy: MppPolicy, told: float | None, stored: float | None, mpp: float
) -> None:
    assert true_mpp(Source("a.svs", told), stored, policy) == mpp


@pytest.mark.parametrize("told", [None, 0.0, -0.5, 99.0, NAN])
@pytest.mark.parametrize("stored", [None, 0.00499, 28.97, 0.0, -1.0, NAN])
def test_missing_and_absurd_values_are_the_policys(told: float | None, stored: float | None) -> None:
    slide = Source("a.svs", told)
    assert true_mpp(slide, stored, SKIP) is None
    assert true_mpp(slide, stored, ASSUME) == 0.5
    with pytest.raises(MppError, match=r"from 0.05 to 20 .*--mpp-policy assume:0.5 or skip"):
        true_mpp(slide, stored, ERROR)


def test_the_error_tells_the_stored_value() -> None:
    with pytest.raises(MppError, match=r"stores an mpp of 28\.97"):
        true_mpp(Source("a.svs"), 28.97, ERROR)
    with pytest.raises(MppError, match="stores no mpp"):
        true_mpp(Source("a.svs"), None, ERROR)


def test_a_slide_is_opened_once(made: list[tuple[Any, ...]]) -> None:
    slide = Source("a.svs", scene=2)
    assert opened(slide, 0.5) is opened(slide, 0.5)
    assert made == [("a.svs", 0.5, 2)]


def test_another_mpp_or_scene_is_another_slide(made: list[tuple[Any, ...]]) -> None:
    assert opened(Source("a.svs"), None) is not opened(Source("a.svs"), 0.5)
    assert opened(Source("a.svs", scene=1), None) is not opened(Source("a.svs"), None)
    assert len(made) == 3


def test_threads_that_ask_at_once_share_one(made: list[tuple[Any, ...]]) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: opened(Source("a.svs"), 0.5), range(40)))
    assert all(slide is found[0] for slide in found)
    assert len(made) == 1


def test_the_least_recently_used_is_let_go_but_not_closed(made: list[tuple[Any, ...]]) -> None:
    first, second = opened(Source("0"), None), opened(Source("1"), None)
    for name in "23":
        opened(Source(name), None)
    opened(Source("0"), None)
    opened(Source("4"), None)
    assert opened(Source("0"), None) is first
    assert opened(Source("1"), None) is not second
    assert not second.closed  # type: ignore[attr-defined]  # the fake's
    assert [path for path, *_ in made] == ["0", "1", "2", "3", "4", "1"]


def test_a_slide_that_is_let_go_is_freed(made: list[tuple[Any, ...]]) -> None:
    gone = weakref.ref(opened(Source("first"), None))
    for name in "1234":
        opened(Source(name), None)
    gc.collect()
    assert gone() is None


def test_a_slide_that_does_not_open_is_not_kept(made: list[tuple[Any, ...]]) -> None:
    for _ in range(2):
        with pytest.raises(SlideOpenError):
            opened(Source("broken"), None)
    assert len(made) == 2


def test_close_all_closes(made: list[tuple[Any, ...]]) -> None:
    slide = opened(Source("a.svs"), None)
    close_all()
    assert slide.closed  # type: ignore[attr-defined]  # the fake's
    assert opened(Source("a.svs"), None) is not slide
