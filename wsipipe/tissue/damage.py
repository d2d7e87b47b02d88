"""The share of each tile that the file could not give, as a column.

Enters: what reading left (`wsipipe.slide.damage`). Leaves: a row per tile. Next: the table, and the verdict.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsipipe.stage import DAMAGED, Batch, Ref, Spec, Stage


def undecoded(*, name: str = "damaged") -> Stage:
    """Stage that keeps how much of a tile could not be decoded.

    Parameters
    ----------
    name : str
        Of the output: two steps of a pipeline read different levels and leave different names.

    Returns
    -------
    Stage
        Input ``damaged`` (N,) float32. Output `name`, the same.
    """
    ref = Ref("wsipipe.tissue.damage:undecoded", {"name": name})
    out = Spec(name, about=DAMAGED.about)

    def same(*, damaged: NDArray[np.float32]) -> Batch:
        return {name: damaged}

    return Stage(ref, "damage", 1, (DAMAGED,), (out,), same)
