"""Colour profiles: applied as Pillow applies them, pointwise, or left alone."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from tests.pipelines.running import run
from tests.slide.test_tiled import scenery
from wsipipe.errors import SlideOpenError
from wsipipe.grid import Box
from wsipipe.query import open_results
from wsipipe.slide import open_slide
from wsipipe.slide.icc import described

BOX = Box(40, 60, 150, 170)


def lab() -> bytes:
    """A profile that is not of RGB pixels."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def linear() -> bytes:
    """A profile of linear light with sRGB's colours (ICC.1:2001, a matrix and curves of one number)."""
    colours = {"r": (0.4361, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7141)}
    tags = {f"{name}XYZ": _xyz(value) for name, value in colours.items()}
    tags |= {f"{name}TRC": b"curv" + bytes(4) + struct.pack(">IHxx", 1, 256) for name in colours}
    tags |= {
        "wtpt": _xyz((0.9642, 1.0, 0.8249)),
        "desc": b"desc" + bytes(4) + struct.pack(">I", 7) + b"linear" + bytes(80),
    }
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name.encode() + struct.pack(">II", start + len(data), len(value))
        data += value
    head = struct.pack(
        ">I4sI4s4s4s12x4s", 128 + len(table) + len(data), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    head += bytes(28) + struct.pack(">III", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    return head + bytes(128 - len(head)) + table + data


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">III", *(round(v * 65536) for v in value))


def write(path: Path, icc: bytes) -> Path:
    tifffile.imwrite(
        path, scenery(400, 500, 3), tile=(128, 128), photometric="rgb", compression="jpeg",
        resolution=(2e4, 2e4), resolutionunit=3, iccprofile=icc,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def scanner() -> bytes:
    """A scanner's profile."""
    return linear()


def test_a_real_slides_profile(shared_data: Path) -> None:
    path = shared_data / "slides" / "tcga-cr-7395-01a-01-ts1.svs"
    stored, shown = open_slide(path), open_slide(path, icc="apply")
    box = Box(1000, 1000, 200, 200)
    wanted = ImageCms.profileToProfile(
        Image.fromarray(stored.read(box, level=0)), ImageCms.ImageCmsProfile(io.BytesIO(stored.info.icc or b"")),
        ImageCms.createProfile("sRGB"), renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    assert np.array_equal(shown.read(box, level=0), np.asarray(wanted))


def test_it_is_what_pillow_makes_of_it(tmp_path: Path, scanner: bytes) -> None:
    path = write(tmp_path / "a.tif", scanner)
    stored, shown = open_slide(path), open_slide(path, icc="apply")
    raw = stored.read(BOX, level=0)
    wanted = ImageCms.profileToProfile(
        Image.fromarray(raw), ImageCms.ImageCmsProfile(io.BytesIO(scanner)), ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    found = shown.read(BOX, level=0)
    assert np.array_equal(found, np.asarray(wanted))
    assert not np.array_equal(found, raw)
    assert shown.info.reader == f"{stored.info.reader}; ICC to sRGB"
    assert shown.id == stored.id
    assert np.array_equal(open_slide(path, icc="ignore").read(BOX, level=0), raw)


def test_a_pixel_does_not_depend_on_its_box_or_thread_and_outside_stays_white(tmp_path: Path, scanner: bytes) -> None:
    slide = open_slide(write(tmp_path / "a.tif", scanner), icc="apply")
    whole = slide.read(Box(-5, -5, 410, 510), level=0)
    assert (whole[:5] == 255).all()
    boxes = [Box(y, x, 37, 41) for y in range(0, 400, 37) for x in range(0, 500, 41)]
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda box: slide.read(box, level=0), boxes))
    padded = np.pad(whole[5:405, 5:505], ((0, 50), (0, 50), (0, 0)), constant_values=255)
    for box, part in zip(boxes, parts, strict=True):
        assert np.array_equal(part, padded[box.slices()])


def test_a_slide_without_a_profile_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, scenery(200, 200, 3), tile=(64, 64), photometric="rgb")
    slide = open_slide(path, icc="apply")
    assert np.array_equal(slide.read(Box(0, 0, 200, 200), level=0), scenery(200, 200, 3))
    assert "ICC" not in slide.info.reader


@pytest.mark.parametrize("icc", [b"no profile at all" * 20, lab()], ids=["damaged", "not of RGB"])
def test_a_profile_that_cannot_be_used(tmp_path: Path, icc: bytes) -> None:
    path = write(tmp_path / "a.tif", icc)
    with pytest.raises(SlideOpenError, match=r"choose slide\.icc: record or ignore"):
        open_slide(path, icc="apply")
    assert open_slide(path).read(BOX, level=0).shape == (150, 170, 3)
    assert described(b"no profile") is not None


def test_a_run_applies_and_records_it(tmp_path: Path, scanner: bytes) -> None:
    slide, out = write(tmp_path / "a.tif", scanner), tmp_path / "out"
    told = {}
    for choice in ("record", "apply", "ignore"):
        assert run(slide, out, "--set", f"slide.icc={choice}").code == 0
        results = open_results(out)
        told[choice] = results.slide(results.done[0]).record["source"]
    assert [told[choice]["icc_use"] for choice in told] == list(told)
    assert told["record"]["icc"] == told["apply"]["icc"] == described(scanner)
    assert told["ignore"]["icc"] is None
    assert told["apply"]["reader"].endswith("ICC to sRGB; damage masked")
