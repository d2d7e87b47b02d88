"""The catalogue: tiles, edges and regions of all slides as Parquet, derived from the stores and rebuilt at will.

Enters: a results directory. Leaves: ``catalogue/<view>/<bucket>.parquet``. Next room: `wsipipe.query.engine`.

A slide belongs to one of 64 buckets by the hash of its id, so that thousands of slides are few files; in a bucket rows
are ordered by slide, and slides gathered to row groups that are worth a read, so that a filter on one slide skips
nearly all others by their statistics. A bucket is rewritten only where one of its slides was published anew, and
replaced as a whole. For results on object storage, and where the directory cannot be written, the catalogue is private
to the question and made in a temporary folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wsipipe.errors import StoreError, UsageError
from wsipipe.query.columns import PER_SLIDE, stored_schema
from wsipipe.store import published
from wsipipe.store.layout import SLIDES_FILE, store_path
from wsipipe.store.place import is_remote, sync
from wsipipe.store.records import WITH_RESULTS, read_slides

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

FOLDER, BUCKETS, VERSION = "catalogue", 64, "3"
GROUP_ROWS = 122_880
"""Of one row group at most: 60 of DuckDB's vectors, its own choice."""
KEYS, VERSION_KEY = b"wsipipe.published", b"wsipipe.catalogue"
NAMES = {"mean": "mean_probability", "max": "max_probability"}
"""What the store calls two columns of the regions, and what the view calls them."""


@contextmanager
def current(results: Path) -> Iterator[Path]:
    """The folder of an up-to-date catalogue.

    Where the results are on object storage, or their directory cannot be written, the catalogue is made in a private
    temporary folder, which is removed afterwards.
    """
    folder = None if is_remote(results) else _kept(results)
    if folder is not None:
        yield folder
        return
    with TemporaryDirectory(prefix="wsipipe-catalogue-") as private:
        update(results, Path(private))
        yield Path(private)


def _kept(results: Path) -> Path | None:
    """The catalogue in the results directory, up to date; None where that cannot be written."""
    try:
        update(results, results / FOLDER)
    except PermissionError:
        return None
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EOPNOTSUPP}:
            raise
        return None
    return results / FOLDER


def rebuild(results: Path) -> int:
    """Make the catalogue of a results directory from nothing; returns the number of its slides.

    Raises
    ------
    UsageError
        For results on object storage, which keep none.
    """
    if is_remote(results):
        text = "results on object storage keep none, every question makes a private one; copy them to a disk first"
        raise UsageError(f"making a catalogue: {text}", subject=str(results))
    shutil.rmtree(results / FOLDER, ignore_errors=True)
    update(results, results / FOLDER)
    return len(_finished(results))


def update(results: Path, folder: Path) -> list[str]:
    """Bring a catalogue up to date.

    Returns
    -------
    list of str
        Names of the buckets that were written.
    """
    buckets: dict[str, dict[str, str]] = {}
    for slide_id in _finished(results):
        key = str(published.marked(store_path(results, slide_id))["published"])
        buckets.setdefault(bucket_of(slide_id), {})[slide_id] = key
    written = [name for name, slides in sorted(buckets.items()) if _stale(folder, name, slides)]
    for name in written:
        _write_bucket(results, folder, name, buckets[name])
    _drop_others(folder, set(buckets))
    return written


def files(folder: Path, view: str) -> list[Path]:
    """The files of one view, in a fixed order."""
    return sorted((folder / view).glob("*.parquet"))


def bucket_of(slide_id: str) -> str:
    """The name of the bucket that a slide's rows lie in."""
    return f"{int(hashlib.sha256(slide_id.encode()).hexdigest()[:8], 16) % BUCKETS:02d}"


@contextmanager
def bucket_writer(path: Path, view: str, slides: dict[str, str]) -> Iterator[Gathering]:
    """What takes the tables of one bucket, slide by slide, and replaces the file when all went well.

    Parameters
    ----------
    path : path
        ``<catalogue>/<view>/<bucket>.parquet``.
    view : str
        One of `PER_SLIDE`.
    slides : mapping of str to str
        Publication key by slide id.
    """
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    marks = {KEYS: json.dumps(slides, sort_keys=True).encode(), VERSION_KEY: VERSION.encode()}
    try:
        schema = stored_schema(view).with_metadata(marks)
        with pq.ParquetWriter(partial, schema, **_encoding(schema)) as writer:
            rows = Gathering(writer)
            yield rows
            rows.flush()
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


class Gathering:
    """Puts slides together until they fill a row group; only a slide larger than that is divided."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._tables: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Take one slide's rows."""
        if sum(map(len, self._tables)) + len(rows) > GROUP_ROWS:
            self.flush()
        if len(rows):
            self._tables.append(rows)

    def flush(self) -> None:
        """Write what is there."""
        import pyarrow as pa

        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables), row_group_size=GROUP_ROWS)
            self._tables.clear()


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """How columns are packed: what repeats in dictionaries; a sum, whose values do not, as it is, quick to read."""
    plain = [name for name in ("positive_sum",) if name in schema.names]
    return {
        "compression": {name: "NONE" if name in plain else "ZSTD" for name in schema.names},
        "use_dictionary": [name for name in schema.names if name not in plain],
    }


def rows_of(results: Path, slide_id: str, view: str) -> pa.Table:
    """One slide's rows of a view, with the columns of `stored_schema`; what a store lacks is null."""
    import pyarrow as pa

    frame = _READ[view](store_path(results, slide_id)).assign(slide_id=slide_id)
    schema = stored_schema(view)
    columns = [
        pa.array(frame[field.name], field.type, from_pandas=True)
        if field.name in frame
        else pa.nulls(len(frame), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _write_bucket(results: Path, folder: Path, name: str, slides: dict[str, str]) -> None:
    for view in PER_SLIDE:
        with bucket_writer(folder / view / f"{name}.parquet", view, slides) as writer:
            for slide_id in sorted(slides):
                writer.add(rows_of(results, slide_id, view))


def _stale(folder: Path, name: str, slides: dict[str, str]) -> bool:
    return any(_marks(folder / view / f"{name}.parquet") != slides for view in PER_SLIDE)


def _marks(path: Path) -> dict[str, str] | None:
    """Publication keys that a bucket was made from; None where it is missing, damaged or of another version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        marks = pq.read_schema(path).metadata or {}
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    if marks.get(VERSION_KEY) != VERSION.encode():
        return None
    found: dict[str, str] = json.loads(marks[KEYS])
    return found


def _drop_others(folder: Path, names: set[str]) -> None:
    for view in PER_SLIDE:
        for path in files(folder, view):
            if path.stem not in names:
                path.unlink()


def _finished(results: Path) -> list[str]:
    slides = read_slides(results / SLIDES_FILE)
    return sorted(set(slides.loc[slides["status"].isin(WITH_RESULTS), "id"]))


def _regions(root: Path) -> pd.DataFrame:
    import pandas as pd

    shapes = published.shapes(root, "regions").reset_index(drop=True)
    frame = pd.DataFrame(shapes.drop(columns="geometry")).rename(columns=NAMES)
    if "region_id" not in frame:
        frame = frame.assign(region_id=range(len(frame)))
    return frame.assign(polygon=[_wkt(shape, root) for shape in shapes.geometry])


def _wkt(shape: Any, root: Path) -> str:
    if shape is None:
        raise StoreError("reading regions: one has no outline; run the same command again", subject=root.name)
    return str(shape.wkt)


def _tiles(root: Path) -> pd.DataFrame:
    return published.tiles(root).rename(columns={"tissue_share": "tissue"})


def _measures(root: Path) -> pd.DataFrame:
    """Measures of a fundus picture's vessels; no rows for slides of other pipelines."""
    import pandas as pd

    rows = published.marked(root)["record"].get("measures") or []
    names = ("name", "kind", "zone", "value", "unit", "reason")
    frame = pd.DataFrame([{name: row[name] for name in names} for row in rows], columns=list(names))
    return frame.rename(columns={"name": "measure", "kind": "vessels"})


_READ = {"tiles": _tiles, "edges": published.edges, "regions": _regions, "measures": _measures}
