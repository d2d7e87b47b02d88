"""Is this machine fit to run wsipipe? Checks, each with its fix.

Enters: where results would go, a scheduler's address. Leaves: findings. Next room: `wsipipe.cli.doctor` prints them.
"""

from wsipipe.doctor.examine import examine
from wsipipe.doctor.finding import FAIL, PASS, WARN, Finding

__all__ = ["FAIL", "PASS", "WARN", "Finding", "examine"]
