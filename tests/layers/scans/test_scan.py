"""The selective scan: every back end against the recurrence stepped in float64, and that against its sum."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.layers.scans import scan_torch
from seqexp.layers.scans.backends import why_not
from seqexp.layers.scans.scan import selective_scan

NUMBA = pytest.param(
    "numba", marks=pytest.mark.skipif(why_not("selective_scan", "numba") is not None, reason="numba is not installed")
)
BACKENDS = ["torch", NUMBA]
SEQUENCES = {"x", "dt", "B", "C"}


def random_inputs(
    batch: int, length: int, channels: int = 20, size: int = 5, seed: int = 0, is_leaf: bool = False
) -> dict[str, Tensor]:
    """Inputs of the size a trained block sees: steps of 1e-3 to 1, decay rates of 1 to 16."""
    rng = torch.Generator().manual_seed(seed)
    inputs = {
        "x": torch.randn(batch, length, channels, generator=rng),
        "dt": torch.exp(torch.rand(batch, length, channels, generator=rng) * 7 - 7),
        "A": -torch.exp(torch.rand(channels, size, generator=rng) * 2.77),
        "B": torch.randn(batch, length, size, generator=rng),
        "C": torch.randn(batch, length, size, generator=rng),
        "initial_state": torch.randn(batch, channels, size, generator=rng),
    }
    return {name: tensor.requires_grad_(is_leaf) for name, tensor in inputs.items()}


def part(inputs: dict[str, Tensor], where: slice | Tensor) -> dict[str, Tensor]:
    """The same inputs at some positions."""
    return {name: tensor[:, where] if name in SEQUENCES else tensor for name, tensor in inputs.items()}


def values_and_gradients(inputs: dict[str, Tensor], **settings: object) -> dict[str, Tensor]:
    """Outputs, and gradients of a weighted sum of both outputs."""
    y, state = selective_scan(**inputs, **settings)
    rng = torch.Generator().manual_seed(9)
    weights = [torch.randn(tensor.shape, generator=rng) for tensor in (y, state)]
    loss = (y.float() * weights[0]).sum() + (state * weights[1]).sum()
    return {"y": y, "state": state, **dict(zip(inputs, torch.autograd.grad(loss, list(inputs.values()))))}


def errors(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Largest difference of each tensor, relative to its largest expected value."""
    return {
        name: ((found[name].double() - expected[name].double()).abs().max() / expected[name].abs().max()).item()
        for name in expected
    }


def test_reference_equals_the_sum_it_unrolls() -> None:
    """y_t as an explicit sum over earlier positions, in numpy; nothing is stepped."""
    inputs = {name: tensor.double() for name, tensor in random_inputs(1, 9, 3, 2).items()}
    x, dt, A, B, C, initial = (tensor.numpy() for tensor in inputs.values())
    passed = np.cumsum(dt[0], 0)
    expected = np.zeros((9, 3))
    for t in range(9):
        state = np.exp(passed[t][:, None] * A) * initial[0]
        for j in range(t + 1):
            state += np.exp((passed[t] - passed[j])[:, None] * A) * (dt[0, j] * x[0, j])[:, None] * B[0, j]
        expected[t] = state @ C[0, t]
    y, last = selective_scan(**inputs, backend="reference")
    np.testing.assert_allclose(y[0].numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(last[0].numpy(), state, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 150, 300])
def test_values_and_gradients_equal_step_loop(backend: str, batch: int, length: int) -> None:
    inputs = random_inputs(batch, length, is_leaf=True)
    expected = values_and_gradients(inputs, backend="reference")
    found = errors(values_and_gradients(inputs, backend=backend), expected)
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("channels", "size"), [(1, 1), (16, 16), (33, 4), (48, 3)])
def test_any_number_of_channels_and_states(backend: str, channels: int, size: int) -> None:
    inputs = random_inputs(2, 100, channels, size, is_leaf=True)
    expected = values_and_gradients(inputs, backend="reference")
    found = errors(values_and_gradients(inputs, backend=backend), expected)
    assert max(found.values()) < 1e-5, found


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_chunk_does_not_matter(chunk: int) -> None:
    inputs = random_inputs(2, 130, is_leaf=True)
    expected = values_and_gradients(inputs, backend="reference")
    found = errors(values_and_gradients(inputs, backend="torch", chunk=chunk), expected)
    assert max(found.values()) < 1e-5, found


def test_long_sequence_stays_exact() -> None:
    """Many blocks after each other: rounding does not pile up, neither in values nor in summed gradients."""
    inputs = random_inputs(1, 3000, 16, 4, is_leaf=True)
    expected = values_and_gradients(inputs, backend="reference")
    for backend in ("torch", "auto"):
        found = errors(values_and_gradients(inputs, backend=backend), expected)
        assert max(found.values()) < 1e-5, (backend, found)


def test_gradcheck_in_float64() -> None:
    for chunk in (4, 5, 12):
        inputs = {k: v.detach().double().requires_grad_() for k, v in random_inputs(2, 12, 3, 2).items()}
        scan = lambda *values: selective_scan(*values, backend="torch", chunk=chunk)  # noqa: B023, E731
        assert torch.autograd.gradcheck(scan, tuple(inputs.values()))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cut", [1, 37, 64])
def test_state_continues(backend: str, cut: int) -> None:
    """Two pieces with the state handed over equal the whole, gradients through the state included."""
    inputs = random_inputs(2, 100, is_leaf=True)
    whole = values_and_gradients(inputs, backend=backend)
    first, handed_over = selective_scan(**part(inputs, slice(cut)), backend=backend)
    rest = {**part(inputs, slice(cut, None)), "initial_state": handed_over}
    second, state = selective_scan(**rest, backend=backend)
    y = torch.cat([first, second], 1)
    rng = torch.Generator().manual_seed(9)
    loss = (y * torch.randn(y.shape, generator=rng)).sum() + (state * torch.randn(state.shape, generator=rng)).sum()
    found = {"y": y, "state": state, **dict(zip(inputs, torch.autograd.grad(loss, list(inputs.values()))))}
    assert max(errors(found, whole).values()) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("junk", [1e6, float("inf"), float("nan")])
def test_masked_positions_do_not_leak(backend: str, junk: float) -> None:
    """Whatever lies under the mask: values, states and gradients are those of the sequence without it."""
    mask = torch.rand(2, 90, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[1] = mask[0]
    inputs = random_inputs(2, 90)
    dirty = {
        name: tensor.masked_fill(~mask[..., None], junk) if name in SEQUENCES else tensor
        for name, tensor in inputs.items()
    }
    clean = {name: tensor.clone().requires_grad_() for name, tensor in part(inputs, mask[0]).items()}
    dirty = {name: tensor.requires_grad_() for name, tensor in dirty.items()}
    y, state = selective_scan(**dirty, mask=mask, backend=backend)
    y_clean, state_clean = selective_scan(**clean, backend=backend)
    torch.testing.assert_close(y[:, mask[0]], y_clean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, state_clean, atol=1e-5, rtol=1e-5)
    assert (y[:, ~mask[0]] == 0).all()
    found = torch.autograd.grad(y.square().sum(), list(dirty.values()))
    expected = torch.autograd.grad(y_clean.square().sum(), list(clean.values()))
    for name, one, other in zip(dirty, found, expected):
        assert torch.isfinite(one).all(), name
        kept = one[:, mask[0]] if name in SEQUENCES else one
        torch.testing.assert_close(kept, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_composition_changes_nothing(backend: str) -> None:
    inputs = random_inputs(3, 70)
    y, state = selective_scan(**inputs, backend=backend)
    alone = {name: tensor if name == "A" else tensor[1:2] for name, tensor in inputs.items()}
    y_alone, state_alone = selective_scan(**alone, backend=backend)
    torch.testing.assert_close(y[1:2], y_alone, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(state[1:2], state_alone, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_causal(backend: str) -> None:
    inputs = random_inputs(1, 100)
    changed = {**inputs, "x": inputs["x"].clone()}
    changed["x"][:, 50] += 1
    y, other = (selective_scan(**given, backend=backend)[0] for given in (inputs, changed))
    assert torch.equal(y[:, :50], other[:, :50])
    assert (y[:, 50] != other[:, 50]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_keeps_a_float32_state(backend: str) -> None:
    """10,000 small writes: a bfloat16 state would stop growing after a few hundred."""
    ones = torch.ones(1, 10_000, 1, dtype=torch.bfloat16)
    inputs = (ones, torch.full((1, 10_000, 1), 1e-3), torch.zeros(1, 1), ones, ones)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = selective_scan(*inputs, backend=backend)
    assert y.dtype == torch.bfloat16
    assert state.dtype == torch.float32
    torch.testing.assert_close(state.flatten(), torch.tensor([10.0]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_gradients(backend: str) -> None:
    inputs = random_inputs(2, 100)
    half = {n: (t.bfloat16() if n in {"x", "B", "C"} else t).requires_grad_() for n, t in inputs.items()}
    expected = values_and_gradients(half, backend="reference")
    found = values_and_gradients(half, backend=backend)
    assert all(found[name].dtype == half[name].dtype for name in half)
    assert max(errors(found, expected).values()) < 1e-2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rate", [0.0, 1.0, 1e4])
def test_extreme_decays(backend: str, rate: float) -> None:
    """No decay at all, and decays that leave nothing of the state."""
    inputs = {**random_inputs(1, 200, is_leaf=True), "A": torch.full((20, 5), -rate, requires_grad=True)}
    found = values_and_gradients(inputs, backend=backend)
    expected = values_and_gradients(inputs, backend="reference")
    assert errors(found, expected)["y"] < 1e-5
    assert all(torch.isfinite(tensor).all() for tensor in found.values())


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_is_not_hidden(backend: str) -> None:
    inputs = random_inputs(1, 20)
    inputs["dt"][0, 5, 3] = float("nan")
    y, _ = selective_scan(**inputs, backend=backend)
    assert torch.isnan(y[0, 5:, 3]).all()
    assert torch.isfinite(y[0, :, :3]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_kept_for_backward_is_small(backend: str) -> None:
    """The inputs and a few states; nothing like (L, D, N)."""
    stored: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        stored.append(tensor.numel())
        return tensor

    inputs = random_inputs(1, 4096, 64, 16, is_leaf=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        selective_scan(**inputs, backend=backend)
    assert sum(stored) < 1.5 * sum(tensor.numel() for tensor in inputs.values())


@pytest.mark.parametrize("budget", [1, 2**22])
def test_block_size_does_not_matter(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scan_torch._BLOCK_ELEMENTS, "cpu", budget)
    inputs = random_inputs(2, 100, is_leaf=True)
    expected = values_and_gradients(inputs, backend="reference")
    assert max(errors(values_and_gradients(inputs, backend="torch"), expected).values()) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided_inputs(backend: str) -> None:
    """Slices and flips, as a mixer hands them over."""
    inputs = random_inputs(2, 40)
    strided = {n: t.flip(1)[:, ::2] if n in SEQUENCES else t for n, t in random_inputs(2, 80).items()}
    strided = {n: t.transpose(1, 2).contiguous().transpose(1, 2) if n in SEQUENCES else t for n, t in strided.items()}
    plain = {name: tensor.contiguous() for name, tensor in strided.items()}
    assert strided["x"].shape == inputs["x"].shape
    torch.testing.assert_close(
        selective_scan(**strided, backend=backend)[0], selective_scan(**plain, backend=backend)[0]
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_threads_at_once(backend: str) -> None:
    """Two Python threads, each with torch threads of its own, as a training loop and a validation beside it."""
    inputs = random_inputs(3, 200, 64, is_leaf=True)
    expected = values_and_gradients(inputs, backend=backend)
    found: list[float] = []

    def work() -> None:
        for _ in range(5):
            found.append(max(errors(values_and_gradients(inputs, backend=backend), expected).values()))

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        torch.set_num_threads(before)
    assert len(found) == 10
    assert max(found) < 1e-5


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dt", (2, 10, 3)),
        ("A", (20, 6)),
        ("B", (2, 9, 5)),
        ("C", (2, 10, 6)),
        ("initial_state", (2, 5, 20)),
        ("mask", (2, 9)),
    ],
)
def test_wrong_shapes_are_named(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=name):
        selective_scan(**{**random_inputs(2, 10), name: torch.zeros(shape)})


def test_wrong_settings_are_named() -> None:
    inputs = random_inputs(1, 4)
    with pytest.raises(ValueError, match="chunk"):
        selective_scan(**inputs, chunk=0)
    with pytest.raises(ConfigError, match="fast"):
        selective_scan(**inputs, backend="fast")
    with pytest.raises(ConfigError, match=r"runs on cuda, the tensors are on cpu"):
        selective_scan(**inputs, backend="kernels")
    doubles = {name: tensor.double() for name, tensor in inputs.items()}
    with pytest.raises(ConfigError, match="float32"):
        selective_scan(**doubles, backend="numba")
    assert selective_scan(**doubles)[0].dtype == torch.float64
