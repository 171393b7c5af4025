"""The Mamba-2 encoder: directions, the gate, checkpointing, initial values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.mamba2 import DirectedSSD, Mamba2Encoder, Mamba2Mixer


def small(**changes: object) -> Mamba2Encoder:
    torch.manual_seed(0)
    settings = {"num_layers": 2, "head_dim": 8, "state_size": 6, "chunk": 16, **changes}
    encoder = Mamba2Encoder(16, **settings)
    with torch.no_grad():  # fast steps, so that influence travels far enough to be measured
        for block in encoder.blocks:
            block.mixer.forwards.A_log.fill_(-3.0)
            if block.mixer.backwards is not None:
                block.mixer.backwards.A_log.fill_(-2.0)
    return encoder


def sequence(batch: int = 2, length: int = 50, seed: int = 1) -> Tensor:
    return torch.randn(batch, length, 16, generator=torch.Generator().manual_seed(seed))


def hard_gate(batch: int = 2, length: int = 50) -> Tensor:
    return (torch.rand(batch, length, generator=torch.Generator().manual_seed(3)) < 0.5).float()


@pytest.mark.parametrize("length", [1, 3, 16, 50])
def test_shape_and_width(length: int) -> None:
    encoder = small()
    assert encoder.width == 16
    assert encoder(sequence(length=length)).shape == (2, length, 16)


@pytest.mark.parametrize("gate", [None, "hard", "soft"])
def test_flip_symmetry(gate: str | None) -> None:
    """With equal weights in both directions, reading the flipped input gives the flipped output."""
    encoder = small()
    for block in encoder.blocks:
        block.mixer.backwards.load_state_dict(block.mixer.forwards.state_dict())
    mask = {None: None, "hard": hard_gate(), "soft": torch.rand(2, 50)}[gate]
    x = sequence()
    flipped = encoder(x.flip(1), None if mask is None else mask.flip(1))
    torch.testing.assert_close(flipped.flip(1), encoder(x, mask), atol=1e-5, rtol=1e-5)


def test_directions_are_not_tied() -> None:
    encoder, x = small(), sequence()
    assert not torch.allclose(encoder(x.flip(1)).flip(1), encoder(x), atol=1e-3)


def influence(encoder: Mamba2Encoder, source: int, gate: Tensor | None = None) -> Tensor:
    """Largest change of every output position (N,) when position ``source`` gets other content."""
    x = sequence()
    other = x.clone()
    other[:, source] = sequence(seed=9)[:, source] * 5
    with torch.no_grad():
        return (encoder(other, gate) - encoder(x, gate)).abs().amax((0, 2))


def test_both_directions_see_everything_and_one_is_causal() -> None:
    assert (influence(small(), 25) > 0).all()
    causal = influence(small(is_bidirectional=False), 25)
    assert (causal[:25] == 0).all()
    assert (causal[25:] > 0).all()


def test_gate_zero_influences_nothing_else() -> None:
    gate = torch.ones(2, 50)
    gate[:, 25] = 0
    change = influence(small(), 25, gate)
    assert change[25] > 0  # its own residual stream
    change[25] = 0
    assert (change == 0).all()


def test_gate_zero_leaves_own_stream_alone() -> None:
    x, encoder = sequence(), small()
    torch.testing.assert_close(encoder(x, torch.zeros(2, 50)), encoder.norm(x), atol=0, rtol=0)


def test_gate_acts_in_proportion() -> None:
    """Half open lies between closed and open: the norms inside do not undo the gate."""
    changes = []
    for value in (0.0, 0.25, 0.5, 1.0):
        gate = torch.ones(2, 50)
        gate[:, 25] = value
        change = influence(small(num_layers=1), 25, gate)
        changes.append(change[:25].max().item())
    assert changes == sorted(changes)
    assert changes[0] == 0
    assert changes[1] < changes[3]


def test_gate_survives_uniform_scaling() -> None:
    """The same gate value everywhere still matters, although every position is scaled alike."""
    encoder, x = small(), sequence()
    outputs = [encoder(x, torch.full((2, 50), value)) for value in (0.25, 0.5, 1.0)]
    distances = [(output - encoder.norm(x)).norm().item() for output in outputs]
    assert distances[0] < 0.6 * distances[1] < 0.6 * distances[2]


def test_gate_receives_gradient() -> None:
    gate = torch.full((2, 50), 0.5, requires_grad=True)
    small()(sequence(), gate)[:, :25].square().sum().backward()
    assert gate.grad is not None
    assert (gate.grad != 0).all()


def test_open_gate_equals_no_gate() -> None:
    encoder, x = small(), sequence()
    torch.testing.assert_close(encoder(x, torch.ones(2, 50)), encoder(x))


def test_initial_steps_and_decays() -> None:
    scan = DirectedSSD(500, 2, 1, 4, 4, 16)
    steps = torch.nn.functional.softplus(scan.dt_bias)
    assert 0.9e-3 < steps.min() < 2e-3
    assert 0.05 < steps.max() < 0.11
    decays = scan.A_log.exp()
    assert 1 <= decays.min() < 1.5
    assert 15 < decays.max() <= 16


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="head_dim 7"):
        Mamba2Mixer(16, 7)
    with pytest.raises(ConfigError, match="num_groups 3"):
        Mamba2Mixer(16, 8, num_groups=3)
    with pytest.raises(ConfigError, match="num_layers"):
        Mamba2Encoder(16, 0, head_dim=8)
