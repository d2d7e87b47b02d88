"""Policy, capacity and partial slides: decisions without workers."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe.errors import MppError, UnitError, UnitTimeoutError, UsageError, WorkerLostError
from wsipipe.run import partial
from wsipipe.run.admission import largest_first
from wsipipe.run.capacity import by_cores, by_memory, parse_bytes
from wsipipe.run.policy import Policy
from wsipipe.run.source import Source


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * 10**9), ("8 GiB", 8 * 2**30), ("500M", 500 * 10**6), ("1.5g", 1_500_000_000), ("1024", 1024)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "8 apples", "1e9"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--max-memory is a size such as 8GB"):
        parse_bytes(text)


def test_memory_lowers_the_number_of_workers_only() -> None:
    size = by_memory(10**10, 10**9, 1, asked=4)
    assert 1 <= size.workers <= 4
    assert size.workers * size.memory <= 10**10
    assert by_memory(10**12, 10**9, 1, asked=4).workers == 4
    with pytest.raises(UsageError, match="is too little"):
        by_memory(10**8, 10**9, 1, asked=4)


def test_a_gpu_has_one_owner() -> None:
    assert by_cores(1, gpu=True).workers == 1
    assert by_cores(1, gpu=False).workers >= 1


def test_what_is_tried_again() -> None:
    policy = Policy(retries=2)
    assert policy.again(UnitError("x"), 1)
    assert not policy.again(UnitError("x"), 2)
    for final in (MppError("x"), UnitTimeoutError("x"), WorkerLostError("x")):
        assert not policy.again(final, 0)
    with pytest.raises(UsageError, match="--on-unit-failure is fail or partial"):
        Policy(on_unit_failure="ignore")


def test_a_slides_limit_shortens_its_units() -> None:
    policy = Policy(unit_timeout=10, slide_timeout=25)
    assert policy.limit_s(0) == 10
    assert policy.limit_s(20) == 5
    assert policy.limit_s(30) == 0
    assert policy.overdue(25)
    assert Policy().limit_s(1e9) is None


def test_the_largest_slide_first_and_copies_in_their_order(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    for name, size in (("a", 5), ("b", 50), ("c", 5), ("d", 500)):
        (folder / name).write_bytes(b"x" * size)
    sources = [Source(str(folder / name)) for name in "abcd"] + [Source(str(folder / "missing"))]
    assert [index for index, _ in largest_first(sources)] == [3, 1, 0, 2, 4]


def test_tiles_of_missing_units_are_left_out() -> None:
    ids = np.arange(0, 256, 16)
    kept = partial.present(ids, ((2, (1,)), (4, (3,))), rows_per_unit=64)
    assert kept.tolist() == [one for one in ids.tolist() if one // 64 in (0, 2)]
    assert partial.missing_line({"tiles": [3, 1]}).startswith("units are missing (tiles 1, 3)")
