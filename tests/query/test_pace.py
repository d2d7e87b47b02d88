"""An ETA from marks over time, and whether the run that is watched still lives."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import pytest

from wsipipe.query.pace import ENDED, GONE, RUNNING, Pace
from wsipipe.store import lease
from wsipipe.store.lease import Owner


def told(*shares: float, sources: int = 4, run: str = "running", owner: Owner | None = None) -> dict[str, Any]:
    slides = [{"id": f"s{index}", "share": share} for index, share in enumerate(shares)]
    return {"run": run, "sources": sources, "slides": slides, "owner": asdict(owner) if owner else None}


def test_seconds_to_go() -> None:
    pace = Pace()
    assert pace.look(told(0.0), now=0.0) is None
    assert pace.look(told(0.5), now=10.0) == pytest.approx(70.0)  # 3.5 of 4 slides left, 20 s each
    assert pace.look(told(1.0, 0.0), now=20.0) == pytest.approx(60.0)
    assert pace.look(told(1.0, 1.0, 1.0, 1.0), now=80.0) == 0.0


def test_a_share_never_falls_and_the_pace_is_the_last_quarter_hour_s() -> None:
    pace = Pace()
    pace.look(told(0.0), now=0.0)
    pace.look(told(0.6), now=10.0)
    assert pace.look(told(0.5), now=10.0) == pytest.approx(3.4 * 10 / 0.6)
    assert pace.look(told(0.6), now=2000.0) is None  # nothing moved of late
    assert pace.look(told(0.6, 1.0, 1.0), now=2100.0) == pytest.approx(1.4 * 100 / 2)


def test_more_slides_than_sources() -> None:
    pace = Pace()
    pace.look(told(1.0, 1.0, 0.0, sources=1), now=0.0)
    assert pace.look(told(1.0, 1.0, 0.5, sources=1), now=5.0) == pytest.approx(5.0)


def test_ended_running_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LOST_S", 0.1)
    pace, far = Pace(), Owner("r", "far", "m", 1, 1.0, 1.0, 1.0, 3, number=1)
    assert pace.state(told(run="ended")) == pace.state(told(run="interrupted")) == ENDED
    assert pace.state(told()) == GONE
    assert pace.state(told(owner=far)) == RUNNING
    time.sleep(0.2)
    assert pace.state(told(owner=far)) == GONE
    mine = lease._myself()
    assert pace.state(told(owner=mine)) == RUNNING
