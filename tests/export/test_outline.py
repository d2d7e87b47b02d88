"""GeoJSON for QuPath and for GIS software, and back."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from tests.export import made
from wsipipe.export import import_annotations, outline
from wsipipe.export.annotation import parse_map
from wsipipe.query import Results
from wsipipe.store.records import CATEGORIES

Written = Callable[..., list[Path]]


def features(path: Path) -> list[dict[str, Any]]:
    whole = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    assert whole["type"] == "FeatureCollection"
    return list(whole["features"])


def accepted_by_qupath(feature: dict[str, Any]) -> None:
    """What QuPath's reader asks of an object, and what it would silently do without."""
    assert set(feature) == {"type", "id", "geometry", "properties"}
    assert str(uuid.UUID(feature["id"])) == feature["id"]
    told = feature["properties"]
    assert told["objectType"] in ("annotation", "detection", "tile", "cell")
    assert all(isinstance(value, int | float) for value in told["measurements"].values())
    if "classification" in told:
        assert isinstance(told["classification"]["name"], str)
        assert len(told["classification"]["color"]) == 3
        assert all(0 <= c <= 255 for c in told["classification"]["color"])
    for ring in feature["geometry"]["coordinates"]:
        assert ring[0] == ring[-1]
        assert len(ring) >= 4


def test_qupath_accepts_every_object(written: Written, results: Results) -> None:
    (path,) = written("qupath", "alpha")
    found = features(path)
    for feature in found:
        accepted_by_qupath(feature)
    assert [f["properties"]["objectType"] for f in found] == ["annotation"] * 3 + ["tile"] * 5
    assert [f["properties"]["classification"]["name"] for f in found[:3]] == ["Tissue"] + ["Suspected lesion"] * 2
    assert len({f["id"] for f in found}) == 8
    assert found[1]["properties"]["measurements"] == {"region_id": 0, "area_um2": 26_000, "mean": 0.75, "max": 0.9}
    assert shapely.from_geojson(json.dumps(found[1]["geometry"])).equals(made.RING)


def test_tiles_carry_their_rows(written: Written, results: Results) -> None:
    table = results.slide("alpha").tiles
    tiles = features(written("qupath", "alpha")[0])[3:]
    for feature, row in zip(tiles, table.to_dict("records"), strict=True):
        box = shapely.box(row["x"], row["y"], row["x"] + row["width"], row["y"] + row["height"])
        assert shapely.from_geojson(json.dumps(feature["geometry"])).equals(box)
        measured = feature["properties"]["measurements"]
        wanted = {k: v for k, v in row.items() if k not in ("x", "y", "width", "height") and np.isfinite(v)}
        assert {k: np.float32(v) for k, v in measured.items()} == {k: np.float32(v) for k, v in wanted.items()}
        best = int(np.argmax([row[f"p_{name}"] for name in CATEGORIES]))
        told = feature["properties"].get("classification")
        assert told == (
            {"name": CATEGORIES[best], "color": list(outline.COLORS[CATEGORIES[best]])}
            if "p_invasive" in wanted
            else None
        )
    assert "focus" not in tiles[1]["properties"]["measurements"]


def test_which_tiles(written: Written) -> None:
    for asked, ids in (("all", made.KEPT.tolist()), ("topk", [0, 9]), ("none", [])):
        found = [
            f["properties"]["measurements"].get("tile_id") for f in features(written("qupath", "alpha", tiles=asked)[0])
        ]
        assert [item for item in found if item is not None] == ids


def test_a_slide_without_tiles_is_a_valid_file(written: Written) -> None:
    (path,) = written("qupath", "empty", tiles="all")
    assert [f["properties"]["classification"]["name"] for f in features(path)] == ["Tissue"]


def test_compressed_and_chunked_say_the_same_bytes(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    (plain,) = written("qupath", "alpha")
    whole = plain.read_bytes()
    (packed,) = written("qupath", "alpha", gzip=True)
    assert gzip.decompress(packed.read_bytes()) == whole
    first = packed.read_bytes()
    assert written("qupath", "alpha", gzip=True)[0].read_bytes() == first
    monkeypatch.setattr(outline, "ROWS", 2)
    assert written("qupath", "alpha")[0].read_bytes() == whole


def test_the_plain_form_is_for_gis(written: Written, results: Results) -> None:
    (path,) = written("geojson", "alpha")
    table = gpd.read_file(path)
    assert table["layer"].value_counts().to_dict() == {"tile": 5, "region": 2, "tissue": 1}
    assert table.loc[table["layer"] == "region", "area_um2"].tolist() == [26_000.0, 1.5]
    assert set(table["slide_id"]) == {"alpha-111"}
    assert all(polygon.exterior.is_ccw for polygon in table.geometry)  # RFC 7946
    assert table.geometry[1].equals(made.RING)
    rows = results.slide("alpha").tiles
    np.testing.assert_allclose(table.loc[table["layer"] == "tile", "positive_sum"], rows["positive_sum"], rtol=1e-6)
    assert "objectType" not in path.read_text()


def test_out_and_in_again_gives_equal_polygons(written: Written, tmp_path: Path) -> None:
    (path,) = written("qupath", "alpha", gzip=True)
    (one,) = import_annotations(
        [path], tmp_path / "regions", mapping=parse_map(["Suspected lesion=invasive", "Tissue="])
    )
    back = [shapely.from_geojson(json.dumps(f["geometry"])) for f in features(Path(one.file))]
    assert [a.equals_exact(b, 0) for a, b in zip(back, made.REGIONS.geometry, strict=True)] == [True, True]
    assert one.skipped == {"class 'Tissue'": 1, "tile object": 5}


def test_untrained_tiles_have_no_class(real: Results, tmp_path: Path) -> None:
    from wsipipe.export import export

    (path,) = export(real, "qupath", tmp_path)
    found = features(path)
    slide = next(iter(real))
    tiles = [f for f in found if f["properties"]["objectType"] == "tile"]
    assert len(tiles) == len(slide.tiles) > 20
    assert all("classification" not in f["properties"] for f in tiles)
    for feature in found:
        accepted_by_qupath(feature)
