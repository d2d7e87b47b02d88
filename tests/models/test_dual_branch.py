"""The dual-branch network: form, deployment, published encoders, folding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wsipipe.errors import WeightsError
from wsipipe.models.dual_branch import DualBranch, deployment, folded, gflop, load_encoder, parameters
from wsipipe.models.retina_settings import DUAL_BRANCH_PRESETS, REFINED, DualBranchConfig

TINY = DUAL_BRANCH_PRESETS["tiny"]
CELLS = TINY.model_copy(update={"detail": 0, "decoder": (8, 8, 8, 8), "enhancer": (8, 8, 8, 8)})
"""The finest map has cells of two pixels."""
MOST_BYTES = 25 * 2**20


def network(config: DualBranchConfig = TINY, seed: int = 0) -> DualBranch:
    torch.manual_seed(seed)
    made = DualBranch(config)
    with torch.no_grad():  # norms that do something
        for part in made.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.3, 0.3)
                part.running_var.uniform_(0.5, 2)
    return made.eval()


@pytest.mark.parametrize("config", [TINY, CELLS], ids=["detail", "cells"])
@pytest.mark.parametrize("shape", [(64, 96), (50, 61), (33, 32)])
def test_answers_have_the_picture_s_size_whatever_it_is(config, shape):
    said = network(config)(torch.randn(2, 3, *shape))
    assert said.logits.shape == said.first.shape == said.restored.shape == (2, 3, *shape)
    assert said.restored.min() >= 0
    assert said.restored.max() <= 1


@pytest.mark.parametrize("config", [TINY, CELLS], ids=["detail", "cells"])
@torch.no_grad()
def test_the_deployment_network_gives_equal_bits_with_fewer_parameters(config):
    whole = network(config)
    small = deployment(whole)
    x = torch.randn(1, 3, 70, 64)
    assert torch.equal(whole(x).logits, small(x).logits)
    assert small(x).restored is None
    assert parameters(small) == parameters(whole) - parameters(whole.enhancement)
    assert gflop(small.config, 64, 64) < gflop(whole.config, 64, 64)


@torch.no_grad()
def test_folding_changes_the_answer_by_less_than_a_rounding():
    x = torch.randn(1, 3, 64, 64)
    wanted, got = network()(x), folded(network())(x)
    torch.testing.assert_close(got.logits, wanted.logits, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded(network()).modules())


def test_the_full_width_has_the_tensors_of_torchvision_s_resnet18():
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet18(weights=None).state_dict()
    ours = DualBranch(DUAL_BRANCH_PRESETS["resnet18"])
    fitted = load_encoder(ours, theirs)
    assert fitted == len([name for name in theirs if not name.startswith("fc.")])
    assert torch.equal(ours.encoder.layer3[0].downsample[0].weight, theirs["layer3.0.downsample.0.weight"])
    with pytest.raises(WeightsError, match="another shape"):
        load_encoder(network(), theirs)


@torch.no_grad()
def test_the_full_width_encoder_computes_what_torchvision_s_does():
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet18(weights=None).eval()
    ours = DualBranch(DUAL_BRANCH_PRESETS["resnet18"]).eval()
    load_encoder(ours, theirs.state_dict())
    x = torch.randn(1, 3, 64, 64)
    made = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
    for layer in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        made = layer(made)
    torch.testing.assert_close(ours.encoder(x)[-1], made)


def test_the_default_fits_into_a_weights_file_of_16_bit_floats():
    assert 2 * parameters(DualBranch(DUAL_BRANCH_PRESETS["standard"])) < MOST_BYTES
    assert next(iter(DUAL_BRANCH_PRESETS)) == "standard"
    for plain, refined in REFINED.items():
        assert DUAL_BRANCH_PRESETS[plain] == DUAL_BRANCH_PRESETS[refined].model_copy(update={"refine": ()})


def test_a_decoder_has_a_step_for_every_halving():
    with pytest.raises(ValueError, match="4 channels"):
        DualBranchConfig(detail=0)
    with pytest.raises(ValueError, match="5 channels"):
        DualBranchConfig(decoder=(8, 8))


def test_the_plain_preset_is_the_source_s_form():
    assert DUAL_BRANCH_PRESETS["plain"] == DUAL_BRANCH_PRESETS["standard"].model_copy(update={"refine": ()})
