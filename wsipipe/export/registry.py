"""The formats that results are exported to, by name.

Enters: a results directory and a format's name. Leaves: the files written. Next rooms: other people's tools;
`wsipipe.cli`. A new format is a module of this room and a line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsipipe.errors import UsageError
from wsipipe.export.job import Job, Options, chosen
from wsipipe.export.place import check_folder, refuse_existing
from wsipipe.query import Results


@dataclass(frozen=True)
class Format:
    """One form of export.

    Parameters
    ----------
    module, names, write : str
        Where it is written: a module of this room, its function that lists the files (which opens no picture), and
        the one that writes them.
    opened_by : str
        For people.
    """

    module: str
    names: str
    write: str
    opened_by: str

    def names_of(self, job: Job) -> list[Path]:
        """The files that `written` may write."""
        names: Callable[[Job], list[Path]] = getattr(self._loaded(), self.names)
        return names(job)

    def written(self, job: Job) -> Iterator[Path]:
        """Write the files, each told when it is whole."""
        write: Callable[[Job], Iterator[Path]] = getattr(self._loaded(), self.write)
        return write(job)

    def _loaded(self) -> object:
        return importlib.import_module(f"wsipipe.export.{self.module}")


FORMATS = {
    "qupath": Format("outline", "names", "qupath", "QuPath"),
    "geojson": Format("outline", "names", "plain", "QGIS, GeoPandas, shapely"),
    "parquet": Format("table", "parquet_names", "parquet", "pandas, DuckDB, R, GeoPandas"),
    "csv": Format("table", "csv_names", "csv", "spreadsheets"),
    "trident": Format("hdf5", "trident_names", "trident", "TRIDENT"),
    "clam": Format("hdf5", "clam_names", "clam", "CLAM"),
    "dicom": Format("dicom", "names", "dicom", "DICOM archives and viewers"),
    "ome-tiff": Format("heat", "tiff_names", "ome_tiff", "QuPath, Fiji, OMERO"),
    "png": Format("heat", "png_names", "png", "everything"),
}


def export(
    results: Results,
    to: str,
    out: Path,
    *,
    slides: Sequence[str] = (),
    options: Options | None = None,
    overwrite: bool = False,
    begun: Callable[[int], Callable[[str], None]] | None = None,
) -> list[Path]:
    """Write results in another form.

    Parameters
    ----------
    results : Results
        From `wsipipe.open_results`.
    to : str
        A key of `FORMATS`.
    out : Path
        A folder; made if missing.
    slides : sequence of str
        Ids, or unique beginnings of them; all that have results by default.
    options : Options, optional
    overwrite : bool
        Replace files that exist, each at once when its successor is whole.
    begun : callable, optional
        Called with the number of slides before the first; what it returns is called with each slide's id when its
        files are written.

    Returns
    -------
    list of Path
        The files, in the order in which they were finished.

    Raises
    ------
    UsageError
        For an unknown format or slide, a folder that cannot be written to, or files that exist: nothing is written.
    """
    if to not in FORMATS:
        raise UsageError(f"--to is one of {', '.join(FORMATS)}, got {to!r}")
    ids = chosen(results, list(slides))
    check_folder(out)
    note = begun(len(ids)) if begun else (lambda _: None)
    job = Job(results, ids, out, options or Options(), note)
    refuse_existing(FORMATS[to].names_of(job), overwrite=overwrite)
    return list(FORMATS[to].written(job))
