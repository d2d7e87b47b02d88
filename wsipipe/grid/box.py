"""The box: a half-open rectangle of whole pixels. Everything else in the package is made of boxes.

Enters: integers. Leaves: integers, and slices for NumPy. Next room: `wsipipe.grid.cover`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """Pixels ``y <= row < y + height`` and ``x <= column < x + width`` of one frame.

    Parameters
    ----------
    y, x : int
        Upper left corner; may be negative (a halo reaches outside the plane).
    height, width : int
        Size in pixels, 0 or more. A box of no area is empty and touches nothing.

    Notes
    -----
    A box does not know its frame: the name of the variable does (``l0_box``, ``lv_box``, or no
    prefix for the working frame).
    """

    y: int
    x: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise ValueError(f"a box's size is 0 or more, got {self.height} x {self.width}")

    @classmethod
    def from_edges(cls, y0: int, x0: int, y1: int, x1: int) -> Box:
        """Box from its first row and column and the ones just past it; crossed edges give an empty box."""
        return cls(y0, x0, max(0, y1 - y0), max(0, x1 - x0))

    @property
    def y1(self) -> int:
        """The row just past the box."""
        return self.y + self.height

    @property
    def x1(self) -> int:
        """The column just past the box."""
        return self.x + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``, as NumPy has it."""
        return self.height, self.width

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def is_empty(self) -> bool:
        """Whether the box holds no pixel."""
        return self.area == 0

    def intersect(self, other: Box) -> Box:
        """The pixels of both; an empty box where they do not meet."""
        return Box.from_edges(
            max(self.y, other.y), max(self.x, other.x), min(self.y1, other.y1), min(self.x1, other.x1)
        )

    def contains(self, other: Box) -> bool:
        """Whether every pixel of `other` is also one of this box (an empty box is always inside)."""
        return other.is_empty or self.intersect(other) == other

    def pad(self, margin: int) -> Box:
        """The box grown by `margin` pixels on all four sides."""
        return Box(self.y - margin, self.x - margin, self.height + 2 * margin, self.width + 2 * margin)

    def shift(self, dy: int, dx: int) -> Box:
        """The box moved by `dy` rows and `dx` columns."""
        return Box(self.y + dy, self.x + dx, self.height, self.width)

    def slices(self, inside: Box | None = None) -> tuple[slice, slice]:
        """Slices that cut this box out of an array.

        Parameters
        ----------
        inside : Box, optional
            The box that the array covers; without it the array starts at ``(0, 0)``. The box must
            lie inside it: a negative start would silently wrap around, an end past it be cut off.
        """
        oy, ox = (inside.y, inside.x) if inside else (0, 0)
        if self.y < oy or self.x < ox:
            raise ValueError(f"{self} starts before the array it is cut from ({inside})")
        if inside and not inside.contains(self):
            raise ValueError(f"{self} ends after the array it is cut from ({inside})")
        return slice(self.y - oy, self.y1 - oy), slice(self.x - ox, self.x1 - ox)

    def shrink(self, factor: int) -> Box:
        """The pixels of a frame `factor` times coarser that this box touches.

        Edges round outwards, so a box whose edges are multiples of `factor` keeps exactly its ground.
        An empty box touches none and stays empty.
        """
        if self.is_empty:
            return Box(self.y // factor, self.x // factor, 0, 0)
        return Box.from_edges(self.y // factor, self.x // factor, -(-self.y1 // factor), -(-self.x1 // factor))
