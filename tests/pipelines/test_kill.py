"""The short form of tests/benchmarks/kill.py: ten random kills, and the bytes of an uninterrupted run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.kill import Torture

KILLS = 10


@pytest.mark.timeout(600)
def test_ten_kills_change_no_byte(tmp_path: Path) -> None:
    torture = Torture(tmp_path, seed=4, workers=2, sides=(300,))
    torture.reference()
    tally = torture.run(KILLS, most_s=150)
    assert tally.problems == []
    assert tally.unequal == 0
    assert tally.equal == tally.kills.total() > 0
    assert tally.redone == 0
    assert max(tally.lost, default=0) <= torture.workers
