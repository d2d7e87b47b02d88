"""What a fuzzed file is put through, in a process of its own that may be killed.

Enters: a kind and a damaged file. Leaves: how it was taken: ``opened``, the name of a `WsipipeError`, or ``BUG``
with a traceback. Next: `tests.benchmarks.fuzz`.
"""

from __future__ import annotations

import re
import resource
import traceback
import warnings
from pathlib import Path
from typing import Any

from wsipipe.errors import MppError, WsipipeError
from wsipipe.grid import Box, choose_frame
from wsipipe.slide import open_slide

WORKING_MPP, TILE = 0.5, 256


def limit_memory(most: int) -> None:
    """Bound this process's address space: a decoder that asks for more gets none."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    warnings.simplefilter("ignore")  # libraries warn of damage; the errors are what counts


def put_through(kind: str, path: Path) -> tuple[str, str, int]:
    """``(how it was taken, details, peak bytes)``."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of this file, not of the ones before
    try:
        CASES[kind](path)
        how, said = "opened", ""
    except WsipipeError as error:
        how, said = type(error).__name__, str(error)
    except Exception as error:  # noqa: BLE001 (a fuzzer's purpose: whatever else comes out is a bug, told with its place)
        how, said = f"BUG {type(error).__name__}", traceback.format_exc()[-3000:]
    return how, said, _peak()


def slide(path: Path) -> None:
    """Open, tell, read three tiles of the finest level, one of the coarsest, one resampled; close."""
    opened = open_slide(path)
    try:
        info = opened.info
        height, width = info.shape
        corners = {(0, 0), (height // 2, width // 2), (max(0, height - TILE), max(0, width - TILE))}
        for y, x in sorted(corners):
            opened.read(Box(y, x, TILE, TILE), level=0)
        opened.read(Box(0, 0, TILE, TILE), level=len(info.levels) - 1, plane=info.planes - 1)
        try:
            frame = choose_frame(info.frames(), WORKING_MPP)
        except MppError:  # damaged, or never there: the batch's policy decides
            return
        opened.read(Box(0, 0, TILE, TILE), frame=frame)
    finally:
        opened.close()


def config(path: Path) -> None:
    """Load as the kind of configuration that its name tells; the gastric one is built as far as a launch goes."""
    from wsipipe.config import load
    from wsipipe.pipelines import gastric
    from wsipipe.train.config import SlidesConfig, TilesConfig

    kinds: dict[str, Any] = {"gastric-tiles": TilesConfig, "gastric-slides": SlidesConfig}
    kind = kinds.get(path.name.split(".")[0])
    if kind is not None:
        load(kind, path)
    else:
        gastric.launch(path, untrained=True)


def weights(path: Path) -> None:
    """Find, read the statistics, load into the network of the card."""
    from wsipipe.graph import gcn
    from wsipipe.models import vnet
    from wsipipe.models import weights as stored
    from wsipipe.models.architecture import VNetConfig, settings

    found = stored.find(path)
    stored.statistics(found)
    if found.card.architecture.name == "gcn":
        stored.load(found, lambda card: gcn.build(settings(card.architecture, "gcn", gcn.GcnConfig)))
    else:
        stored.load(found, lambda card: vnet.VNet(settings(card.architecture, "vnet", VNetConfig)))


CASES = {"slide": slide, "config": config, "weights": weights}


def _peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0
