"""Every error that wsipipe raises on purpose, in one tree.

::

    WsipipeError
    ├── UsageError            the command or the configuration is wrong; nothing was started (exit 2)
    │   ├── ConfigError       a configuration file or a --set value
    │   ├── WeightsError      weights missing, damaged, of another architecture, or untrained
    │   └── ChainError        stages whose declared inputs are not available
    ├── SlideError            one slide cannot be worked on; the batch goes on (exit 3)
    │   ├── SlideOpenError    missing, empty, damaged, or of a format that no reader knows
    │   ├── SlideReadError    opened, but a region's pixels cannot be decoded
    │   ├── MppError          micrometres per pixel missing or absurd
    │   ├── TileSizeError     the slide is smaller than one tile
    │   └── StitchError       fields that do not make a mosaic: no overlap, another order
    ├── UnitError             a worker failed on one unit; carries the worker's traceback
    │   ├── UnitTimeoutError  a unit or its slide took longer than it may; its worker was killed
    │   └── WorkerLostError   a unit whose worker processes died, twice: quarantined
    ├── ClusterError          no worker can be had, or the scheduler is lost; the same command continues (exit 1)
    ├── StoppedError          a unit was dropped half way because the run was asked to stop
    └── StoreError            a result store is missing, damaged, or not ours

A message says what was being done, on which slide or tile, the rule, the value got, and what to do,
on one line. The file's name is kept apart in ``subject`` so that a de-identified run can leave it out.
"""

from __future__ import annotations


class WsipipeError(Exception):
    """Root of the tree.

    Parameters
    ----------
    message : str
        One line: what was being done, the rule, the value got, what to do. Never the file's name.
    subject : str, optional
        What it was done on (a path, a slide id, a key of the configuration).
    """

    def __init__(self, message: str, *, subject: str = "") -> None:
        super().__init__(message, subject)
        self.message = message
        self.subject = subject

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}" if self.subject else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.subject), self.__dict__)  # with cause and trace


def _rebuild(kind: type[WsipipeError], message: str, subject: str) -> WsipipeError:
    return kind(message, subject=subject)


class UsageError(WsipipeError):
    """The command or its configuration is wrong; nothing was started."""


class ConfigError(UsageError):
    """A configuration file or a ``--set`` value is wrong."""


class WeightsError(UsageError):
    """Weights are missing, damaged, of another architecture, or untrained."""


class ChainError(UsageError):
    """A stage's declared inputs are not among what the stages before it and the slide offer."""


class SlideError(WsipipeError):
    """One slide cannot be worked on; the batch goes on."""


class SlideOpenError(SlideError):
    """The file is missing, empty, damaged, or of a format that no reader knows."""


class SlideReadError(SlideError):
    """The slide opened, but a region's pixels cannot be decoded."""


class MppError(SlideError):
    """Micrometres per pixel are missing or outside 0.05 to 20."""


class TileSizeError(SlideError):
    """The slide is smaller than one tile in the working frame."""


class StitchError(SlideError):
    """Fields do not make a mosaic: they do not overlap, or do not lie as they are said to."""


class UnitError(WsipipeError):
    """A worker failed on one unit of a slide.

    ``trace`` is the worker's traceback as text; ``cause`` the name of the original error's type.
    """

    cause: str = ""
    trace: str = ""


class UnitTimeoutError(UnitError):
    """A unit, or the slide that it belongs to, took longer than it may; its worker process was killed."""


class WorkerLostError(UnitError):
    """A unit's worker process died, and the one that had the unit alone afterwards died too: it is quarantined."""


class ClusterError(WsipipeError):
    """No worker can be had, or the scheduler is lost. What is done is marked: the same command continues."""


class StoppedError(WsipipeError):
    """A unit was dropped half way, because the run was asked to stop. Never recorded: the next run does the unit."""


class StoreError(WsipipeError):
    """A result store is missing, damaged, or was not written by wsipipe."""
