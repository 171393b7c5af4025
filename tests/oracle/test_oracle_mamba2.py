"""The mixer against the Mamba-2 of transformers: same weights, same numbers. Skipped where that is not installed."""

from __future__ import annotations

import importlib.util
import warnings

import pytest
import torch

from seqexp.dna.encoders.mamba2 import Mamba2Mixer

WIDTH, HEAD_DIM, STATE_SIZE = 16, 8, 6

if importlib.util.find_spec("transformers") is None:
    warnings.warn("transformers is not installed: the Mamba-2 mixer is NOT compared with theirs", stacklevel=1)
    pytest.skip("transformers is not installed", allow_module_level=True)


def pair(num_groups: int) -> tuple[Mamba2Mixer, torch.nn.Module]:
    """Our mixer in one direction and theirs, with the same random weights."""
    from transformers.models.mamba2.configuration_mamba2 import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer as TheirMixer

    torch.manual_seed(0)
    config = Mamba2Config(
        hidden_size=WIDTH,
        expand=2,
        num_heads=2 * WIDTH // HEAD_DIM,
        head_dim=HEAD_DIM,
        state_size=STATE_SIZE,
        n_groups=num_groups,
        conv_kernel=4,
        chunk_size=32,
        num_hidden_layers=1,
    )
    theirs = TheirMixer(config, layer_idx=0)
    ours = Mamba2Mixer(WIDTH, HEAD_DIM, STATE_SIZE, num_groups=num_groups, chunk=16, is_bidirectional=False)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name in {"norm.weight", "D"}:
                parameter.uniform_(0.5, 1.5)
            elif name in {"A_log", "dt_bias"}:
                parameter.uniform_(-2, 1)
    weights = theirs.state_dict()
    ours.load_state_dict({k if "proj" in k else f"forwards.{k}": v for k, v in weights.items()}, strict=True)
    return ours, theirs


@pytest.mark.parametrize("num_groups", [1, 2])
@pytest.mark.parametrize("length", [1, 31, 32, 100])
def test_values_and_gradients_equal(num_groups: int, length: int) -> None:
    ours, theirs = pair(num_groups)
    x = torch.randn(2, length, WIDTH)
    results = []
    for mixer in (ours, theirs):
        leaf = x.clone().requires_grad_()
        y = mixer(leaf)
        weights = torch.linspace(-1, 1, y.numel()).view_as(y)
        grads = torch.autograd.grad((y * weights).sum(), [leaf, mixer.in_proj.weight, mixer.out_proj.weight])
        results.append([y, *grads])
    for found, expected in zip(*results):
        torch.testing.assert_close(found, expected, atol=2e-5 * expected.abs().max().item(), rtol=1e-4)


def test_scan_parameters_get_equal_gradients() -> None:
    ours, theirs = pair(1)
    x = torch.randn(2, 70, WIDTH)
    for mixer in (ours, theirs):
        mixer(x).square().sum().backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters() if "proj" not in name}
    for name, parameter in ours.forwards.named_parameters():
        scale = expected[name].abs().max().item()
        torch.testing.assert_close(parameter.grad, expected[name], atol=1e-4 * scale, rtol=1e-3)
