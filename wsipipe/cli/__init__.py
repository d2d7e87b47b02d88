"""The command line: one file per verb. Results on stdout, progress and errors on stderr.

Exit codes: 0 all slides done (skipped ones count as done), 1 a check failed, 2 wrong usage or configuration,
3 finished but some slides failed, 130 interrupted.
"""

from __future__ import annotations

from wsipipe.cli.app import main

__all__ = ["main"]
