"""The Mamba-1 mixer against that of transformers: same weights, same numbers. Skipped where that is not installed."""

from __future__ import annotations

import importlib.util
import warnings

import pytest
import torch

from seqexp.dna.encoders.mamba import MambaMixer

WIDTH, STATE_SIZE = 16, 6


def needs_transformers() -> None:
    if importlib.util.find_spec("transformers") is None:
        warnings.warn("transformers is not installed: the Mamba mixer is NOT compared with theirs", stacklevel=2)
        pytest.skip("transformers is not installed")


def pair() -> tuple[MambaMixer, torch.nn.Module]:
    """Our mixer in one direction and theirs, with the same random weights."""
    from transformers.models.mamba.configuration_mamba import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer as TheirMixer

    torch.manual_seed(0)
    config = MambaConfig(hidden_size=WIDTH, state_size=STATE_SIZE, time_step_rank=3, num_hidden_layers=1)
    theirs = TheirMixer(config, layer_idx=0)
    ours = MambaMixer(WIDTH, STATE_SIZE, step_rank=3, is_bidirectional=False)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name in {"D", "A_log", "dt_proj.bias"}:
                parameter.uniform_(-1, 1)
    weights = theirs.state_dict()
    tied = {"in_proj.weight", "out_proj.weight"}
    ours.load_state_dict({k if k in tied else f"forwards.{k}": v for k, v in weights.items()}, strict=True)
    return ours, theirs


@pytest.mark.parametrize("length", [1, 3, 31, 100])
def test_values_and_gradients_equal(length: int) -> None:
    needs_transformers()
    ours, theirs = pair()
    x = torch.randn(2, length, WIDTH)
    results = []
    for mixer, prefix in ((ours, "forwards."), (theirs, "")):
        leaf = x.clone().requires_grad_()
        y = mixer(leaf)
        parameters = dict(mixer.named_parameters())
        names = ["conv1d.weight", "conv1d.bias", "x_proj.weight", "dt_proj.weight", "dt_proj.bias", "A_log", "D"]
        inputs = [leaf, *(parameters[prefix + name] for name in names), mixer.in_proj.weight, mixer.out_proj.weight]
        weights = torch.linspace(-1, 1, y.numel()).view_as(y)
        results.append([y, *torch.autograd.grad((y * weights).sum(), inputs)])
    for found, expected in zip(*results):
        torch.testing.assert_close(found, expected, atol=1e-5 * expected.abs().max().item(), rtol=1e-4)
