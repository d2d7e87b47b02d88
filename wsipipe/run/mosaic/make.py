"""Making a mosaic: the phases, the workers, the lease, and the finished mosaic put in place.

Enters: a `MosaicPlan` and where the mosaic goes. Leaves: an OME-Zarr, and beside it tables and pictures. Next room:
`wsipipe.cli.stitch`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsipipe.errors import StitchError
from wsipipe.run.course import Course, Phase, Work
from wsipipe.run.mosaic import tasks
from wsipipe.run.mosaic.place import store_of
from wsipipe.run.mosaic.plan import EDGES, FIELDS, FINISH, NULL, NULL_DRAWS, PLACE, MosaicPlan, fields_of, setting
from wsipipe.run.pool import Pool
from wsipipe.run.stop import Signals
from wsipipe.slide.fields import FieldsSlide
from wsipipe.store.lease import Lease
from wsipipe.store.mosaic import put, told
from wsipipe.store.place import make_folder, remove_tree

WORK = "work-"
FEWEST_FIELDS = 2


@dataclass(frozen=True)
class Made:
    """How a course ended.

    Parameters
    ----------
    mosaic, beside : Path
        The OME-Zarr, and the folder with tables and pictures.
    whole : bool
        False where it was interrupted.
    exit_code : int
        Of the signal that stopped it; 0 for none.
    said : dict
        ``stitch.json``; empty unless whole.
    """

    mosaic: Path
    beside: Path
    whole: bool
    exit_code: int = 0
    said: dict[str, Any] | None = None


def beside(mosaic: Path) -> Path:
    """The folder for what is told of a mosaic: ``a.zarr`` has ``a.stitch``."""
    stem = mosaic.name.removesuffix(".zarr").removesuffix(".ome")
    return mosaic.with_name(f"{stem}.stitch")


def make(
    plan: MosaicPlan, mosaic: Path, pool: Callable[[], Pool], *, tell: Callable[[Phase, int], None],
    say: Callable[[str], None] = print, wait: bool = True,
) -> Made:  # fmt: skip
    """Make a mosaic, or go on with one; nothing is done where it is there with the same settings.

    Parameters
    ----------
    plan : MosaicPlan
        Its `beside` is the folder that `beside` names.
    mosaic : Path
        Ends in ``.zarr``.
    pool : callable
        Makes the workers, once it is known that there is something to do.
    tell : callable
        Told how a phase goes.
    say : callable
        Told lines for people.
    wait : bool
        Wait for another run that makes the same mosaic.

    Raises
    ------
    SlideOpenError, StitchError
        Fields that cannot be placed.
    """
    slide = fields_of(plan.text())
    if slide.info.planes < FEWEST_FIELDS:
        raise StitchError(f"a mosaic is made of two fields or more, got {slide.info.planes}", subject=plan.fields)
    folder = Path(plan.beside)
    make_folder(folder)
    with Lease(folder).take(wait=wait, tell=say) as lease:
        key = plan.key(slide.info.fingerprint)
        work = Work(str(folder / f"{WORK}{key}"), plan.text())
        if told(mosaic).get("stitch") != key:
            ended, code = _run(work, slide, plan, pool, tell=tell, check=lease.check)
            if not ended:
                return Made(mosaic, folder, whole=False, exit_code=code)
            lease.check()
            put(Path(work.folder) / "mosaic.zarr", mosaic)
        _sweep(folder)
    return Made(mosaic, folder, whole=True, said=json.loads((folder / "stitch.json").read_text(encoding="utf-8")))


def _run(
    work: Work, slide: FieldsSlide, plan: MosaicPlan, pool: Callable[[], Pool], *,
    tell: Callable[[Phase, int], None], check: Callable[[], None],
) -> tuple[bool, int]:  # fmt: skip
    """Whether all is done, and the exit code of the signal that stopped it."""
    with pool() as workers, Signals(workers.stop) as signals:
        ended = Course(work, phases(work, slide, plan), workers, tell=tell, check=check).run()
    return ended, 0 if ended else (signals.exit_code if signals.number else 1)


def phases(work: Work, slide: FieldsSlide, plan: MosaicPlan) -> Iterator[Phase]:
    """What is done, in order; blocks are known once the fields are placed."""
    pairs = len(setting(slide, plan.overlap).pairs)
    yield _phase(FIELDS, "field", slide.info.planes)
    yield _phase(NULL, "null", -(-plan.permutations // NULL_DRAWS) if pairs else 0)
    yield _phase(EDGES, "edge", pairs)
    yield Phase(PLACE, "wsipipe.run.mosaic.place:place", 1)
    store = store_of(work)
    yield _phase("blocks", "block", len(store.blocks(0)))
    if len(store.shapes) > 1:
        yield _phase("level-1", "level_1", len(store.blocks(1)))
    yield _phase("coarser", "coarser", 1)
    yield _phase(FINISH, "finish", 1)


def _phase(name: str, task: str, units: int) -> Phase:
    return Phase(name, f"{tasks.__name__}:{task}", units)


def _sweep(folder: Path) -> None:
    """Remove the work of this and of abandoned runs; the lease is held."""
    for one in folder.glob(f"{WORK}*"):
        remove_tree(one)
