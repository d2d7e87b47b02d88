"""Metadata of published pictures: one copy of the pixels, two descriptions.

Enters: names, a frame, level counts. Leaves: dictionaries of JSON values for group attributes.
Next room: `wsipipe.store.raster` writes them beside the pixels.

The *element* group carries what SpatialData reads (``ome.version = "0.5-dev-spatialdata"``, paths ``ome/0``,
``ome/1``, ..., a transform to the coordinate system ``global``, which is level-0 pixels). The group ``ome``
inside it carries plain OME-Zarr 0.5 over the same arrays, in micrometres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wsipipe.grid import Frame

OME_VERSION = "0.5"
SPATIALDATA_OME_VERSION = "0.5-dev-spatialdata"
ELEMENT_VERSION = "0.3"
INNER = "ome"

Json = dict[str, Any]
Rgba = tuple[int, int, int, int]


def element_attributes(name: str, axes: str, frame: Frame, levels: int, *, channels: Sequence[str] = ()) -> Json:
    """Attributes of the element's own group, for SpatialData.

    Parameters
    ----------
    name : str
        Of the element.
    axes : str
        ``"cyx"`` for an image, ``"yx"`` for labels.
    frame : Frame
        Of the finest level: its ``downsample`` is level-0 pixels per pixel, its ``mpp`` micrometres per pixel.
    levels : int
        Stored resolutions, each half of the one before.
    channels : sequence of str
        Labels of an image's channels.
    """
    scale = [1.0] * (len(axes) - 2) + [float(frame.downsample)] * 2
    ome = _multiscales(name, axes, frame, levels, prefix=f"{INNER}/")
    ome["multiscales"][0]["coordinateTransformations"] = [to_global(axes, scale)]
    if channels:
        ome["omero"] = {"channels": [{"label": label} for label in channels]}
    return {"spatialdata_attrs": {"version": ELEMENT_VERSION}, "ome": {"version": SPATIALDATA_OME_VERSION, **ome}}


def image_attributes(name: str, frame: Frame, levels: int, *, channels: Sequence[str], top: float) -> Json:
    """Attributes of an image's nested group: plain OME-Zarr 0.5.

    `top` is the value that a viewer shows as full brightness (255 for uint8, 1 for floats).
    """
    ome = _multiscales(name, "cyx", frame, levels)
    colors = ["FF0000", "00FF00", "0000FF"] if len(channels) == 3 else ["FFFFFF"] * len(channels)
    window = {"start": 0, "min": 0, "end": top, "max": top}
    ome["omero"] = {
        "channels": [
            {"label": label, "color": color, "active": True, "window": window}
            for label, color in zip(channels, colors, strict=True)
        ]
    }
    return {"ome": {"version": OME_VERSION, **ome}}


def label_attributes(
    name: str, frame: Frame, levels: int, *, meanings: Mapping[int, str], colors: Mapping[int, Rgba]
) -> Json:
    """Attributes of a label picture's nested group: plain OME-Zarr 0.5 with ``image-label``.

    Parameters
    ----------
    meanings : mapping
        What each value stands for; 0 is background and is not named.
    colors : mapping
        Red, green, blue and opacity of a value, 0 to 255.
    """
    label = {
        "colors": [{"label-value": value, "rgba": list(rgba)} for value, rgba in sorted(colors.items())],
        "properties": [{"label-value": value, "name": meaning} for value, meaning in sorted(meanings.items())],
    }
    ome = {"version": OME_VERSION, **_multiscales(name, "yx", frame, levels), "image-label": label}
    return {"ome": ome}


def to_global(axes: str, scale: Sequence[float] | None = None) -> Json:
    """An element's transform to level-0 pixels; without `scale` it is in level-0 pixels already."""
    named = [_axis(axis, unit="unit") for axis in axes]
    kind: Json = {"type": "identity"} if scale is None else {"type": "scale", "scale": list(scale)}
    return {**kind, "input": {"name": axes, "axes": named}, "output": {"name": "global", "axes": named}}


def _axis(name: str, *, unit: str) -> Json:
    return {"name": name, "type": "channel"} if name == "c" else {"name": name, "type": "space", "unit": unit}


def _multiscales(name: str, axes: str, frame: Frame, levels: int, *, prefix: str = "") -> Json:
    datasets = []
    for level in range(levels):
        scale = [1.0] * (len(axes) - 2) + [float(frame.mpp) * 2.0**level] * 2
        datasets.append({"path": f"{prefix}{level}", "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    return {
        "multiscales": [{"name": name, "axes": [_axis(axis, unit="micrometer") for axis in axes], "datasets": datasets}]
    }
