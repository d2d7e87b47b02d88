"""What version 1 draws. Where this test fails, pixels or truth changed: take a new VERSION and new figures."""

from __future__ import annotations

import numpy as np
import pytest

from wsipipe import phantom
from wsipipe.phantom.gastric_picture import make_field
from wsipipe.phantom.gastric_record import category_map
from wsipipe.phantom.gastric_regime import regime_of
from wsipipe.phantom.gastric_version import parameters
from wsipipe.stage import canonical

FROZEN = {
    "1": (
        (4455, 125, 0, (178.4, 113.5, 161.7)),
        (4844, 127, 14092, (178.5, 115.4, 162.6)),
        (4569, 118, 15439, (175.7, 112.7, 160.6)),
        (4790, 129, 12825, (179.7, 117.4, 163.8)),
    )
}
"""By version, for each category of one seed: nuclei, glands, lesion pixels of 2 micrometres, mean colour of a block."""
GENERATORS = {"1": "cf1d7392aa97"}


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_a_field_is_what_this_version_draws(code):
    nuclei, glands, lesion, colour = FROZEN[phantom.VERSION][code]
    field = make_field(code, 7, regime_of("test"), 700.0, mpp=0.5)
    assert len(field.scene.all_nuclei()) == pytest.approx(nuclei, rel=0.002)
    assert len(field.scene.glands) == pytest.approx(glands, abs=1)
    assert np.count_nonzero(category_map(field.scene) == code) == pytest.approx(lesion, rel=0.01) or code == 0
    assert field.block((400, 400), size=512).mean(axis=(0, 1)).tolist() == pytest.approx(colour, abs=0.3)


def test_the_parameters_are_those_of_this_version():
    assert phantom.GENERATOR == GENERATORS[phantom.VERSION]
    assert canonical(parameters())
    assert parameters()["version"] == phantom.VERSION
