"""The chunked scan of Mamba-2 against the recurrence it stands for, stepped in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seqexp.layers.scans import ssd_torch
from seqexp.layers.scans.ssd import ssd


def random_inputs(
    batch: int, length: int, heads: int = 4, groups: int = 1, channels: int = 8, size: int = 6, seed: int = 0
) -> dict[str, Tensor]:
    """Inputs of the size a trained block sees: steps of 1e-3 to 1, decay rates of 1 to 16."""
    rng = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randn(batch, length, heads, channels, generator=rng),
        "dt": torch.exp(torch.rand(batch, length, heads, generator=rng) * 7 - 7),
        "A": -torch.exp(torch.rand(heads, generator=rng) * 2.77),
        "B": torch.randn(batch, length, groups, size, generator=rng),
        "C": torch.randn(batch, length, groups, size, generator=rng),
        "initial_state": torch.randn(batch, heads, size, channels, generator=rng),
    }


def worst(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("chunk", [1, 16, 64, 150])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_step_loop(chunk: int, batch: int, groups: int) -> None:
    inputs = random_inputs(batch, 150, groups=groups)
    y, state = ssd(**inputs, chunk=chunk)
    expected_y, expected_state = ssd(**inputs, backend="reference")
    assert worst(y, expected_y) < 1e-5
    assert worst(state, expected_state) < 1e-5
    assert y.shape == inputs["x"].shape
    assert state.shape == inputs["initial_state"].shape


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 1000])
def test_ragged_lengths(length: int) -> None:
    inputs = random_inputs(2, length)
    y, state = ssd(**inputs)
    expected_y, expected_state = ssd(**inputs, backend="reference")
    assert worst(y, expected_y) < 1e-5
    assert worst(state, expected_state) < 1e-5


def test_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk over blocks changes neither values nor gradients."""
    inputs = {name: tensor.requires_grad_() for name, tensor in random_inputs(2, 200).items()}
    results = []
    for budget in (1, 2**30):
        monkeypatch.setitem(ssd_torch._BLOCK_ELEMENTS, "cpu", budget)
        y, state = ssd(**inputs, chunk=16)
        grads = torch.autograd.grad(y.square().sum() + state.sum(), list(inputs.values()))
        results.append([y, state, *grads])
    for one, other in zip(*results):
        assert worst(one, other.double()) < 1e-5


def test_state_continues() -> None:
    """Two halves with the state handed over equal the whole."""
    inputs = random_inputs(2, 100)
    first = {name: tensor[:, :37] if name in {"x", "dt", "B", "C"} else tensor for name, tensor in inputs.items()}
    second = {name: tensor[:, 37:] if name in {"x", "dt", "B", "C"} else tensor for name, tensor in inputs.items()}
    y, state = ssd(**inputs)
    y_first, handed_over = ssd(**first)
    y_second, state_second = ssd(**{**second, "initial_state": handed_over})
    torch.testing.assert_close(torch.cat([y_first, y_second], 1), y, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(state_second, state, atol=2e-5, rtol=1e-5)


def test_step_zero_is_no_op() -> None:
    """Positions with dt 0 leave no trace: same state, and the other outputs as if they were not there."""
    inputs = random_inputs(2, 90)
    keep = torch.rand(90, generator=torch.Generator().manual_seed(1)) < 0.6
    skipped = {**inputs, "dt": inputs["dt"] * keep[:, None]}
    kept = {name: tensor[:, keep] if name in {"x", "dt", "B", "C"} else tensor for name, tensor in inputs.items()}
    y, state = ssd(**skipped)
    y_kept, state_kept = ssd(**kept)
    torch.testing.assert_close(y[:, keep], y_kept, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(state, state_kept, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [4, 5, 12])
def test_gradcheck(chunk: int) -> None:
    inputs = {k: v.double().requires_grad_() for k, v in random_inputs(2, 12, 2, 1, 3, 2).items()}
    state = inputs.pop("initial_state")
    assert torch.autograd.gradcheck(lambda *values: ssd(*values, state, chunk=chunk), tuple(inputs.values()))
    assert torch.autograd.gradcheck(lambda s: ssd(*inputs.values(), s, chunk=chunk), (state,))


def test_gradcheck_groups() -> None:
    inputs = {k: v.double().requires_grad_() for k, v in random_inputs(1, 12, 4, 2, 2, 2).items()}
    assert torch.autograd.gradcheck(lambda *values: ssd(*values, chunk=5), tuple(inputs.values()))


def test_float32_gradients_equal_step_loop() -> None:
    inputs = {name: tensor.requires_grad_() for name, tensor in random_inputs(2, 300).items()}
    weights = torch.randn(2, 300, 4, 8, generator=torch.Generator().manual_seed(2))
    names = list(inputs)
    found = torch.autograd.grad((ssd(**inputs)[0] * weights).sum(), list(inputs.values()))
    expected = torch.autograd.grad((ssd(**inputs, backend="reference")[0] * weights).sum(), list(inputs.values()))
    errors = {name: worst(f, e.double()) for name, f, e in zip(names, found, expected)}
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.parametrize("rate", [0.0, 1.0, 1e4])
def test_extreme_decays_are_finite(rate: float) -> None:
    """No decay at all, and decays whose inverse exponential would overflow."""
    inputs = random_inputs(1, 200)
    inputs["A"] = torch.full((4,), -rate)
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    y, state = ssd(**leaves)
    expected, _ = ssd(**inputs, backend="reference")
    assert worst(y, expected) < 1e-4
    grads = torch.autograd.grad(y.sum() + state.sum(), list(leaves.values()))
    assert all(torch.isfinite(grad).all() for grad in grads)


def test_half_precision_keeps_a_float32_state() -> None:
    """10,000 small writes: a bfloat16 state would stop growing after a few hundred."""
    length = 10_000
    ones = torch.ones(1, length, 1, 1, dtype=torch.bfloat16)
    dt, A = torch.full((1, length, 1), 1e-3), torch.zeros(1)
    y, state = ssd(ones, dt, A, ones, ones)
    assert y.dtype == torch.bfloat16
    assert state.dtype == torch.float32
    torch.testing.assert_close(state.flatten(), torch.tensor([10.0]), rtol=1e-4, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, state = ssd(ones, dt, A, ones, ones)
    torch.testing.assert_close(state.flatten(), torch.tensor([10.0]), rtol=1e-4, atol=0)


def test_half_precision_values_and_gradients() -> None:
    inputs = random_inputs(2, 300)
    half = {name: inputs[name].bfloat16() if name in {"x", "B", "C"} else inputs[name] for name in inputs}
    leaves = {name: tensor.requires_grad_() for name, tensor in half.items()}
    y, _ = ssd(**leaves)
    expected, _ = ssd(**leaves, backend="reference")
    assert worst(y, expected) < 1e-2
    y.float().square().sum().backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        assert leaf.grad.dtype == leaf.dtype, name
        assert torch.isfinite(leaf.grad).all(), name


def test_stored_memory_is_linear_and_small() -> None:
    """Between forward and backward only the inputs and one state per block are kept."""
    stored: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        stored.append(tensor.numel())
        return tensor

    inputs = {name: tensor.requires_grad_() for name, tensor in random_inputs(1, 4096).items()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        ssd(**inputs)
    given = sum(tensor.numel() for name, tensor in inputs.items())
    assert sum(stored) < 1.5 * given


@pytest.mark.parametrize(
    ("name", "shape"),
    [("dt", (2, 10, 3)), ("A", (3,)), ("C", (2, 10, 1, 5)), ("B", (2, 9, 1, 6)), ("initial_state", (2, 4, 8, 6))],
)
def test_wrong_shapes_are_named(name: str, shape: tuple[int, ...]) -> None:
    inputs = random_inputs(2, 10)
    with pytest.raises(ValueError, match=name if name != "B" else "[BC] must"):
        ssd(**{**inputs, name: torch.zeros(shape)})


def test_chunk_below_one() -> None:
    with pytest.raises(ValueError, match="chunk"):
        ssd(**random_inputs(1, 4), chunk=0)
