"""Results in the forms that other tools open, and annotations of other tools as regions of ours.

Enters: a results directory; files of QuPath, ASAP, HistomicsUI. Leaves: files. Next rooms: `wsipipe.cli`; other
people's tools. Every format is a module of this room and a line of `wsipipe.export.registry.FORMATS`; its library is
imported when it is asked for.
"""

from wsipipe.export.annotation_import import Imported, import_annotations
from wsipipe.export.job import Options
from wsipipe.export.registry import FORMATS, export

__all__ = ["FORMATS", "Imported", "Options", "export", "import_annotations"]
