"""Annotations of other programs as region files for training and evaluation.

Enters: annotation files or folders of them, and what their classes mean. Leaves: ``<slide>.geojson`` in QuPath's form,
whose classes are our categories. Next room: `wsipipe.train.mask` finds it by the slide's name and reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import shapely

from wsipipe.errors import UsageError
from wsipipe.export.annotation import Regions, as_regions
from wsipipe.export.annotation_file import ENDINGS, read_drawing
from wsipipe.export.collection import collection
from wsipipe.export.outline import COLORS
from wsipipe.export.place import check_folder, refuse_existing
from wsipipe.export.text import named_uuid


@dataclass(frozen=True)
class Imported:
    """What became of one annotation file.

    ``regions`` counts outlines by category, ``skipped`` objects by kind, ``repaired`` outlines that crossed themselves.
    """

    source: str
    file: str
    regions: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    repaired: int = 0

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def import_annotations(
    given: Sequence[Path],
    out: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    slide: str | None = None,
    overwrite: bool = False,
    told: Callable[[Imported], None] = lambda _: None,
) -> list[Imported]:
    """Write a region file for every annotation file.

    Parameters
    ----------
    given : sequence of Path
        Files, or folders whose annotation files are taken (not searched below).
    out : Path
        A folder; made if missing.
    mapping : mapping, optional
        From `wsipipe.export.annotation.parse_map`.
    slide : str, optional
        Name of the slide, where it is not that of the one file given.
    overwrite : bool
        Replace region files that exist.
    told : callable
        Called with every file's outcome when it is written.

    Raises
    ------
    UsageError
        Where a file is missing, cannot be read, or has a class of unknown meaning: all are read before the first is
        written, so nothing is.
    """
    places = _places(_files(given), out, slide)
    check_folder(out)
    refuse_existing(places.values(), overwrite=overwrite)
    read = {path: as_regions(read_drawing(path), mapping or {}, str(path)) for path in places}
    done = []
    for path, place in places.items():
        _write(place, read[path])
        counts = dict(sorted(Counter(category for category, _, _ in read[path].polygons).items()))
        one = Imported(str(path), str(place), counts, dict(sorted(read[path].skipped.items())), read[path].repaired)
        told(one)
        done.append(one)
    return done


def _files(given: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(item for item in path.iterdir() if item.is_file() and _ending(item))
            if not inside:
                raise UsageError(f"importing annotations: no {', '.join(ENDINGS)} in the folder", subject=str(path))
            found += inside
        elif not path.is_file():
            raise UsageError("importing annotations: no such file or folder", subject=str(path))
        elif not _ending(path):
            raise UsageError(
                f"importing annotations: a name ends in {', '.join(ENDINGS)}; rename it, or export it again",
                subject=str(path),
            )
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def _ending(path: Path) -> str:
    """The ending of an annotation file's name, empty for another; the longest that fits."""
    return next((e for e in sorted(ENDINGS, key=len, reverse=True) if path.name.lower().endswith(e)), "")


def _places(files: list[Path], out: Path, slide: str | None) -> dict[Path, Path]:
    """Where each file's regions go: named after the slide, as its annotation file is."""
    if slide is not None and (len(files) != 1 or not slide or Path(slide).name != slide):
        raise UsageError("--slide names the slide of one annotation file, without a folder", subject=slide)
    places = {path: out / f"{slide or path.name[: -len(_ending(path))]}.geojson" for path in files}
    twice = [str(path) for path, place in places.items() if list(places.values()).count(place) > 1]
    if twice:
        raise UsageError(
            f"importing annotations: {' and '.join(twice[:2])} are of one name and would be one file: import them into "
            "folders of their own, or rename one"
        )
    for path, place in places.items():
        if place.exists() and place.samefile(path):
            raise UsageError("importing annotations: --out would replace the file itself", subject=str(path))
    return places


def _write(place: Path, regions: Regions) -> None:
    with collection(place, gzip=False) as out:
        for number, (category, name, area) in enumerate(regions.polygons):
            out.add(
                {
                    "type": "Feature",
                    "id": str(named_uuid(f"{place.stem}/imported/{number}")),
                    "geometry": json.loads(shapely.to_geojson(area)),
                    "properties": {
                        "objectType": "annotation",
                        "classification": {"name": category, "color": list(COLORS[category])},
                        "metadata": {"class": name},
                    },
                }
            )
