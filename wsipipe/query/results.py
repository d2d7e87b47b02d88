"""What a run left, for people at a notebook: slides and tiles as DataFrames, arrays that read only what is asked.

Enters: a results directory. Leaves: a `Results`. Everything on disk is read through `wsipipe.store`; nothing is
changed.

>>> results = wsipipe.open_results("RESULTS")
>>> results.slides[["id", "category", "p_invasive"]]
>>> results.tiles.query("is_topk").sort_values(["slide_id", "rank"])
>>> slide = results.slide("cmu-1-small-region")
>>> slide.probability(2)[1000:1200, 400:600]
>>> slide.overview()
"""

from __future__ import annotations

import difflib
import html
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsipipe.errors import UsageError
from wsipipe.query import tile
from wsipipe.query.picture import StoredPicture
from wsipipe.query.tile import Heatmap
from wsipipe.store import published, records
from wsipipe.store.layout import RUN_FILE, SLIDES_FILE, pictures_path, store_path
from wsipipe.store.lazy import Lazy
from wsipipe.store.place import place

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

OVERVIEW_FILE = "overview.png"
TILE_FILES = "tile-*.png"
SHOWN = ("id", "status", "category", *records.PROBABILITY_COLUMNS, "tiles", "reason")


def open_results(path: str | Path) -> Results:
    """Open what ``wsipipe run ... --out PATH`` wrote.

    Parameters
    ----------
    path : path
        The results directory.

    Returns
    -------
    Results
        Nothing is read before it is asked for.

    Raises
    ------
    UsageError
        Where there is no such directory, or it holds no results.
    """
    folder = place(path)
    if not folder.exists():
        raise UsageError("opening results: no such directory; give what a run's --out named", subject=str(path))
    if not folder.is_dir():
        raise UsageError("opening results: a file, not a directory; give what a run's --out named", subject=str(path))
    if not (folder / SLIDES_FILE).is_file():
        hint = (
            "give its parent"
            if folder.suffix == ".zarr" or (folder.parent / SLIDES_FILE).is_file()
            else ("give what a run's --out named, or wait until the run's first slide has ended")
        )
        raise UsageError(f"opening results: no {SLIDES_FILE} in it; {hint}", subject=str(path))
    return Results(folder)


class Results:
    """A results directory. `open_results` makes it.

    Tables are read once and kept; open the directory again to see what a running batch has added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def slides(self) -> pd.DataFrame:
        """One row per slide, ordered by id: the columns of `wsipipe.store.records.SLIDE_COLUMNS`.

        A slide that failed or was skipped has NaN or None where it has no value.
        """
        return records.read_slides(self.path / SLIDES_FILE)

    @cached_property
    def run(self) -> dict[str, Any]:
        """What ``run.json`` says: configuration, versions, weights, timing; empty while the run has not ended."""
        path = self.path / RUN_FILE
        return records.read_json(path) if path.is_file() else {}

    @property
    def done(self) -> list[str]:
        """Ids of the slides that have results, ascending; those of partial ones lack some units."""
        ids: list[str] = self.slides.loc[self.slides["status"].isin(records.WITH_RESULTS), "id"].tolist()
        return ids

    @cached_property
    def tiles(self) -> pd.DataFrame:
        """One row per kept tile of every finished slide: ``slide_id``, then the columns of `SlideResult.tiles`."""
        import pandas as pd

        parts = [slide.tiles.assign(slide_id=slide.id) for slide in self]
        parts = [part for part in parts if len(part)]
        if not parts:
            return pd.DataFrame({"slide_id": pd.Series(dtype=object), "tile_id": pd.Series(dtype=np.int64)})
        table = pd.concat(parts, ignore_index=True)
        return table[["slide_id", *(name for name in table.columns if name != "slide_id")]]

    def query(self, sql: str, *, as_: str = "pandas", timeout_s: float = 60.0) -> Any:
        """Ask with SQL, as ``wsipipe query`` does; the views are told in `wsipipe.query.columns`.

        Parameters
        ----------
        sql : str
            One SELECT or EXPLAIN.
        as_ : str
            ``pandas`` for a DataFrame, ``arrow`` for an Arrow table.
        timeout_s : float
            When it is stopped.

        Raises
        ------
        UsageError
            Where the statement is wrong, refused, or takes too long.
        """
        from wsipipe.query.engine import opened  # deferred: DuckDB is for those who ask

        if as_ not in {"pandas", "arrow"}:
            raise UsageError(f"asking: as_ is pandas or arrow, got {as_!r}", subject="query")
        with opened([self.path]) as engine:
            table = engine.arrow(sql, timeout_s=timeout_s)
        return table if as_ == "arrow" else table.to_pandas()

    def anndata(self, slide_id: str) -> Any:
        """One slide's tiles as AnnData: features in ``X``, the graph in ``obsp``."""
        return published.anndata_table(self.slide(slide_id).path)

    def heatmap(self, slide_id: str, *, longest_px: int = 1024) -> Heatmap:
        """One slide's probability map at a size fit to look at."""
        return tile.heatmap(self.slide(slide_id), longest_px=longest_px)

    def tile_image(self, slide_id: str, tile_id: int, *, slide_path: str | Path | None = None) -> NDArray[Any]:
        """Level-0 pixels of a kept tile; `slide_path` says where a moved or de-identified slide lies."""
        return tile.tile_image(self.slide(slide_id), tile_id, slide_path=slide_path)

    def slide(self, slide_id: str) -> SlideResult:
        """The results of one slide.

        Parameters
        ----------
        slide_id : str
            Its id, or as much of the beginning as no other slide shares.

        Raises
        ------
        UsageError
            Where no slide or more than one begins so, or the slide failed.
        """
        chosen = self._named(slide_id)
        same = self.slides[self.slides["id"] == chosen]
        rows = same.sort_values("status", kind="stable").to_dict("records")
        row = {str(name): value for name, value in rows[0].items()}  # done first; an alias is a skipped row of one id
        if row["status"] not in records.WITH_RESULTS:
            why = f"it was {row['status']} ({row['reason'] or row['error'] or 'no reason given'})"
            raise UsageError(f"opening a slide's results: {why}; mend that and run again", subject=chosen)
        return SlideResult(self.path, chosen, row)

    def _named(self, slide_id: str) -> str:
        ids: list[str] = sorted(set(self.slides["id"]))
        found = [slide_id] if slide_id in ids else [name for name in ids if name.startswith(slide_id)]
        if len(found) == 1:
            return found[0]
        text = "several slides begin so" if found else "no such slide"
        near = found or difflib.get_close_matches(slide_id, ids, n=3, cutoff=0.3) or ids
        more = f" and {len(near) - 3} more" if len(near) > 3 else ""
        raise UsageError(
            f"opening a slide's results: {text}; there are {', '.join(near[:3]) or 'none'}{more}", subject=slide_id
        )

    def __iter__(self) -> Iterator[SlideResult]:
        return (self.slide(slide_id) for slide_id in self.done)

    def __len__(self) -> int:
        return len(self.slides)

    def __repr__(self) -> str:
        counts = self.slides["status"].value_counts()
        told = ", ".join(f"{counts[status]} {status}" for status in records.STATUSES if status in counts)
        return f"<Results {self.path.name}: {told or 'no slides'}>"

    def _repr_html_(self) -> str:
        table = self.slides[list(SHOWN)].to_html(index=False, float_format=lambda p: f"{p:.3f}", na_rep="")
        return f"<p><b>{html.escape(repr(self)[1:-1])}</b></p>{table}"


class SlideResult:
    """One finished slide. `Results.slide` makes it; in a notebook it shows its overview.

    Parameters
    ----------
    results : path
        The results directory.
    slide_id : str
    row : mapping
        Its row of ``slides.parquet``.
    """

    def __init__(self, results: Path, slide_id: str, row: dict[str, Any]) -> None:
        self.id, self.row = slide_id, row
        self.path, self.pictures = store_path(results, slide_id), pictures_path(results, slide_id)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What is known of the slide: category, probabilities, reason, gate, stain, provenance."""
        record: dict[str, Any] = published.marked(self.path)["record"]
        return record

    @cached_property
    def tiles(self) -> pd.DataFrame:
        """One row per kept tile, ascending id.

        ``tile_id``; ``x, y, width, height`` in level-0 pixels; ``mpp``; ``tissue``, ``focus``, ``positive_sum``,
        ``positive_mean``, ``p_negative`` ... ``p_invasive`` (of the tile); ``is_topk``, ``rank`` (1 is the largest
        target probability, 0 is none of the top k), ``degree``. No rows and no columns where no tile was kept.
        """
        return published.tiles(self.path)

    @property
    def features(self) -> Lazy | NDArray[np.float32]:
        """Feature vectors ``(N, D)`` float32 in the rows of `tiles`, read when indexed."""
        return published.features(self.path)

    @property
    def graph(self) -> pd.DataFrame:
        """Edges between top-k tiles: ``source < target`` (tile ids) and their ``correlation``."""
        return published.edges(self.path)

    @property
    def regions(self) -> gpd.GeoDataFrame:
        """Suspected lesion regions: polygons in level-0 pixels, their area and probability."""
        return published.shapes(self.path, "regions")

    @property
    def tissues(self) -> gpd.GeoDataFrame:
        """Pieces of tissue: polygons in level-0 pixels."""
        return published.shapes(self.path, "tissues")

    def probability(self, level: int = 0) -> Lazy:
        """The probability map ``(y, x)`` float32 from 0 to 1, read when indexed; pixels of no kept tile are 0.

        Parameters
        ----------
        level : int
            0 is the finest, each next one half of it, -1 the coarsest. ``mpp`` and ``l0_scale`` of what is returned
            say how large a pixel is.
        """
        return published.picture(self.path, "images/probability", level=level, top=255)

    def mask(self, name: str = "lesion", level: int = 0) -> Lazy:
        """A mask ``(y, x)`` uint8, ``lesion`` or ``tissue``; 1 is what it is named after."""
        return published.picture(self.path, f"labels/{name}", level=level)

    def overview(self) -> StoredPicture:
        """The picture of the whole slide with its findings. Raises StoreError where it was not drawn."""
        return StoredPicture(self.pictures / OVERVIEW_FILE)

    @property
    def tile_pictures(self) -> list[StoredPicture]:
        """Pictures of the top-k tiles in rank order."""
        return [StoredPicture(path) for path in sorted(self.pictures.glob(TILE_FILES))]

    def __repr__(self) -> str:
        said = self.row["category"] or f"no category ({self.row['reason'] or 'no reason given'})"
        return f"<SlideResult {self.id}: {said}, {self.row['tiles']} tiles>"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows; without a picture it falls back to the text."""
        return self.overview()._repr_png_() if (self.pictures / OVERVIEW_FILE).is_file() else None
