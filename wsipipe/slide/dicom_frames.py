"""Where a DICOM instance's frames lie, and how one is decoded. pydicom reads the header, imagecodecs the frames.

Enters: a file of VL Whole Slide Microscopy Image Storage. Leaves: frames as arrays. Next: `wsipipe.slide.dicom`.
"""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom

from wsipipe.errors import SlideOpenError
from wsipipe.slide.base import Pixels
from wsipipe.slide.colour import from_ycbcr, inverted, jpeg_space
from wsipipe.slide.dicom_files import HEADER_ERRORS

ITEM, END = 0xFFFEE000, 0xFFFEE0DD
"""Tags of an item of encapsulated pixel data and of the end of them."""
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
CODECS: dict[str, Callable[[bytes], Any]] = {
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_decode, "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode, "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode, "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.201": imagecodecs.jpeg2k_decode, "1.2.840.10008.1.2.4.202": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.203": imagecodecs.jpeg2k_decode,
}  # fmt: skip
"""Transfer syntax to decoder. JPEG proper is decoded with its colours in hand, uncompressed frames not at all."""


class Frames:
    """The frames of one instance; safe for several threads.

    Attributes
    ----------
    header : pydicom.Dataset
        All but the pixels.
    tile : (int, int)
        Height and width of a frame.
    channels, dtype
        Of a decoded frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.header: Any = pydicom.dcmread(file, stop_before_pixels=True)
                start = file.tell()
            self._describe()
        except HEADER_ERRORS as exc:
            raise self.refuse(f"its header is damaged ({exc}), copy it again") from exc
        self._file = os.open(path, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._file)
        try:
            self._spans = self._locate(start)
        except struct.error as exc:
            raise self.refuse("it ends inside its pixels: it is truncated, copy it again") from exc
        self._space = self._colours()

    def close(self) -> None:
        """Give back the file; a second call does nothing."""
        self._close()

    def refuse(self, text: str) -> SlideOpenError:
        """An error about this file; the message names none, the subject does."""
        return SlideOpenError(f"an instance cannot be read: {text}", subject=str(self.path))

    def decode(self, number: int) -> Pixels:
        """Frame `number` (from 0) as ``(height, width, channel)``, RGB or grey with black 0."""
        pixels = self._decoded(self._bytes(number))
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if pixels.shape != (*self.tile, self.channels):
            raise ValueError(f"a frame of {(*self.tile, self.channels)} expected, it holds {pixels.shape}")
        return inverted(pixels) if self.photometric == "MONOCHROME1" else pixels

    def _describe(self) -> None:
        header = self.header
        self.tile = int(header.Rows), int(header.Columns)
        self.channels, self.photometric = int(header.SamplesPerPixel), str(header.PhotometricInterpretation)
        self.dtype = np.dtype(np.uint8 if int(header.BitsAllocated) <= 8 else np.uint16)
        self.count = int(header.get("NumberOfFrames", 1) or 1)
        self.syntax = str(header.file_meta.TransferSyntaxUID)
        if (self.channels, self.photometric[:3]) not in ((1, "MON"), (3, "RGB"), (3, "YBR")):
            raise ValueError(f"{self.photometric} of {self.channels} samples is not read")
        if int(header.get("PixelRepresentation", 0)) or int(header.BitsAllocated) not in (8, 16):
            raise ValueError(f"{header.BitsAllocated} bits, signed or odd, are not read")
        known = header.file_meta.TransferSyntaxUID
        self.encapsulated = bool(known.is_encapsulated)
        self.planar = self.channels > 1 and int(header.get("PlanarConfiguration", 0) or 0) == 1
        if known.is_encapsulated and self.syntax not in (*JPEG, *CODECS):
            raise ValueError(f"transfer syntax {known.name} is not read")
        if not known.is_encapsulated and (not known.is_little_endian or self.photometric == "YBR_FULL_422"):
            raise ValueError(f"uncompressed {self.photometric} in {known.name} is not read")

    def _locate(self, start: int) -> list[tuple[int, int]]:
        """First and last byte of every frame; encapsulated ones with their item headers."""
        implicit = self.header.file_meta.TransferSyntaxUID.is_implicit_VR
        base = start + (8 if implicit else 12)
        if not self.encapsulated:
            size = self.tile[0] * self.tile[1] * self.channels * self.dtype.itemsize
            spans = [(base + i * size, base + (i + 1) * size) for i in range(self.count)]
        else:
            spans = self._encapsulated(base)
        if spans[-1][1] > self.path.stat().st_size:
            raise self.refuse("it ends inside its pixels: it is truncated, copy it again")
        return spans

    def _encapsulated(self, base: int) -> list[tuple[int, int]]:
        """By the extended offset table, the basic one, or, without either, by going from item to item."""
        _, length = self._item(base)
        first = base + 8 + length
        table = self._table(base, length)
        if len(table) != self.count or (np.diff(table) <= 0).any():
            items = self._walk(first)
            if self.count == 1:
                return [(items[0][0], items[-1][1])]
            if len(items) != self.count:
                raise self.refuse(f"{self.count} frames in {len(items)} fragments, and no offset table to tell them")
            return items
        starts = [first + int(offset) for offset in table]
        return list(zip(starts, [*starts[1:], self._walk(starts[-1])[-1][1]], strict=True))

    def _table(self, base: int, length: int) -> Any:
        extended = self.header.get("ExtendedOffsetTable")
        if extended:
            return np.frombuffer(extended, "<u8").astype(np.int64)
        return np.frombuffer(os.pread(self._file, length - length % 4, base + 8), "<u4").astype(np.int64)

    def _walk(self, at: int) -> list[tuple[int, int]]:
        """Items from `at` to the end of the sequence or of the file."""
        found, size = [], self.path.stat().st_size
        while at < size:
            tag, length = self._item(at)
            if tag != ITEM:
                break
            found.append((at, at + 8 + length))
            at += 8 + length
        if not found:
            raise self.refuse("no pixels in it")
        return found

    def _item(self, at: int) -> tuple[int, int]:
        group, element, length = struct.unpack("<HHI", os.pread(self._file, 8, at))
        return group << 16 | element, length

    def _bytes(self, number: int) -> bytes:
        start, stop = self._spans[number]
        data = os.pread(self._file, stop - start, start)
        if len(data) < stop - start:
            raise ValueError(f"{stop - start} bytes expected, the file gives {len(data)}")
        if not self.encapsulated:
            return data
        parts, at = [], 0
        while at + 8 <= len(data):
            group, element, length = struct.unpack("<HHI", data[at : at + 8])
            if group << 16 | element != ITEM:
                break
            parts.append(data[at + 8 : at + 8 + length])
            at += 8 + length
        return b"".join(parts)

    def _colours(self) -> str:
        """What the frames hold, seen from the first; see `wsipipe.slide.colour.jpeg_space`."""
        declared = "YCBCR" if self.photometric.startswith("YBR_FULL") else "RGB"
        if self.channels == 3 and self.syntax in JPEG:
            return jpeg_space(self._bytes(0), declared)
        return declared  # YBR_ICT and YBR_RCT are undone by the JPEG 2000 decoder

    def _decoded(self, data: bytes) -> Pixels:
        if self.syntax in JPEG:
            if self.channels == 1:
                return np.asarray(imagecodecs.jpeg_decode(data))
            return np.asarray(imagecodecs.jpeg_decode(data, colorspace=self._space, outcolorspace="RGB"))
        if self.syntax in CODECS:
            pixels = np.asarray(CODECS[self.syntax](data))
        else:
            pixels = np.frombuffer(data, self.dtype.newbyteorder("<")).astype(self.dtype)
            shape = (self.channels, *self.tile) if self.planar else (*self.tile, self.channels)
            pixels = np.moveaxis(pixels.reshape(shape), 0, -1) if self.planar else pixels.reshape(shape)
        return from_ycbcr(pixels) if self._space == "YCBCR" and self.channels == 3 else pixels
