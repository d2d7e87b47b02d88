"""What is kept stays within its bound, the latest used first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from wsipipe.view.recent import Recent


def test_the_longest_unused_makes_room() -> None:
    kept: Recent[bytes] = Recent(10, len)
    for name in "abc":
        kept.put(name, b"xxx")
    assert kept.get("a") == b"xxx"
    kept.put("d", b"xxxx")
    assert [kept.get(name) for name in "abcd"] == [b"xxx", None, b"xxx", b"xxxx"]
    assert kept.weight == 10


def test_a_value_again_is_weighed_once_and_one_too_heavy_is_not_kept() -> None:
    kept: Recent[bytes] = Recent(10, len)
    kept.put("a", b"xxxx")
    kept.put("a", b"xx")
    assert (kept.weight, len(kept)) == (2, 1)
    kept.put("b", b"x" * 11)
    assert kept.get("b") is None
    assert kept.weight <= 10


def test_the_bound_holds_with_many_threads() -> None:
    kept: Recent[bytes] = Recent(1000, len)
    sizes = np.random.default_rng(0).integers(1, 200, 4000).tolist()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: kept.put(item[0] % 60, b"x" * item[1]), enumerate(sizes)))
    assert 0 < kept.weight <= 1000
    assert kept.weight == sum(len(kept.get(key) or b"") for key in range(60))
