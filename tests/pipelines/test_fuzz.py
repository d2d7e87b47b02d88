"""The short form of tests/benchmarks/fuzz.py: damaged slides, configurations and weights end in our own errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.fuzz import fuzz, plan

SLIDES, TEXTS = 80, 60


@pytest.mark.timeout(600)
def test_damaged_files_end_in_errors_of_ours(tmp_path: Path) -> None:
    cases = plan(tmp_path, slide_count=SLIDES, text_count=TEXTS)
    tallies = fuzz(cases, tmp_path, seed=11, jobs=1)
    assert sum(tally.ends.total() for tally in tallies.values()) == SLIDES + TEXTS
    for kind, tally in tallies.items():
        assert not tally.bad, (kind, tally)
        assert tally.ends.total() > tally.ends["opened"] > 0, (kind, tally)
