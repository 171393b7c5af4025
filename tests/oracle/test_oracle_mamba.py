"""The Mamba-1 mixer against that of transformers, and the Hyena operator against its definition in float64."""

from __future__ import annotations

import importlib.util
import math
import warnings

import numpy as np
import pytest
import torch

from seqexp.dna.encoders.hyena import HyenaMixer
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


def hyena_by_definition(mixer: HyenaMixer, u: np.ndarray) -> np.ndarray:
    """The operator on one sequence (L, D) in numpy and float64: explicit sums, no transforms."""
    weights = {name: value.double().numpy() for name, value in mixer.state_dict().items()}
    length, width = u.shape
    size = mixer.filter.max_length
    projected = u @ weights["in_proj.weight"].T + weights["in_proj.bias"]
    short, mixed = weights["short_filter.weight"][:, 0], np.zeros((length, 3 * width))
    for t in range(length):
        for back in range(short.shape[1]):
            if t >= back:
                mixed[t] += short[:, -1 - back] * projected[t - back]
    mixed += weights["short_filter.bias"]
    x0, x1, v = mixed[:, :width], mixed[:, width : 2 * width], mixed[:, 2 * width :]
    taps = np.zeros((length, width))
    deltas = np.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, width)
    for t in range(length):
        angles = 2 * math.pi * t / size * np.linspace(1e-4, 1, 2)
        hidden = np.concatenate([[t / (size - 1)], np.cos(angles), -np.sin(angles)])
        for layer in range(3):
            hidden = weights[f"filter.layers.{layer}.weight"] @ hidden + weights[f"filter.layers.{layer}.bias"]
            hidden = np.sin(weights["filter.frequency"] * hidden)
        fall = np.exp(-t / (size - 1) * np.abs(deltas)) + 0.05
        taps[t] = weights["filter.output.weight"] @ hidden * fall
    v = v * x1
    spread = np.stack([sum(taps[t - s] * v[s] for s in range(t + 1)) for t in range(length)])
    y = (spread + weights["filter.bias"] * v) * x0
    return y @ weights["out_proj.weight"].T + weights["out_proj.bias"]


@pytest.mark.parametrize("length", [1, 2, 40, 64, 90])
def test_hyena_equals_its_definition(length: int) -> None:
    torch.manual_seed(0)
    mixer = HyenaMixer(6, max_length=64, hidden=10)
    x = torch.randn(2, length, 6)
    found = mixer(x).detach().double().numpy()
    expected = np.stack([hyena_by_definition(mixer, row.double().numpy()) for row in x])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
