"""The contact sheet and what the version draws."""

from __future__ import annotations

import numpy as np

from wsipipe import phantom
from wsipipe.phantom import gastric_contact


def test_sheet(monkeypatch):
    monkeypatch.setattr(gastric_contact, "FIELD_UM", 520.0)
    sheet = phantom.contact_sheet(1, "test")
    assert sheet.shape == (2160, 2048, 3)
    assert sheet.dtype == np.uint8
    for row in range(4):
        for column in range(4):
            cell = sheet[row * 540 + 28 : (row + 1) * 540, column * 512 : (column + 1) * 512]
            assert cell.std() > 15
