"""The pictures show what they were given, where it lies, and are the same pixels every time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from shapely import MultiPolygon, Polygon, box

from wsipipe.report import canvas, heat
from wsipipe.report.badge import place_badges
from wsipipe.report.canvas import cut, save_png, text_width, wrap
from wsipipe.report.heat import Picture, painted, scale_bar, size_label
from wsipipe.report.overview import HEADER, MARGIN, PICTURE, Findings, Verdict, overview
from wsipipe.report.panel import COLORS, SIDE
from wsipipe.report.tile import TileView, before_after, tile_picture, topk_sheet

GREY = np.full((300, 400, 3), 235, np.uint8)
SLIDE = Picture(GREY, 16.0)
PX = canvas.DPI / canvas.POINTS_PER_INCH


def color(name: str) -> NDArray[np.uint8]:
    """The three bytes of ``#rrggbb``."""
    return np.frombuffer(bytes.fromhex(name[1:]), np.uint8)


def where(pixels: NDArray[np.uint8], name: str) -> NDArray[np.intp]:
    """Positions ``yx`` of pixels of exactly one colour."""
    return np.argwhere((pixels == color(name)).all(axis=-1))


def drawn(findings: Findings | None = None, verdict: Verdict | None = None, **more: Any) -> NDArray[np.uint8]:
    """An overview of the grey slide."""
    options = {"title": "slide", "l0_mpp": 0.25} | more
    return overview(SLIDE, findings or Findings(), verdict or Verdict(), **options)


def main_part(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The slide's own part of an overview of the grey slide, which is as high as a picture may be."""
    height = PICTURE[1] * PX
    top, left = HEADER * PX, MARGIN * PX
    return pixels[round(top) + 2 : round(top + height) - 2, round(left) + 2 : round(left + height * 4 / 3) - 2]


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    findings = Findings(
        Picture((rng.random((40, 50)) > 0.5).astype(np.uint8), 128.0),
        Picture(rng.random((75, 100)), 64.0),
        np.array([[0, 0, 512, 512], [1024, 1024, 512, 512]]),
        [box(100, 100, 900, 2000)],
    )
    verdict = Verdict("negative", (0.7, 0.1, 0.1, 0.1), notice="not for clinical use")
    hashes = set()
    for name in "ab":
        save_png(tmp_path / name, drawn(findings, verdict, lines=["one fact"]))
        hashes.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(hashes) == 1
    with Image.open(tmp_path / "a") as picture:
        assert picture.info == {}


def test_zero_probability_paints_nothing() -> None:
    blank = Findings(heat=Picture(np.zeros((75, 100), np.uint8), 64.0))
    assert (main_part(drawn(blank)) == 235).all(axis=-1).mean() > 0.999


def test_heat_lies_where_the_probability_is() -> None:
    p = np.zeros((75, 100), np.uint8)
    p[:, 50:] = 255
    part = main_part(drawn(Findings(heat=Picture(p, 64.0)))).astype(int)
    width = part.shape[1]
    touched = np.abs(part - 235).sum(axis=-1) > 30
    assert not touched[:, : int(0.49 * width)].any()
    assert touched[5:-5, int(0.51 * width) : -5].all()
    opacity = heat.OPACITY[1]
    want = 235 * (1 - opacity) + np.array([253, 231, 37]) * opacity  # viridis ends in this yellow
    np.testing.assert_allclose(part[50, int(0.75 * width)], want, atol=3)


def test_a_region_is_outlined_where_it_lies() -> None:
    region = box(1600, 1200, 4800, 3600)  # of a slide of 6400 x 4800 px
    hole = Polygon(region.exterior.coords, [box(3000, 2000, 3400, 2800).exterior.coords])
    part = main_part(drawn(Findings(regions=[MultiPolygon([hole])])))
    at = where(part, heat.REGION_COLOR)
    low, high = at.min(axis=0) / part.shape[:2], at.max(axis=0) / part.shape[:2]
    np.testing.assert_allclose(low, [0.25, 0.25], atol=0.01)
    np.testing.assert_allclose(high, [0.75, 0.75], atol=0.01)
    inner = at[(np.abs(at / part.shape[:2] - 0.5) < 0.1).all(axis=1)]
    assert len(inner) > 100, "holes are outlined too"


def test_the_tissue_outline_closes_at_the_edge() -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[:, :20] = 1
    part = main_part(drawn(Findings(tissue=Picture(mask, 160.0))))
    at = where(part, heat.TISSUE_COLOR)
    columns = at[:, 1] / part.shape[1]
    assert ((columns > 0.49) & (columns < 0.51)).mean() > 0.9
    everything = main_part(drawn(Findings(tissue=Picture(np.zeros_like(mask), 160.0))))
    assert len(where(everything, heat.TISSUE_COLOR)) == 0


def test_bars_are_as_long_as_the_probabilities() -> None:
    p = (0.1, 0.2, 0.3, 0.4)
    pixels = drawn(verdict=Verdict("invasive", p))
    room = SIDE * PX
    for (category, name), share in zip(COLORS.items(), p, strict=True):
        at = where(pixels, name)
        rows, counts = np.unique(at[:, 0], return_counts=True)
        bar = rows[counts > 0.9 * share * room]
        assert len(bar) >= 8, category
        assert np.max(counts) == pytest.approx(share * room, abs=3)


def test_without_a_category_bars_are_grey_and_untrained_has_none() -> None:
    held = drawn(verdict=Verdict(None, (0.1, 0.2, 0.3, 0.4), "the stain is not H&E"))
    assert not any(len(where(held, name)) for name in COLORS.values())
    assert len(where(held, "#98a2b3")) > 1000
    assert len(where(drawn(verdict=Verdict(None, None, "untrained")), "#98a2b3")) == 0


@pytest.mark.parametrize("shape", [(300, 300), (2, 4000), (4000, 3), (1, 1), (500, 1900)])
def test_any_proportions_are_drawn(shape: tuple[int, int]) -> None:
    thumbnail = Picture(np.full((*shape, 3), 200, np.uint8), 4.0)
    findings = Findings(boxes=np.array([[0, 0, 8, 8]]), heat=Picture(np.full(shape, 128, np.uint8), 4.0))
    pixels = overview(thumbnail, findings, Verdict(), title="$x_1$ " * 60, l0_mpp=0.25, lines=["a fact " * 40])
    assert pixels.dtype == np.uint8
    assert max(pixels.shape) < 2400
    assert min(pixels.shape[:2]) > 900


def test_nothing_runs_over_the_edge() -> None:
    long = "a rather long reason that has to be broken into lines because it does not fit " * 3
    pixels = drawn(verdict=Verdict(None, (1, 0, 0, 0), long, notice=long), title="name" * 80, lines=[long, "x" * 300])
    edge = int(0.8 * MARGIN * PX)
    assert (pixels[:, -edge:] == 255).all()
    assert (pixels[:, :edge] == 255).all()
    many = drawn(Findings(heat=Picture(np.zeros((3, 4), np.uint8), 1600.0)), lines=["a fact"] * 60)
    assert (many[-edge:] == 255).all()
    assert many.shape[0] > 60 * 20 * PX


@given(um=st.floats(0.5, 2e5))
def test_scale_bars_are_round(um: float) -> None:
    length, label = scale_bar(um)
    assert um / 10 <= length * 1.0000001 <= um / 4 * 1.000001
    assert f"{length:e}"[0] in "125"
    number, unit = label.split()
    assert float(number) * {"µm": 1, "mm": 1000}[unit] == pytest.approx(length)


def test_sizes_in_words() -> None:
    assert size_label(1480.0, 1108.0) == "1.11 × 1.48 mm"
    assert size_label(130.0, 150.0) == "150 × 130 µm"


def test_paint_is_the_same_for_bytes_and_floats() -> None:
    values = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(painted(values), painted(values / 255))
    assert painted(np.array([[np.nan]]))[0, 0, 3] == 0
    opacity = painted(values)[0, :, 3].astype(int)
    assert (np.diff(opacity) >= 0).all()
    assert opacity[-1] == round(255 * heat.OPACITY[1])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(0, 20), side=st.floats(1, 60))
def test_badges_do_not_overlap(seed: int, count: int, side: float) -> None:
    cells = np.random.default_rng(seed).permutation(100)[:count]
    boxes = np.stack([cells % 10 * side + 400, cells // 10 * side + 400, *[np.full(count, side)] * 2], axis=-1)
    found = place_badges(boxes, radius=10, plane=(1400, 1400))
    assert found.shape == (count, 2)
    assert (found >= 12).all()
    apart = np.linalg.norm(found[:, None] - found[None], axis=-1) + 1e9 * np.eye(count)
    assert (apart >= 20).all()
    if side >= 26:
        assert ((found > boxes[:, :2]) & (found < boxes[:, :2] + side)).all()


def test_crowded_badges_fall_back_to_their_tiles() -> None:
    boxes = np.tile([[5.0, 5.0, 2.0, 2.0]], (3, 1))
    np.testing.assert_array_equal(place_badges(boxes, radius=50, plane=(20, 20)), np.full((3, 2), 6.0))


def test_text_is_measured_wrapped_and_cut() -> None:
    assert text_width("mmmm", 20) == pytest.approx(2 * text_width("mm", 20), rel=0.02)
    assert text_width("a$b$c", 10) > text_width("abc", 10)
    lines = wrap("one two three four five", 80, 13)
    assert " ".join(lines) == "one two three four five"
    assert len(lines) > 1
    assert all(text_width(line, 13) <= 80 for line in lines)
    assert cut("abcdefghijklmnopqrstuvwxyz", 80, 13).startswith("abc")
    assert text_width(cut("w" * 100, 80, 13), 13) <= 80
    assert wrap("", 80, 13) == []


def test_a_tile_shows_its_region() -> None:
    rgb, p = np.full((512, 512, 3), 235, np.uint8), np.zeros((128, 128), np.uint8)
    p[32:96, 32:96] = 200
    pixels = tile_picture(rgb, p, "1 · tile 7", mpp=0.5, threshold=0.5)
    half = pixels[:, : pixels.shape[1] // 2]
    at = where(half, heat.REGION_COLOR)
    size = at.max(axis=0) - at.min(axis=0)
    np.testing.assert_allclose(size / PX, 520 / 2, atol=4)
    assert len(where(tile_picture(rgb, p, "", mpp=0.5, threshold=0.9), heat.REGION_COLOR)) == 0
    alone = tile_picture(rgb, None, "label", mpp=0.5, regions=[box(100, 100, 200, 200)])
    assert alone.shape[1] < pixels.shape[1] * 0.6
    assert len(where(alone, heat.REGION_COLOR)) > 100


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_sheet_holds_every_tile(count: int) -> None:
    tile = TileView(np.full((64, 64, 3), (10, 200, 30), np.uint8), label="x" * 80)
    pixels = topk_sheet([tile] * count, mpp=0.5, title="top tiles").pixels()
    green = (pixels == (10, 200, 30)).all(axis=-1).sum()
    assert green == pytest.approx(count * (240 * PX) ** 2, rel=0.03)


def test_before_and_after_stand_side_by_side() -> None:
    red, blue = np.zeros((80, 100, 3), np.uint8), np.zeros((80, 100, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    pixels = before_after(red, blue, mpp=0.5, title="stain")
    reds, blues = where(pixels, "#ff0000"), where(pixels, "#0000ff")
    assert len(reds) == pytest.approx(len(blues), rel=0.01)
    assert reds[:, 1].max() < blues[:, 1].min()
    assert before_after(red, blue).shape[0] < pixels.shape[0]
