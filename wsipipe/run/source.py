"""What the batch is asked to work on: sources, how they become slides, and what a missing mpp means.

Enters: paths, a slide list, a policy. Leaves: open slides, kept per process. Next room: `wsipipe.run.work`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from wsipipe.errors import ConfigError, MppError
from wsipipe.slide import open_slide
from wsipipe.slide.base import Slide, SlideInfo
from wsipipe.slide.damage import Damaged
from wsipipe.slide.icc import Icc
from wsipipe.units import is_sane

MOST_OPEN = 4
"""Slides that one process keeps open."""


@dataclass(frozen=True)
class MppPolicy:
    """What happens to a slide whose mpp is missing or outside 0.05 to 20.

    ``kind`` is ``error`` (the slide fails), ``skip`` (recorded as skipped) or ``assume`` (`assumed` is used).
    """

    kind: str = "error"
    assumed: float | None = None

    @classmethod
    def parse(cls, text: str) -> MppPolicy:
        """Read ``error``, ``skip`` or ``assume:0.5``. Raises ConfigError for anything else."""
        kind, _, number = text.partition(":")
        if kind in ("error", "skip") and not number:
            return cls(kind)
        try:
            assumed = float(number)
        except ValueError:
            assumed = float("nan")
        if kind == "assume" and is_sane(assumed):
            return cls("assume", assumed)
        raise ConfigError(
            f"reading the mpp policy: it is error, skip or assume:MPP with an MPP from 0.05 to 20, got {text!r}",
            subject="slide.mpp_policy",
        )


@dataclass(frozen=True)
class Source:
    """One slide to be worked on, as the user named it.

    Parameters
    ----------
    path : str
    mpp : float or None
        From the slide list; replaces what the file says.
    case_id, stain : str
        From the slide list.
    scene : int or None
        Which scene of a file with several.
    facts : tuple of (str, str)
        What else the slide list says of it, column and text, where the pipeline asks for such columns.
    """

    path: str
    mpp: float | None = None
    case_id: str = ""
    stain: str = ""
    scene: int | None = None
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def declared(self) -> str:
        """What the slide list says besides mpp and case; part of the keys of finishing steps."""
        return self.stain + "".join(f"; {name}={text}" for name, text in self.facts)


def stored_mpp(info: SlideInfo) -> float | None:
    """What the file says of mpp, be it sane or not; None where its pixels are not square (over 2 %)."""
    try:
        info.frames()
    except MppError:
        return None if is_sane(info.mpp) else info.mpp
    return info.mpp


def true_mpp(source: Source, stored: float | None, policy: MppPolicy) -> float | None:
    """The mpp to work with, or None where the slide is to be skipped.

    Raises
    ------
    MppError
        Under ``error``, where neither the slide list nor the file gives a sane value.
    """
    for found in (source.mpp, stored):
        if is_sane(found):
            return found
    if policy.kind == "error":
        said = "stores no mpp" if stored is None else f"stores an mpp of {stored:g}"
        raise MppError(
            f"the file {said}, a value from 0.05 to 20 micrometres per pixel is needed: give it in the slide "
            "list's mpp column, or choose --mpp-policy assume:0.5 or skip"
        )
    return policy.assumed


_LOCK = threading.RLock()
_OPEN: OrderedDict[tuple[Source, float | None, str, str], Slide] = OrderedDict()


def opened(source: Source, mpp: float | None, icc: Icc = "record", damaged: Damaged = "fail") -> Slide:
    """The slide of a source, opened once per process; the least recently used beyond four is let go."""
    key = (source, mpp, icc, damaged)
    with _LOCK:
        if key in _OPEN:
            _OPEN.move_to_end(key)
            return _OPEN[key]
        _OPEN[key] = open_slide(source.path, mpp=mpp, scene=source.scene, icc=icc, damaged=damaged)
        while len(_OPEN) > MOST_OPEN:
            _OPEN.popitem(last=False)  # not closed here: another thread may still be reading; the last reader frees it
        return _OPEN[key]


def close_all() -> None:
    """Close every slide that this process holds open."""
    with _LOCK:
        while _OPEN:
            _OPEN.popitem()[1].close()
