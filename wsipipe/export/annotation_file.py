"""Annotation files of other programs, whichever program made them.

Enters: QuPath GeoJSON (``.geojson``, ``.json``, also ``.gz``), HistomicsUI JSON, ASAP XML. Leaves: a `Drawing`.
Next room: `wsipipe.export.annotation`.

XML is read without entities and without a document type: a file that has either is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree as SafeTree
from defusedxml.common import DefusedXmlException

from wsipipe.errors import UsageError
from wsipipe.export.annotation import Drawing, Outline, Ring

ENDINGS = (".geojson", ".geojson.gz", ".json", ".json.gz", ".xml")
AREAS = ("Polygon", "MultiPolygon")
ASAP_AREAS = ("Polygon", "Spline", "Rectangle")
LEAST = 3
"""Corners of an area."""


def read_drawing(path: Path) -> Drawing:
    """What an annotation file holds.

    Raises
    ------
    UsageError
        Where it cannot be read, or is none that we know.
    """
    if path.name.lower().endswith(".xml"):
        return _asap(path)
    from wsipipe.train.mask import read_json  # deferred: it loads OpenCV

    whole = read_json(path)
    annotations = list(_histomics(whole))
    return _elements(annotations, path) if annotations else _geojson(whole, path)


def _geojson(whole: Any, path: Path) -> Drawing:
    from wsipipe.train.mask import class_name, features_of

    found = Drawing()
    for item in features_of(whole, path):
        geometry, told = item["geometry"], item.get("properties") or {}
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        layer = told.get("objectType", told.get("object_type", "annotation"))
        if layer != "annotation":
            found.skipped[f"{layer} object"] += 1
        elif kind not in AREAS or geometry.get("isEllipse") or not isinstance(geometry.get("coordinates"), list):
            found.skipped["ellipse" if kind in AREAS else str(kind)] += 1
        else:
            polygons = geometry["coordinates"] if kind == "MultiPolygon" else [geometry["coordinates"]]
            found.outlines.append(Outline(class_name(item), polygons))
    return found


def _histomics(whole: Any) -> Iterator[dict[str, Any]]:
    """Annotations of HistomicsUI: one, a list of them, or what Girder wraps them in."""
    for item in whole if isinstance(whole, list) else [whole]:
        inner = item.get("annotation", item) if isinstance(item, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("elements"), list):
            yield inner


def _elements(annotations: list[dict[str, Any]], path: Path) -> Drawing:
    found = Drawing()
    for annotation in annotations:
        for element in annotation["elements"]:
            try:
                rings = _element_rings(element)
                name = str(element.get("group") or (element.get("label") or {}).get("value") or "")
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise _wrong(path, f"an element of it is damaged ({error!r})") from error
            if rings:
                found.outlines.append(Outline(name or str(annotation.get("name") or ""), [rings]))
            else:
                found.skipped[_kind(element)] += 1
    return found


def _element_rings(element: dict[str, Any]) -> list[Ring]:
    """Outer ring and holes of an element; nothing for one that is no polygon."""
    if element["type"] == "polyline" and element.get("closed"):
        return [element["points"], *(element.get("holes") or [])]
    return [_rectangle(element)] if element["type"] == "rectangle" else []


def _kind(element: dict[str, Any]) -> str:
    return "open line" if element["type"] == "polyline" else str(element["type"])


def _rectangle(element: dict[str, Any]) -> Ring:
    """Corners of a rectangle turned about its centre, by radians from x towards y (down) as HistomicsUI stores them."""
    (x, y), turn = element["center"][:2], float(element.get("rotation") or 0.0)
    across, down = float(element["width"]) / 2, float(element["height"]) / 2
    cos, sin = math.cos(turn), math.sin(turn)
    corners = ((-across, -down), (across, -down), (across, down), (-across, down))
    return [(x + dx * cos - dy * sin, y + dx * sin + dy * cos) for dx, dy in corners]


def _asap(path: Path) -> Drawing:
    try:
        root = SafeTree.parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise _wrong(path, "it holds a document type or entities, which are refused: save it again in ASAP") from error
    except (ParseError, OSError, ValueError, LookupError) as error:
        raise _wrong(path, f"no XML in it ({error})") from error
    if root is None or root.tag != "ASAP_Annotations":
        raise _wrong(path, f"its root is <{'' if root is None else root.tag}>, ASAP's is <ASAP_Annotations>")
    found = Drawing()
    for annotation in root.iter("Annotation"):
        corners = _corners(annotation, path)
        if annotation.get("Type") in ASAP_AREAS and len(corners) >= LEAST:
            found.outlines.append(Outline(_group(annotation), [[corners]]))
        else:
            found.skipped[str(annotation.get("Type"))] += 1
    return found


def _corners(annotation: Any, path: Path) -> list[tuple[float, float]]:
    try:
        points = [(float(c.get("Order", i)), float(c.get("X")), float(c.get("Y"))) for i, c in _coordinates(annotation)]
    except (TypeError, ValueError) as error:
        raise _wrong(path, "a coordinate of it has no number for Order, X or Y") from error
    return [(x, y) for _, x, y in sorted(points, key=lambda point: point[0])]


def _coordinates(annotation: Any) -> Iterator[tuple[int, Any]]:
    return iter(enumerate(annotation.iter("Coordinate")))


def _group(annotation: Any) -> str:
    """The group is the class; ASAP says None for an annotation outside all groups."""
    group = str(annotation.get("PartOfGroup") or "")
    return "" if group == "None" else group


def _wrong(path: Path, why: str) -> UsageError:
    return UsageError(
        f"importing annotations: {why}; QuPath GeoJSON, ASAP XML and HistomicsUI JSON are read", subject=str(path)
    )
