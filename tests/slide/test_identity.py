"""Ids that are safe names, fingerprints that follow content only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsipipe.slide.identity import MIB, clean, file_fingerprint, joint_fingerprint, scene_fingerprint, slide_id


@given(st.text())
def test_any_name_becomes_a_safe_one(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}", clean(name))


def test_the_id_is_stem_and_twelve_digits() -> None:
    assert slide_id(Path("d/S 1,2 é.ome.tiff"), "0123456789abcdef") == "S_1_2__.ome-0123456789ab"


def test_a_folders_dots_are_no_ending(tmp_path: Path) -> None:
    for name, stem in (("1.2.840", "1.2.840"), ("a.zarr", "a"), ("b.ome.zarr", "b")):
        (tmp_path / name).mkdir()
        assert slide_id(tmp_path / name, "f" * 64) == f"{stem}-{'f' * 12}"


def test_a_copy_has_the_same_fingerprint_and_a_change_at_either_end_another(tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_288  # 3 MiB
    kinds = {"a": data, "b": data, "first": b"x" + data[1:], "last": data[:-1] + b"x", "longer": data + b"\0"}
    for name, content in kinds.items():
        (tmp_path / name).write_bytes(content)
    prints = {name: file_fingerprint(tmp_path / name) for name in kinds}
    assert prints["a"] == prints["b"]
    assert len(set(prints.values())) == 4
    assert len(prints["a"]) == 64


def test_the_middle_counts_through_what_the_reader_adds(tmp_path: Path) -> None:
    data = bytearray(3 * MIB)
    (tmp_path / "a").write_bytes(data)
    before = file_fingerprint(tmp_path / "a")
    data[MIB + 5] = 1
    (tmp_path / "a").write_bytes(data)
    assert file_fingerprint(tmp_path / "a") == before
    assert file_fingerprint(tmp_path / "a", b"tile offsets") != before


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_short_files_have_one_too(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"a" * size)
    assert re.fullmatch("[0-9a-f]{64}", file_fingerprint(tmp_path / "a"))


def test_scenes_and_order_are_told_apart() -> None:
    assert scene_fingerprint("ab", None) == "ab"
    assert len({scene_fingerprint("ab", scene) for scene in (None, 0, 1)}) == 3
    assert joint_fingerprint(["a", "b"]) != joint_fingerprint(["b", "a"])
