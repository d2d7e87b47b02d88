"""The tree of errors: who is whose parent, what a message shows, what a pickle keeps."""

from __future__ import annotations

import inspect
import pickle

import pytest

from wsipipe import errors
from wsipipe.errors import SlideOpenError, UnitError, UsageError, WsipipeError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, WsipipeError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_drawn_in_the_tree(kind: type[WsipipeError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("ConfigError", "UsageError"),
        ("WeightsError", "UsageError"),
        ("ChainError", "UsageError"),
        ("SlideOpenError", "SlideError"),
        ("SlideReadError", "SlideError"),
        ("MppError", "SlideError"),
        ("TileSizeError", "SlideError"),
        ("UnitError", "WsipipeError"),
        ("StoreError", "WsipipeError"),
    ],
)
def test_parents_are_as_drawn(child: str, parent: str) -> None:
    assert getattr(errors, child).__bases__ == (getattr(errors, parent),)


def test_no_error_of_one_slide_counts_as_wrong_usage() -> None:
    assert not any(issubclass(kind, UsageError) and issubclass(kind, errors.SlideError) for kind in KINDS)


def test_text_has_the_subject_first_and_only_where_there_is_one() -> None:
    assert str(SlideOpenError("it is empty", subject="a.svs")) == "a.svs: it is empty"
    assert str(SlideOpenError("it is empty")) == "it is empty"


def test_message_stays_free_of_the_subject_for_runs_without_names() -> None:
    error = SlideOpenError("it is empty", subject="/ward/Mueller.svs")
    assert "Mueller" not in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_pickle_keeps_kind_message_and_subject(kind: type[WsipipeError]) -> None:
    back = pickle.loads(pickle.dumps(kind("a rule", subject="a.svs")))
    assert (type(back), back.message, back.subject) == (kind, "a rule", "a.svs")


def test_pickle_keeps_what_a_unit_error_carries() -> None:
    error = UnitError("failed", subject="a.svs")
    error.cause, error.trace = "ZeroDivisionError", "Traceback ..."
    back = pickle.loads(pickle.dumps(error))
    assert (back.cause, back.trace) == ("ZeroDivisionError", "Traceback ...")
