"""What every backbone promises: the gate, padding, checkpointing; what Mamba-2 promises beside has its own file."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders import scan_mixer
from seqexp.dna.encoders.hyena import HyenaEncoder, HyenaFilter
from seqexp.dna.encoders.mamba import DirectedScan, MambaEncoder
from seqexp.dna.encoders.mamba2 import Mamba2Encoder
from seqexp.layers.stack import ResidualStack
from seqexp.training.optimizer import parameter_groups


def mamba(**changes: object) -> MambaEncoder:
    torch.manual_seed(0)
    encoder = MambaEncoder(16, **{"num_layers": 2, "state_size": 4, **changes})
    with torch.no_grad():  # slow decays and large steps, so that influence travels far enough to be measured
        for name, parameter in encoder.named_parameters():
            if name.endswith("A_log"):
                parameter.fill_(-3.0)
            elif name.endswith("dt_proj.bias"):
                parameter.fill_(0.0)
    return encoder


def causal_mamba(**changes: object) -> MambaEncoder:
    return mamba(is_bidirectional=False, **changes)


def hyena(**changes: object) -> HyenaEncoder:
    torch.manual_seed(0)
    return HyenaEncoder(16, **{"num_layers": 2, "max_length": 64, **changes})


def mamba2(**changes: object) -> Mamba2Encoder:
    torch.manual_seed(0)
    encoder = Mamba2Encoder(16, **{"num_layers": 2, "head_dim": 8, "state_size": 6, "chunk": 16, **changes})
    with torch.no_grad():
        for block in encoder.blocks:
            block.mixer.forwards.A_log.fill_(-3.0)
            block.mixer.backwards.A_log.fill_(-2.0)
    return encoder


Maker = Callable[..., ResidualStack]
ALL = pytest.mark.parametrize("make", [mamba, mamba2, causal_mamba, hyena])


def sequence(batch: int = 2, length: int = 50, seed: int = 1) -> Tensor:
    return torch.randn(batch, length, 16, generator=torch.Generator().manual_seed(seed))


def hard_gate(batch: int = 2, length: int = 50) -> Tensor:
    return (torch.rand(batch, length, generator=torch.Generator().manual_seed(3)) < 0.5).float()


def influence(encoder: ResidualStack, source: int, gate: Tensor | None = None) -> Tensor:
    """Largest change of every output position (N,) when position ``source`` gets other content."""
    x = sequence()
    other = x.clone()
    other[:, source] = sequence(seed=9)[:, source] * 5
    with torch.no_grad():
        return (encoder(other, gate) - encoder(x, gate)).abs().amax((0, 2))


@ALL
@pytest.mark.parametrize("length", [1, 3, 16, 50, 100])
def test_any_length(make: Maker, length: int) -> None:
    encoder = make()
    assert encoder.width == 16
    y = encoder(sequence(length=length))
    assert y.shape == (2, length, 16)
    assert torch.isfinite(y).all()


def test_two_directions_see_everything() -> None:
    assert (influence(mamba(), 25) > 0).all()


@pytest.mark.parametrize("make", [causal_mamba, hyena])
def test_causal(make: Maker) -> None:
    change = influence(make(), 25)
    assert (change[:25] < 1e-6).all()
    assert (change[25:] > 1e-6).all()


def test_causal_exactly_where_nothing_is_transformed() -> None:
    assert (influence(causal_mamba(), 25)[:25] == 0).all()


def test_flip_symmetry_with_equal_directions() -> None:
    encoder, x, gate = mamba(), sequence(), torch.rand(2, 50)
    for block in encoder.blocks:
        block.mixer.backwards.load_state_dict(block.mixer.forwards.state_dict())
    flipped = encoder(x.flip(1), gate.flip(1)).flip(1)
    torch.testing.assert_close(flipped, encoder(x, gate), atol=1e-5, rtol=1e-5)


def test_directions_share_projections_only() -> None:
    names = {name.removeprefix("blocks.0.mixer.") for name, _ in mamba(num_layers=1).named_parameters()}
    own = {"conv1d.weight", "conv1d.bias", "x_proj.weight", "dt_proj.weight", "dt_proj.bias", "A_log", "D"}
    directed = {f"{direction}.{name}" for direction in ("forwards", "backwards") for name in own}
    assert names == {"in_proj.weight", "out_proj.weight", "blocks.0.norm.weight", "norm.weight"} | directed


@ALL
def test_gate_zero_influences_nothing_else(make: Maker) -> None:
    gate = torch.ones(2, 50)
    gate[:, 25] = 0
    change = influence(make(), 25, gate)
    assert change[25] > 0  # its own residual stream
    change[25] = 0
    assert (change == 0).all()


@ALL
def test_gate_zero_leaves_own_stream_alone(make: Maker) -> None:
    x, encoder = sequence(), make()
    torch.testing.assert_close(encoder(x, torch.zeros(2, 50)), encoder.norm(x), atol=0, rtol=0)


@ALL
def test_gate_acts_in_proportion(make: Maker) -> None:
    changes = []
    for value in (0.0, 0.25, 0.5, 1.0):
        gate = torch.ones(2, 50)
        gate[:, 25] = value
        changes.append(influence(make(num_layers=1), 25, gate)[26:].max().item())
    assert changes == sorted(changes)
    assert changes[0] == 0
    assert changes[1] < changes[3]


@ALL
def test_gate_receives_gradient(make: Maker) -> None:
    gate = torch.full((2, 50), 0.5, requires_grad=True)
    make()(sequence(), gate).square().sum().backward()
    assert gate.grad is not None
    assert (gate.grad != 0).all()


@ALL
def test_open_gate_equals_no_gate(make: Maker) -> None:
    encoder, x = make(), sequence()
    torch.testing.assert_close(encoder(x, torch.ones(2, 50)), encoder(x))


@ALL
@pytest.mark.parametrize("padding", [1, 14, 37])
def test_padding_changes_nothing(make: Maker, padding: int) -> None:
    """At the end and, for what reads from the right, at the start."""
    encoder, x, gate = make(), sequence(), torch.rand(2, 50)
    junk, closed = torch.randn(2, padding, 16) * 10, torch.zeros(2, padding)
    expected = encoder(x, gate)
    after = encoder(torch.cat([x, junk], 1), torch.cat([gate, closed], 1))[:, :50]
    before = encoder(torch.cat([junk, x], 1), torch.cat([closed, gate], 1))[:, padding:]
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(before, expected, atol=1e-5, rtol=1e-5)


@ALL
def test_batch_composition_changes_nothing(make: Maker) -> None:
    encoder, x = make(), sequence(3)
    torch.testing.assert_close(encoder(x)[1:2], encoder(x[1:2]), atol=1e-5, rtol=1e-5)


@ALL
@pytest.mark.parametrize("gate", [None, "hard"])
def test_checkpointing_changes_neither_names_nor_gradients(make: Maker, gate: str | None) -> None:
    plain, saving = make(dropout=0.3), make(dropout=0.3, checkpoint=True)
    assert list(plain.state_dict()) == list(saving.state_dict())
    saving.load_state_dict(plain.state_dict())
    mask = None if gate is None else hard_gate().requires_grad_()
    found = []
    for encoder in (plain, saving):
        torch.manual_seed(5)
        inputs = [*encoder.parameters(), *([] if mask is None else [mask])]
        found.append(torch.autograd.grad(encoder(sequence(), mask).square().sum(), inputs))
    for one, other in zip(*found):
        torch.testing.assert_close(one, other)


@ALL
def test_checkpointing_stores_less(make: Maker) -> None:
    stored = []
    for is_saving in (False, True):
        count = 0

        def note(tensor: Tensor) -> Tensor:
            nonlocal count
            count += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            make(checkpoint=is_saving)(sequence(1, 1000))
        stored.append(count)
    assert stored[1] < 0.2 * stored[0]


@ALL
def test_gradients_reach_every_parameter(make: Maker) -> None:
    encoder = make()
    encoder(sequence(), hard_gate()).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@ALL
def test_bfloat16_autocast(make: Maker) -> None:
    """Close to float32, with gradients; and with all weights in bfloat16."""
    encoder, x = make(), sequence()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = encoder(x, hard_gate())
        half.float().square().sum().backward()
    assert (half - encoder(x, hard_gate())).abs().max() < 0.1
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())
    assert torch.isfinite(encoder.bfloat16()(x.bfloat16(), hard_gate())).all()


@pytest.mark.parametrize(
    "kind", [mamba, causal_mamba, lambda: Mamba2Encoder(16, 2, head_dim=8, state_size=6, chunk=16)]
)
@pytest.mark.parametrize("length", [1025, 2500])
def test_long_inputs_are_read_in_segments(
    kind: Callable[[], ResidualStack], length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without gradients, a long sequence goes through piece by piece; nobody can tell."""
    encoder, x = kind(), sequence(1, length)
    gate = torch.rand(1, length)
    monkeypatch.setattr(scan_mixer, "_SEGMENT_ELEMENTS", 2**40)
    with torch.no_grad():
        whole = encoder(x, gate)
        monkeypatch.setattr(scan_mixer, "_SEGMENT_ELEMENTS", 1)
        torch.testing.assert_close(encoder(x, gate), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoder(x, gate).detach(), whole, atol=1e-5, rtol=1e-5)


def test_initial_steps_and_decays() -> None:
    scan = DirectedScan(500, 16, 4, 4)
    steps = torch.nn.functional.softplus(scan.dt_proj.bias)
    assert 0.9e-3 < steps.min() < 2e-3
    assert 0.05 < steps.max() < 0.11
    assert scan.dt_proj.weight.abs().max() <= 0.5
    torch.testing.assert_close(scan.A_log.exp(), torch.arange(1.0, 17).repeat(500, 1))


def test_rates_and_filters_do_not_decay() -> None:
    """Weight decay would pull learned decay rates towards -1 and long filters towards nothing."""
    for encoder, exempt in ((mamba(), "A_log"), (hyena(), ".filter.")):
        groups = parameter_groups(encoder, 1e-3, 0.1)
        decayed = {id(parameter) for group in groups if group["weight_decay"] for parameter in group["params"]}
        names = [name for name, parameter in encoder.named_parameters() if id(parameter) in decayed]
        assert names
        assert not [name for name in names if exempt in name]


@pytest.mark.parametrize("make", [mamba, hyena])
def test_no_layers_is_refused(make: Maker) -> None:
    with pytest.raises(ConfigError, match="num_layers"):
        make(num_layers=0)


def test_filter_is_cut_not_stretched() -> None:
    """A shorter sequence sees the first taps of the same filter, and a longer one than planned goes on with it."""
    taps = HyenaFilter(8, 64)
    torch.testing.assert_close(taps(20), taps(64)[:, :20])
    torch.testing.assert_close(taps(100)[:, :64], taps(64))


def test_filter_falls_as_published() -> None:
    """Without the network's part, a tap at the end of the window has fallen to 1 % ** (1 / share), plus the floor."""
    taps = HyenaFilter(2, 101)
    torch.testing.assert_close(taps.decays.exp(), torch.tensor([0.01 ** (1 / 1.5), 0.01 ** (1 / 0.3)]))
    positions = taps.positions(101)
    torch.testing.assert_close(positions[[0, -1], 0], torch.tensor([0.0, 1.0], dtype=torch.float64))


def test_filter_refuses_impossible_sizes() -> None:
    with pytest.raises(ConfigError, match="num_features 4"):
        HyenaFilter(8, 64, num_features=4)
    with pytest.raises(ConfigError, match="max_length 1"):
        HyenaFilter(8, 1)
