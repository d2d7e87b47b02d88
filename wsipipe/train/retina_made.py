"""Made fundus pictures as labelled cases, by several processes; imports no torch, so that these start quickly.

Enters: seeds. Leaves: `Case`. Next: `wsipipe.train.retina_data`.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from wsipipe.phantom.fundus import make_fundus
from wsipipe.train.retina_config import MadeSection
from wsipipe.vessel.folder import Case


def made_cases(made: MadeSection, workers: int) -> list[Case]:
    """Made pictures, seed after seed, by so many processes (0.4 s each)."""
    orders = [(made.seed + index, made.height, made.width) for index in range(made.pictures)]
    if workers < 2 or len(orders) < 4:
        return [_made(order) for order in orders]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_made, orders, chunksize=max(1, len(orders) // (4 * workers))))


def _made(order: tuple[int, int, int]) -> Case:
    seed, height, width = order
    made = make_fundus(seed, size=(height, width))
    return Case(f"made_{seed}", made.picture, made.label, made.field)
