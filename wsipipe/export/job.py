"""What is exported and where to: the slides, the folder, the choices. Every format takes one `Job`.

Enters: results, slide ids, options. Leaves: a `Job`. Next room: `wsipipe.export.registry`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from wsipipe.errors import UsageError
from wsipipe.query import Results, SlideResult
from wsipipe.store.records import WITH_RESULTS

if TYPE_CHECKING:
    import pandas as pd

TILES = ("all", "topk", "none")


@dataclass(frozen=True)
class Options:
    """Choices of an export.

    Parameters
    ----------
    tiles : str
        ``all``, ``topk`` (only those that speak for the slide) or ``none``.
    gzip : bool
        Compress text formats.
    color : bool
        Colours instead of grey values, where a format offers both.
    """

    tiles: str = "all"
    gzip: bool = False
    color: bool = False

    def __post_init__(self) -> None:
        if self.tiles not in TILES:
            raise UsageError(f"--tiles is one of {', '.join(TILES)}, got {self.tiles!r}")


@dataclass(frozen=True)
class Job:
    """An export under way.

    Parameters
    ----------
    results : Results
    ids : list of str
        Slides, ascending.
    out : Path
        The folder that files are written below.
    options : Options
    note : callable
        Called with a slide's id when all of its files are written.
    """

    results: Results
    ids: list[str]
    out: Path
    options: Options = field(default_factory=Options)
    note: Callable[[str], None] = lambda _: None

    def __iter__(self) -> Iterator[SlideResult]:
        """The slides one after another; the one before is told as written."""
        for slide_id in self.ids:
            yield self.results.slide(slide_id)
            self.note(slide_id)

    def tiles(self, slide: SlideResult) -> pd.DataFrame:
        """A slide's rows of the tile table that were asked for; may have no columns where there are no rows."""
        table = slide.tiles
        if self.options.tiles == "all" or table.empty:
            return table
        return table[table["is_topk"]] if self.options.tiles == "topk" else table[:0]

    @cached_property
    def stems(self) -> dict[str, str]:
        """File name without ending of every slide as its own software knows it, by id.

        The slide id where two slides share a file name, or where a de-identified run kept no path.
        """
        rows = self.results.slides.drop_duplicates("id")
        rows = rows[rows["status"].isin(WITH_RESULTS)]
        stems = {str(row["id"]): _stem(row["path"]) for row in rows.to_dict("records")}
        shared = Counter(stems.values())
        return {slide_id: stem if stem and shared[stem] == 1 else slide_id for slide_id, stem in stems.items()}


def chosen(results: Results, asked: list[str]) -> list[str]:
    """Ids of the slides to export, ascending: all that have results, or those whose id begins as asked.

    Raises
    ------
    UsageError
        Where a slide is unknown or has no results, or none has.
    """
    if asked:
        return sorted({results.slide(name).id for name in asked})
    table = results.slides
    ids: list[str] = sorted(set(table.loc[table["status"].isin(WITH_RESULTS), "id"]))
    if not ids:
        raise UsageError("exporting: no slide has results; see `wsipipe status`", subject=str(results.path))
    return ids


def _stem(path: Any) -> str:
    """The file's name without its ending, whichever system's path it is."""
    if not isinstance(path, str):
        return ""
    name = PurePosixPath(PureWindowsPath(path).as_posix()).name if "\\" in path else PurePosixPath(path).name
    for ending in (".ome.tiff", ".ome.tif", ".ome.zarr"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return PurePosixPath(name).stem
