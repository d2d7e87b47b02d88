"""Slides that are still being copied wait; those of several files settle as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsipipe.slide.settle import Settling, parts


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "a.svs"
    path.write_bytes(b"1")
    return path


def test_a_slide_rests_before_it_is_handed_out_once(slide: Path) -> None:
    inbox = Settling(10.0)
    assert inbox.look([slide], now=0.0) == []
    assert inbox.look([slide], now=9.9) == []
    slide.write_bytes(b"12")
    assert inbox.look([slide], now=10.0) == []
    assert inbox.look([slide], now=19.9) == []
    assert inbox.look([slide], now=20.0) == [slide]
    assert inbox.look([slide], now=99.0) == []


def test_one_that_changes_comes_again(slide: Path) -> None:
    inbox = Settling(1.0)
    inbox.look([slide], now=0.0)
    assert inbox.look([slide], now=1.0) == [slide]
    os.utime(slide, ns=(5, 5))  # equal size: a copier that reserved the space first
    assert inbox.look([slide], now=2.0) == []
    assert inbox.look([slide], now=3.0) == [slide]


def test_one_that_goes_and_comes_waits_anew(slide: Path) -> None:
    inbox = Settling(1.0)
    inbox.look([slide], now=0.0)
    slide.unlink()
    assert inbox.look([slide], now=5.0) == []
    slide.write_bytes(b"1")
    assert inbox.look([slide], now=6.0) == []
    assert inbox.look([slide], now=7.0) == [slide]


@pytest.mark.parametrize(
    ("slide", "late"),
    [
        ("a.mrxs", "a/Data0001.dat"),
        ("a.vms", "a-1.jpg"),
        ("one.dcm", "two.dcm"),
        ("series", "series/3.dcm"),
        ("a.ome.zarr", "a.ome.zarr/0/c/0/0"),
    ],
)
def test_all_files_of_a_slide_count(tmp_path: Path, slide: str, late: str) -> None:
    path, part = tmp_path / slide, tmp_path / late
    if slide in late:
        path.mkdir()
        (path / "1").write_bytes(b"1")
    else:
        path.write_bytes(b"1")
    inbox = Settling(1.0)
    inbox.look([path], now=0.0)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"2")
    assert inbox.look([path], now=1.0) == []
    assert inbox.look([path], now=2.0) == [path]
    assert part in set(parts(path))


def test_a_neighbour_is_no_part(tmp_path: Path, slide: Path) -> None:
    (tmp_path / "b.svs").write_bytes(b"2")
    assert list(parts(slide)) == [slide]
