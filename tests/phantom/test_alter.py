"""The same slide seen worse: truth stays, pixels change as asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsipipe.deblur.sharpness import sharpness
from wsipipe.errors import UsageError
from wsipipe.phantom import Alteration, gastric_truth, write_gastric


def made(folder: Path, **how: float) -> Path:
    return write_gastric(
        folder, category="high_grade", seed=3, regime="test", size=1024, mpp=0.5, alteration=Alteration(**how)
    )


def test_an_alteration_leaves_truth_and_changes_pixels(tmp_path: Path) -> None:
    plain, blurred, turned = (
        made(tmp_path / name, **how) for name, how in (("a", {}), ("b", {"blur_um": 2.0}), ("c", {"stain_deg": 40.0}))
    )
    assert gastric_truth(plain) == gastric_truth(blurred) == gastric_truth(turned)
    pixels = [tifffile.imread(path) for path in (plain, blurred, turned)]
    assert sharpness(pixels[1]) < 0.7 * sharpness(pixels[0])
    means = [one.reshape(-1, 3).mean(axis=0) for one in pixels]
    assert np.abs(means[1] - means[0]).max() < 3
    assert np.abs(means[2] - means[0]).max() > 8


def test_none_is_the_slide_itself(tmp_path: Path) -> None:
    same = write_gastric(tmp_path / "b", category="high_grade", seed=3, regime="test", size=1024, mpp=0.5)
    assert made(tmp_path / "a").read_bytes() == same.read_bytes()


@pytest.mark.parametrize("how", [{"blur_um": -1.0}, {"blur_um": 9.0}, {"stain_deg": 91.0}])
def test_what_cannot_be_is_refused(how: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="blur is 0 to 8 um"):
        Alteration(**how)
