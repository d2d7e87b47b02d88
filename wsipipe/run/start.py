"""What a pipeline's page hands to whoever starts it: the recipe and what must be said beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsipipe.run.job import Recipe


@dataclass(frozen=True)
class Launch:
    """A configured pipeline, ready to be run.

    Parameters
    ----------
    recipe : Recipe
        What workers rebuild it from; its config is complete and resolved.
    weights : mapping
        sha256 of every weights file that it loads, by its role.
    mpp_policy : str
        ``error``, ``skip`` or ``assume:MPP``.
    device : str
        Resolved; a GPU belongs to one process.
    facts : tuple of str
        Further columns that the slide list may have; one called ``mpp`` is then not the slide's scale.
    """

    recipe: Recipe
    weights: Mapping[str, str] = field(default_factory=dict)
    mpp_policy: str = "error"
    device: str = "cpu"
    facts: tuple[str, ...] = ()
