"""A resumable layer: the arrays that one step of one setting leaves for one slide, and its marks.

Enters: where it is, what it holds. Leaves: a value that is pickled to workers. Creating and writing
are in `wsipipe.store.write`, reading in `wsipipe.store.read`.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsipipe.grid import Grid
from wsipipe.stage import Spec
from wsipipe.store.layout import PACKED, WORK


@dataclass(frozen=True)
class Layer:
    """One step's arrays for one slide.

    Parameters
    ----------
    root : str
        Path of the slide's Zarr group.
    name : str
        The step.
    key : str
        Hash of everything that could change a byte of it.
    specs : tuple of Spec
        What it holds.
    grid : Grid or None
        With a grid it is written unit by unit; without one all at once, as small slide-level arrays.
    """

    root: str
    name: str
    key: str
    specs: tuple[Spec, ...]
    grid: Grid | None = None

    @property
    def group(self) -> str:
        """Path of the layer inside the slide's group."""
        return f"{WORK}/{self.name}-{self.key}"

    @property
    def packed_group(self) -> str:
        """Path of the layer once it is packed into few files."""
        return self.group + PACKED

    def spec(self, name: str) -> Spec:
        """The declaration of one array. Raises KeyError where the layer has none of that name."""
        for spec in self.specs:
            if spec.name == name:
                return spec
        raise KeyError(f"layer {self.name!r} has {[spec.name for spec in self.specs]}, not {name!r}")
