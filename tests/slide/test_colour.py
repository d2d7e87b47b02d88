"""Stored samples to grey or RGB, against Pillow where it has an answer."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from wsipipe.slide.colour import fill_of, from_palette, from_ycbcr, inverted, jpeg_space, on_fill, white

RNG = np.random.default_rng(6)


def test_white_and_fill() -> None:
    assert [white(np.dtype(kind)) for kind in ("u1", "u2", "i2", "f4")] == [255, 65535, 32767, 1]
    assert [fill_of(3, np.dtype("u1")), fill_of(1, np.dtype("u1")), fill_of(4, np.dtype("u2"))] == [255, 0, 0]


def test_alpha_is_laid_on_the_fill() -> None:
    colour = np.array([[[10, 20, 30], [10, 20, 30], [10, 20, 30]]], np.uint8)
    alpha = np.array([[0, 255, 51]], np.uint8)
    laid = on_fill(colour, alpha, 255)
    assert laid.tolist() == [[[255, 255, 255], [10, 20, 30], [206, 208, 210]]]
    assert on_fill(colour, alpha, 255, premultiplied=True)[0, 2].tolist() == [214, 224, 234]


def test_opaque_pixels_are_the_same_to_the_bit() -> None:
    colour = RNG.integers(0, 65536, (9, 9, 3)).astype(np.uint16)
    assert np.array_equal(on_fill(colour, np.full((9, 9), 65535, np.uint16), 65535), colour)


def test_palette_and_inverted() -> None:
    palette = RNG.integers(0, 256, (16, 3)).astype(np.uint8)
    index = RNG.integers(0, 16, (7, 5, 1)).astype(np.uint8)
    assert np.array_equal(from_palette(index, palette), palette[index[..., 0]])
    assert inverted(np.array([[0, 200]], np.uint8)).tolist() == [[255, 55]]


def test_ycbcr_is_pillows_within_one_grey_level() -> None:
    stored = RNG.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    want = np.asarray(Image.frombytes("YCbCr", (40, 40), stored.tobytes()).convert("RGB"))
    assert np.abs(from_ycbcr(stored).astype(int) - want).max() <= 1


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jfif_stream_is_ycbcr_whatever_is_declared(subsampling: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(stream, "JPEG", subsampling=subsampling)
    assert jpeg_space(stream.getvalue(), "RGB") == "YCBCR"


def test_an_adobe_stream_says_what_it_is() -> None:
    head = b"\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
    assert jpeg_space(head + b"\x00\xff\xda", "YCBCR") == "RGB"
    assert jpeg_space(head + b"\x01\xff\xda", "RGB") == "YCBCR"


def test_component_ids_and_the_declaration_decide_last() -> None:
    def frame(ids: bytes, first: int) -> bytes:
        parts = b"".join(bytes([i, s, 0]) for i, s in zip(ids, (first, 0x11, 0x11), strict=True))
        return b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03" + parts + b"\xff\xda"

    assert jpeg_space(frame(b"RGB", 0x11), "YCBCR") == "RGB"
    assert jpeg_space(frame(b"\x01\x02\x03", 0x11), "RGB") == "RGB"
    assert jpeg_space(frame(b"\x00\x01\x02", 0x22), "RGB") == "YCBCR"
    assert jpeg_space(b"\xff\xd8", "YCBCR") == "YCBCR"
