"""Annotations of QuPath, ASAP and HistomicsUI become regions that training reads."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from tests.pipelines.running import wsipipe
from wsipipe.errors import UsageError
from wsipipe.export.annotation import parse_map
from wsipipe.export.annotation_import import import_annotations
from wsipipe.grid import Box, Frame
from wsipipe.train.mask import find_mask, read_mask
from wsipipe.units import Mpp

SQUARE = [[10, 10], [110, 10], [110, 60], [10, 60], [10, 10]]
HOLE = [[30, 20], [50, 20], [50, 40], [30, 40], [30, 20]]
BOW = [[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]
ASAP = """<?xml version="1.0"?>
<ASAP_Annotations><Annotations>
<Annotation Name="A0" Type="Polygon" PartOfGroup="Tumor" Color="#F4FA58"><Coordinates>
<Coordinate Order="0" X="10.5" Y="10"/><Coordinate Order="2" X="110" Y="60"/><Coordinate Order="1" X="110" Y="10"/>
<Coordinate Order="3" X="10" Y="60"/></Coordinates></Annotation>
<Annotation Name="A1" Type="Dot" PartOfGroup="Tumor"><Coordinates>
<Coordinate Order="0" X="5" Y="5"/></Coordinates></Annotation>
<Annotation Name="A2" Type="Spline" PartOfGroup="None"><Coordinates>
<Coordinate Order="0" X="0" Y="0"/><Coordinate Order="1" X="9" Y="0"/><Coordinate Order="2" X="0" Y="9"/>
</Coordinates></Annotation></Annotations><AnnotationGroups><Group Name="Tumor" PartOfGroup="None"/></AnnotationGroups>
</ASAP_Annotations>"""
LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><ASAP_Annotations>&c;</ASAP_Annotations>"""
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE a SYSTEM "{}"><ASAP_Annotations/>'
ENTITY = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file://{}">]><ASAP_Annotations>&x;</ASAP_Annotations>'


def feature(name: str | None, kind: str, coordinates: Any, **told: Any) -> dict[str, Any]:
    properties = {"objectType": "annotation"} | ({"classification": {"name": name}} if name else {}) | told
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def take(path: Path, out: Path, *maps: str) -> tuple[Any, list[dict[str, Any]]]:
    (one,) = import_annotations([path], out, mapping=parse_map(maps))
    return one, json.loads(Path(one.file).read_text())["features"]


def shape(item: dict[str, Any]) -> Any:
    return shapely.from_geojson(json.dumps(item["geometry"]))


@pytest.mark.parametrize("form", ["collection", "list", "feature", "gz"])
def test_qupath(tmp_path: Path, form: str) -> None:
    items = [
        feature("Tumor", "Polygon", [SQUARE, HOLE]),
        feature("low-grade", "MultiPolygon", [[[[200, 0], [300, 0], [300, 50], [200, 0]]], [SQUARE]]),
        feature("Tumor", "Point", [3, 4]),
        feature("Tumor", "Polygon", [SQUARE])
        | {"geometry": {"type": "Polygon", "coordinates": [SQUARE], "isEllipse": True}},
        feature("Tumor", "Polygon", [SQUARE], objectType="detection"),
    ]
    whole: Any = {"collection": {"type": "FeatureCollection", "features": items}, "feature": items[0]}.get(form, items)
    path = tmp_path / f"s.geojson{'.gz' if form == 'gz' else ''}"
    path.write_bytes(gzip.compress(json.dumps(whole).encode()) if form == "gz" else json.dumps(whole).encode())
    one, found = take(path, tmp_path / "out", "Tumor=invasive")
    assert shape(found[0]).equals_exact(shapely.Polygon(SQUARE, [HOLE]), 0)
    if form == "feature":
        assert (one.regions, one.skipped) == ({"invasive": 1}, {})
        return
    assert one.regions == {"invasive": 1, "low_grade": 1}
    assert one.skipped == {"Point": 1, "detection object": 1, "ellipse": 1}
    assert len(shape(found[1]).geoms) == 2
    assert found[0]["properties"]["metadata"] == {"class": "Tumor"}


def test_asap(tmp_path: Path) -> None:
    (tmp_path / "s.xml").write_text(ASAP)
    one, found = take(tmp_path / "s.xml", tmp_path / "out", "tumor=high-grade", "=negative")
    assert (one.regions, one.skipped, one.repaired) == ({"high_grade": 1, "negative": 1}, {"Dot": 1}, 0)
    assert shape(found[0]).equals(shapely.Polygon([(10.5, 10), (110, 10), (110, 60), (10, 60)]))


@pytest.mark.parametrize("wrap", ["bare", "girder", "list"])
def test_histomics(tmp_path: Path, wrap: str) -> None:
    elements = [
        {
            "type": "polyline",
            "closed": True,
            "points": [[*p, 0] for p in SQUARE[:-1]],
            "holes": [HOLE],
            "group": "Tumor",
        },
        {
            "type": "rectangle",
            "center": [100, 200, 0],
            "width": 40,
            "height": 20,
            "rotation": math.pi / 6,
            "label": {"value": "Tumor"},
        },
        {"type": "polyline", "closed": False, "points": [[0, 0, 0], [1, 1, 0]]},
        {"type": "ellipse", "center": [0, 0, 0], "width": 1, "height": 2, "rotation": 0},
        {"type": "point", "center": [0, 0, 0]},
    ]
    inner = {"name": "drawn", "elements": elements}
    whole: Any = {"bare": inner, "girder": {"annotation": inner}, "list": [{"annotation": inner}]}[wrap]
    (tmp_path / "s.json").write_text(json.dumps(whole))
    one, found = take(tmp_path / "s.json", tmp_path / "out", "*=invasive")
    assert (one.regions, one.skipped) == ({"invasive": 2}, {"ellipse": 1, "open line": 1, "point": 1})
    assert shape(found[0]).equals(shapely.Polygon(SQUARE, [HOLE]))
    turned = shape(found[1])
    assert turned.area == pytest.approx(800)
    first, second = np.array(turned.exterior.coords)[:2]
    assert math.atan2(*(second - first)[::-1]) == pytest.approx(math.pi / 6)  # the top line, from x towards y
    assert turned.centroid.coords[0] == pytest.approx((100, 200))


def test_outlines_that_cross_themselves_are_repaired_and_told(tmp_path: Path) -> None:
    line = feature("invasive", "Polygon", [[[0, 0], [5, 5], [0, 0]]])
    nothing = feature("invasive", "Polygon", [[[0, 0]]])
    (tmp_path / "s.geojson").write_text(json.dumps([feature("invasive", "Polygon", [BOW]), line, nothing]))
    one, found = take(tmp_path / "s.geojson", tmp_path / "out")
    assert (one.repaired, one.skipped) == (1, {"outline of no area": 2})
    assert shape(found[0]).is_valid
    assert shape(found[0]).area == pytest.approx(5000)


def test_training_reads_what_was_written(tmp_path: Path) -> None:
    items = [feature("Tumor", "Polygon", [SQUARE, HOLE]), feature("Tumor", "Polygon", [BOW])]
    (tmp_path / "slide.geojson").write_text(json.dumps(items))
    one, _ = take(tmp_path / "slide.geojson", tmp_path / "out", "Tumor=high_grade")
    mask = find_mask(Path("slides/slide.svs"), tmp_path / "out")
    assert str(mask) == one.file
    truth = read_mask(Path(one.file), (200, 300), "negative").read(
        Frame((200, 300), 1.0, Mpp(0.5)), Box(0, 0, 200, 300)
    )
    assert set(np.unique(truth)) == {0, 2}
    area = shapely.union_all([shapely.Polygon(SQUARE, [HOLE]), shapely.make_valid(shapely.Polygon(BOW))]).area
    assert abs(int((truth == 2).sum()) - area) < 0.06 * area


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("s.xml", LAUGHS, "document type or entities, which are refused"),
        ("s.xml", OUTSIDE.format("http://localhost:1/a.dtd"), "document type or entities"),
        ("s.xml", ENTITY.format("/etc/hostname"), "document type or entities"),
        ("s.xml", "<Annotations MicronsPerPixel='1'/>", "its root is <Annotations>"),
        ("s.xml", "no XML", "no XML in it"),
        ("s.xml", ASAP.replace('X="5"', 'X="five"'), "no number for Order, X or Y"),
        ("s.geojson", "{", "Expecting property name"),
        ("s.geojson.gz", "{", "gzip"),
        ("s.json", "3", "no GeoJSON"),
        ("s.json", '["a"]', "no GeoJSON"),
        ("s.json", '{"elements": [{"type": "rectangle"}]}', "an element of it is damaged"),
        ("s.geojson", json.dumps(feature("Stroma", "Polygon", [SQUARE])), "classes 'Stroma' are none of.*--map"),
        ("s.geojson", json.dumps(feature(None, "Polygon", [SQUARE])), r"classes \(no class\) are none of.*=invasive"),
        ("s.txt", "", "a name ends in .geojson"),
    ],
)
def test_wrong_files_say_why(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=told):
        import_annotations([tmp_path / name], tmp_path / "out")
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Tumor", 'is "class=category"'),
        ("Tumor=invasiv", "did you mean invasive"),
        ("a=zzz", "one of negative, low_grade"),
    ],
)
def test_wrong_maps_say_why(line: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_map([line])


def test_folders_names_and_existing_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match=r"no .geojson.* in the folder"):
        import_annotations([tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "a.xml").write_text(ASAP.replace("Tumor", "invasive"))
    (tmp_path / "in" / "b.geojson").write_text(json.dumps([feature("negative", "Polygon", [SQUARE])]))
    (tmp_path / "in" / "notes.txt").write_text("")
    mapping = parse_map(["*=negative"])
    done = import_annotations([tmp_path / "in"], tmp_path / "out", mapping=mapping)
    assert [Path(one.file).name for one in done] == ["a.geojson", "b.geojson"]
    with pytest.raises(UsageError, match=r"exists; give --overwrite"):
        import_annotations([tmp_path / "in"], tmp_path / "out", mapping=mapping)
    (tmp_path / "in" / "a.json").write_text("[]")
    with pytest.raises(UsageError, match="are of one name"):
        import_annotations([tmp_path / "in"], tmp_path / "out", mapping=mapping, overwrite=True)
    with pytest.raises(UsageError, match="would replace the file itself"):
        import_annotations([tmp_path / "in" / "b.geojson"], tmp_path / "in", mapping=mapping, overwrite=True)
    with pytest.raises(UsageError, match="--slide names the slide of one"):
        import_annotations([tmp_path / "in" / "b.geojson"], tmp_path / "out", slide="../x", mapping=mapping)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text(
        json.dumps([feature("Tumor", "Polygon", [BOW]), feature("Tumor", "Point", [1, 1])])
    )
    words = ("import-annotations", tmp_path / "a.geojson", "--out", tmp_path / "out", "--slide", "CMU-1")
    answer = wsipipe(*words)
    assert answer.code == 2
    assert '--map "Tumor=invasive"' in answer.err
    answer = wsipipe(*words, "--map", "Tumor=invasive")
    assert answer.code == 0
    assert answer.out.split() == [str(tmp_path / "out" / "CMU-1.geojson")]
    assert "1 outlines crossed themselves and were repaired" in answer.err
    assert "left out: 1 Point" in answer.err
    answer = wsipipe(*words, "--map", "Tumor=invasive", "--overwrite", "--json")
    assert answer.json["files"][0]["regions"] == {"invasive": 1}
