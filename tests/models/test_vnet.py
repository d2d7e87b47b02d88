"""The tile network's form, cost and determinism."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from wsipipe.models.architecture import VNET, VNET_PRESETS, VNetConfig
from wsipipe.models.card import Card, untrained
from wsipipe.models.vnet import DecoderLayer, VNet, folded, gflop, normalise, parameters

TINY = VNET_PRESETS["tiny"]


def network(config: VNetConfig = TINY, seed: int = 0) -> VNet:
    torch.manual_seed(seed)
    made = VNet(config)
    with torch.no_grad():  # running statistics unlike the initial 0 and 1, so that the norms do something
        for module in made.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.5, 2)
    return made.eval()


def test_encoder_layers_hand_on_their_input_unchanged_beside_their_output() -> None:
    """Concatenation, not addition: the first half of a map is the layer's own input."""
    made, tiles = network(), torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        maps = made.encode(tiles)
        own = made.stem(F.pixel_unshuffle(tiles, 8))
        for index, (whole, layer) in enumerate(zip(maps, made.encoder, strict=True)):
            own = made.down[index - 1](maps[index - 1]) if index else own
            half = TINY.channels[index]
            assert whole.shape[1] == 2 * half
            assert torch.equal(whole[:, :half], own)
            assert torch.equal(whole[:, half:], layer.convs(own))


def test_decoder_layer_equals_the_literal_concatenation() -> None:
    torch.manual_seed(1)
    layer = DecoderLayer(8, 12, 6, 2).eval()
    own, skip = torch.randn(2, 8, 5, 7), torch.randn(2, 12, 10, 14)
    with torch.inference_mode():
        joined = torch.cat([F.interpolate(part, scale_factor=2) for part in (own, layer.convs(own))] + [skip], dim=1)
        weight = torch.cat([layer.bound_own.weight, layer.bound_skip.weight], dim=1)
        literal = F.relu(layer.norm(F.conv2d(joined, weight)))
        assert torch.allclose(layer(own, skip), literal, atol=1e-5)


def test_only_batch_norm_is_used() -> None:
    kinds = {type(module) for module in network().modules() if "Norm" in type(module).__name__}
    assert kinds == {nn.BatchNorm1d, nn.BatchNorm2d}


@pytest.mark.parametrize(("height", "width"), [(64, 64), (70, 33), (32, 100)])
def test_answer_has_the_size_of_the_tile(height: int, width: int) -> None:
    with torch.inference_mode():
        said = network()(torch.rand(1, 3, height, width))
        coarse = network()(torch.rand(1, 3, height, width), at_stem=True)
    assert said.features.shape == (1, 16)
    assert said.class_logits.shape == (1, 4)
    assert said.pixel_logits.shape == (1, 4, height, width)
    assert coarse.pixel_logits.shape == (1, 4, -(-height // 8), -(-width // 8))


def test_padding_changes_nothing_where_none_is_needed() -> None:
    """A tile padded by hand gives the same answer as one that the network pads."""
    made, tiles = network(), torch.rand(1, 3, 40, 64)
    with torch.inference_mode():
        by_hand = made(F.pad(tiles, (0, 0, 0, 24), mode="replicate"))
        assert torch.equal(made(tiles).pixel_logits, by_hand.pixel_logits[:, :, :40])


def test_folding_norms_keeps_the_numbers() -> None:
    tiles = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        plain, quick = network()(tiles), folded(network())(tiles)
    for a, b in zip(plain, quick, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_two_trainings_steps_from_one_seed_are_equal() -> None:
    def step() -> torch.Tensor:
        made = network(seed=3).train()
        said = made(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
        (said.pixel_logits.square().mean() + said.class_logits.square().mean()).backward()  # type: ignore[no-untyped-call]  # torch
        return torch.cat([tensor.grad.flatten() for tensor in made.parameters() if tensor.grad is not None])

    first = step()
    assert torch.equal(first, step())
    assert len(first) == parameters(network()), "every parameter has a gradient"


def test_gflop_is_what_a_count_by_hand_says() -> None:
    config = VNetConfig(
        stem_stride=2, channels=(4, 8), convs=(1, 1), decoder_convs=(1, 1), pool=1, hidden=6, features=5
    )
    fine, coarse = 32 * 32, 16 * 16  # of a 64 px tile
    macs = fine * (12 * 4 * 9 + 4 * 4 * 9)  # stem, encoder layer 0
    macs += coarse * (8 * 8 * 4 + 8 * 8 * 9)  # down, encoder layer 1
    macs += coarse * (16 * 8)  # bound
    macs += coarse * (8 * 8 * 9 + 16 * 4) + fine * (8 * 4)  # decoder layer: convs, own and skip parts
    macs += fine * (4 * 4 * 9 + 4 * 4)  # last, pixel
    macs += 32 * 6 + 6 * 5 + 5 * 4  # fully connected: mean and maximum of 16 channels
    assert gflop(config, 64) == pytest.approx(2 * macs / 1e9, rel=1e-12)


def test_light_costs_less_than_three_gflop() -> None:
    assert 1 < gflop(VNET_PRESETS["light"], 512) < 3
    assert gflop(VNET_PRESETS["wide"], 512) > 10 * gflop(VNET_PRESETS["light"], 512)


def test_light_fits_in_a_file_of_25_mb() -> None:
    with torch.device("meta"):
        assert 1e6 < parameters(VNet(VNET_PRESETS["light"])) < 6e6


def test_normalise_follows_the_card() -> None:
    card = Card(name="x", architecture=VNET["tiny"], mean=(0.2, 0.4, 0.6), std=(0.1, 0.2, 0.5))
    rgb = torch.tensor([[[[51, 102, 153], [255, 0, 255]]]], dtype=torch.uint8)
    got = normalise(rgb, card)
    assert got.shape == (1, 3, 1, 2)
    assert torch.allclose(got[0, :, 0, 0], torch.zeros(3), atol=1e-6)
    assert torch.allclose(got[0, :, 0, 1], torch.tensor([8.0, -2.0, 0.8]), atol=1e-5)


def test_levels_must_agree() -> None:
    with pytest.raises(ValidationError, match="one value per level"):
        VNetConfig(channels=(8, 16))


def test_untrained_names() -> None:
    assert untrained("untrained", VNET).architecture == VNET["light"]
    assert untrained("untrained:7:tiny", VNET).made == {"seed": 7}
    hashes = {untrained(name, VNET).sha256 for name in ("untrained", "untrained:0", "untrained:1", "untrained:0:wide")}
    assert len(hashes) == 3, "the seed 0 is the default, others differ"
    for wrong in ("untrained:-1", "untrained:x", "untrained:0:no"):
        with pytest.raises(ValueError, match=wrong):
            untrained(wrong, VNET)
