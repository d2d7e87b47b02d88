"""A finding: one line of the doctor. Enters: what was looked at. Leaves: a value. Next: `wsipipe.doctor.examine`."""

from __future__ import annotations

from dataclasses import dataclass

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"


@dataclass(frozen=True)
class Finding:
    """What was found.

    Parameters
    ----------
    name : str
        What was looked at.
    status : {"PASS", "WARN", "FAIL"}
        FAIL: a run would not work. WARN: it would, slower or not everywhere.
    said : str
        What was found.
    fix : str
        What to do; empty for PASS.
    """

    name: str
    status: str
    said: str
    fix: str = ""


def graded(name: str, said: str, fix: str, *, fail: bool = False, warn: bool = False) -> Finding:
    """A finding whose fix is told only where something is wrong."""
    status = FAIL if fail else WARN if warn else PASS
    return Finding(name, status, said, "" if status == PASS else fix)
