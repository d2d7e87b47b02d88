"""The gate: each check by itself, with the reason it gives."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsipipe.lesion.gate import CHECKS, Limits, feature_distance, fit_statistics, gate, measure, reasons
from wsipipe.models.architecture import VNET, VNET_PRESETS
from wsipipe.models.card import Card, FeatureStatistics
from wsipipe.models.vnet import VNet
from wsipipe.models.weights import save

LIMITS = Limits(min_tiles=4, max_stain_angle=20, min_focus=0.5, max_feature_distance=2)
KNOWN = FeatureStatistics(np.array([[0.0, 0.0], [10.0, 0.0]]), np.diag([1.0, 4.0]))


def slide(**changes: Any) -> dict[str, NDArray[Any]]:
    good = {
        "tissue_share": np.full(6, 0.9, np.float32),
        "focus": np.array([0.1, 0.7, 0.8, 0.9, 0.8, 0.7], np.float32),
        "features": np.tile(np.array([[10.0, 0.5]], np.float32), (6, 1)),
        "stain_distance": np.array([12.0], np.float32),
    }
    return good | {name: np.asarray(value, np.float32) for name, value in changes.items()}


def test_a_good_slide_passes_with_its_numbers() -> None:
    got = measure(LIMITS, KNOWN, **slide())
    np.testing.assert_allclose(got["gate_value"], [5.4, 12, 0.75, np.sqrt(4 * 0.25 / 2)], rtol=1e-6)
    assert got["gate_passed"].tolist() == [1, 1, 1, 1]
    assert reasons(got["gate_value"], got["gate_passed"]) == ""


@pytest.mark.parametrize(
    ("changes", "failed", "text"),
    [
        ({"tissue_share": np.full(6, 0.5)}, "tissue", "too little tissue (3 tile areas)"),
        ({"stain_distance": [31.5]}, "stain", "stain far from H&E (31.5 degrees)"),
        ({"stain_distance": [np.nan]}, "stain", "stain could not be measured"),
        ({"focus": np.full(6, 0.25)}, "focus", "out of focus (median focus 0.25)"),
        ({"features": np.full((6, 2), 5.0)}, "features", "unlike the training slides (feature distance 7.91)"),
    ],
)
def test_each_check_fails_alone(changes: dict[str, Any], failed: str, text: str) -> None:
    got = measure(LIMITS, KNOWN, **slide(**changes))
    assert [name for name, good in zip(CHECKS, got["gate_passed"], strict=True) if not good] == [failed]
    assert reasons(got["gate_value"], got["gate_passed"]) == text


def test_no_tiles_fail_what_needs_tiles() -> None:
    nothing = slide(tissue_share=np.zeros(0), focus=np.zeros(0), features=np.zeros((0, 2)))
    got = measure(LIMITS, KNOWN, **nothing)
    assert got["gate_passed"].tolist() == [0, 1, 0, 0]
    assert reasons(got["gate_value"], got["gate_passed"]).startswith("too little tissue (0 tile areas); focus could")


def test_checks_can_be_off() -> None:
    off = Limits(None, None, None, None)
    got = measure(off, KNOWN, **slide(stain_distance=[np.nan], focus=np.full(6, np.nan)))
    assert got["gate_passed"].tolist() == [1, 1, 1, 1]
    unknown = measure(LIMITS, None, **slide())
    assert np.isnan(unknown["gate_value"][3])
    assert unknown["gate_passed"].tolist() == [1, 1, 1, 1]


def test_the_limits_themselves_pass() -> None:
    limits = replace(LIMITS, min_tiles=4.5, max_stain_angle=12)
    got = measure(limits, KNOWN, **slide(tissue_share=np.full(6, 0.75)))
    assert got["gate_passed"].tolist() == [1, 1, 1, 1]


def test_distance_is_about_one_for_tiles_like_those_of_the_training() -> None:
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((16, 16))
    classes = rng.integers(0, 4, 4000)
    centres = 20 * rng.standard_normal((4, 16))
    features = rng.standard_normal((4000, 16)) @ mix + centres[classes]
    known = fit_statistics(features[:2000], classes[:2000], shrinkage=0.0)
    got = feature_distance(features[2000:], known)
    assert 0.95 < float(np.median(got)) < 1.05
    np.testing.assert_allclose(known.means[0], features[:2000][classes[:2000] == 0].mean(axis=0))
    away = features[:2000] - known.means[classes[:2000]]
    np.testing.assert_allclose(known.precision @ (away.T @ away / 2000), np.eye(16), atol=1e-8)
    assert float(np.median(feature_distance(features + 100, known))) > 3


def test_features_that_never_vary_do_not_break_the_fit() -> None:
    known = fit_statistics(np.zeros((5, 3)), np.zeros(5, np.int64))
    assert np.isfinite(feature_distance(np.ones((2, 3)), known)).all()


def test_stage_reads_statistics_from_the_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    card = Card(name="w", architecture=VNET["tiny"])
    save(path, VNet(VNET_PRESETS["tiny"]), card, known=KNOWN)
    stage = gate(weights=str(path), min_tiles=4, max_stain_angle=20, min_focus=0.5, max_feature_distance=2)
    assert dict(pickle.loads(pickle.dumps(stage)).fn(**slide()))["gate_passed"].tolist() == [1, 1, 1, 1]
    far = stage.fn(**slide(features=np.full((6, 2), 5.0)))
    assert far["gate_passed"].tolist() == [1, 1, 1, 0]
    assert np.isnan(gate(weights="untrained").fn(**slide())["gate_value"][3])
