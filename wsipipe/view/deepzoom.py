"""The geometry of Deep Zoom: a pyramid that halves down to one pixel, cut into square tiles.

Enters: the shape of a plane. Leaves: levels, cells, boxes. Next room: `wsipipe.view.ground` reads their pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsipipe.grid import Box


@dataclass(frozen=True, slots=True)
class DeepZoom:
    """A plane and its halvings, coarsest first: level 0 is one pixel, the last level is the plane itself.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the plane.
    tile : int
        Side of a tile. The last ones of a row or column are narrower; tiles do not overlap.

    Notes
    -----
    A side of a level is the plane's over a power of two, rounded up. So the last pixel of a level may reach past the
    plane; a browser's viewer cuts that part off.
    """

    shape: tuple[int, int]
    tile: int = 256

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.tile < 1:
            raise ValueError(f"a pyramid needs a plane and a tile of at least one pixel: {self}")

    @property
    def last(self) -> int:
        """Number of the finest level, the plane itself."""
        return (max(self.shape) - 1).bit_length()

    def downsample(self, level: int) -> int:
        """Pixels of the plane per pixel of a level. Raises IndexError where there is no such level."""
        if not 0 <= level <= self.last:
            raise IndexError(f"levels are 0 to {self.last}, got {level}")
        return int(2 ** (self.last - level))

    def shape_of(self, level: int) -> tuple[int, int]:
        """Height and width of a level in its own pixels."""
        down = self.downsample(level)
        return -(-self.shape[0] // down), -(-self.shape[1] // down)

    def cells(self, level: int) -> tuple[int, int]:
        """Rows and columns of tiles of a level."""
        height, width = self.shape_of(level)
        return -(-height // self.tile), -(-width // self.tile)

    def box(self, level: int, row: int, column: int) -> Box:
        """The pixels of a tile, in pixels of its level. Raises IndexError where there is no such tile."""
        rows, columns = self.cells(level)
        if not (0 <= row < rows and 0 <= column < columns):
            raise IndexError(f"level {level} has {rows} x {columns} tiles, got row {row}, column {column}")
        plane = Box(0, 0, *self.shape_of(level))
        return Box(row * self.tile, column * self.tile, self.tile, self.tile).intersect(plane)

    def single(self) -> int:
        """The finest level that is one tile."""
        return max(level for level in range(self.last + 1) if self.cells(level) == (1, 1))
