"""The fused kernels: the layouts handed over on any machine, the numbers where kernels and a device are there."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqexp.core.errors import MissingExtraError
from seqexp.layers.scans import backends, kernels
from seqexp.layers.scans.causal_conv import causal_conv
from seqexp.layers.scans.scan import selective_scan
from seqexp.layers.scans.ssd import ssd


def scan_inputs(device: str = "cpu") -> dict[str, Tensor]:
    torch.manual_seed(0)
    shapes = {"x": (2, 70, 32), "dt": (2, 70, 32), "A": (32, 16), "B": (2, 70, 16), "C": (2, 70, 16)}
    inputs = {name: torch.randn(shape, device=device) for name, shape in shapes.items()}
    return {**inputs, "dt": inputs["dt"].exp() / 10, "A": -inputs["A"].exp()}


def ssd_inputs(device: str = "cpu") -> dict[str, Tensor]:
    torch.manual_seed(0)
    shapes = {"x": (2, 70, 4, 16), "dt": (2, 70, 4), "A": (4,), "B": (2, 70, 2, 16), "C": (2, 70, 2, 16)}
    inputs = {name: torch.randn(shape, device=device) for name, shape in shapes.items()}
    inputs["initial_state"] = torch.randn(2, 4, 16, 16, device=device)
    return {**inputs, "dt": inputs["dt"].exp() / 10, "A": -inputs["A"].exp()}


def channels_first_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, return_last_state: bool
) -> tuple[Tensor, Tensor]:
    """The documented behaviour of ``selective_scan_fn``: u, delta (B, D, L), B, C (B, N, L)."""
    assert u.is_contiguous()
    assert return_last_state
    state, outputs = torch.zeros(*u.shape[:2], A.shape[1]), []
    for t in range(u.shape[-1]):
        state = torch.exp(delta[:, :, t, None] * A) * state + (delta * u)[:, :, t, None] * B[:, None, :, t]
        outputs.append(torch.einsum("bdn,bn->bd", state, C[:, :, t]))
    return torch.stack(outputs, -1), state


def combined_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, size: int, *, initial_states, return_final_states
):
    """The documented behaviour of ``mamba_chunk_scan_combined``: states are (B, H, P, N)."""
    assert return_final_states
    assert size & (size - 1) == 0
    repeats = x.shape[2] // B.shape[2]
    B, C = B.repeat_interleave(repeats, 2), C.repeat_interleave(repeats, 2)
    state, outputs = initial_states, []
    for t in range(x.shape[1]):
        written = torch.einsum("bh,bhp,bhn->bhpn", dt[:, t], x[:, t], B[:, t])
        state = torch.exp(dt[:, t] * A)[..., None, None] * state + written
        outputs.append(torch.einsum("bhpn,bhn->bhp", state, C[:, t]))
    return torch.stack(outputs, 1), state


def channels_first_conv(x: Tensor, weight: Tensor, bias: Tensor, *, activation: str) -> Tensor:
    """The documented behaviour of ``causal_conv1d_fn``: x (B, D, L), weight (D, K)."""
    assert activation == "silu"
    padded = functional.pad(x, (weight.shape[1] - 1, 0))
    return functional.silu(functional.conv1d(padded, weight[:, None], bias, groups=len(weight)))


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        selective_scan_fn=channels_first_scan,
        mamba_chunk_scan_combined=combined_scan,
        causal_conv1d_fn=channels_first_conv,
    )
    monkeypatch.setattr(kernels, "optional_modules", lambda *_: [module])


@pytest.mark.usefixtures("stand_ins")
def test_layouts_of_the_scans() -> None:
    inputs = scan_inputs()
    for found, expected in zip(
        kernels.selective_scan(**inputs, initial_state=None, chunk=None), selective_scan(**inputs, backend="torch")
    ):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    inputs = ssd_inputs()
    for found, expected in zip(kernels.ssd(**inputs, chunk=None), ssd(**inputs, backend="torch")):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def conv_inputs(device: str = "cpu") -> list[Tensor]:
    torch.manual_seed(0)
    shapes = [(2, 50, 8), (2, 50), (8, 1, 4), (8,)]
    return [torch.randn(shape, device=device) for shape in shapes]


@pytest.mark.usefixtures("stand_ins")
def test_layout_of_the_convolution() -> None:
    inputs = conv_inputs()
    torch.testing.assert_close(kernels.causal_conv(*inputs), causal_conv(*inputs, backend="torch"))


@pytest.mark.parametrize("operation", ["selective_scan", "ssd", "causal_conv"])
def test_kernels_equal_plain_torch_on_a_device(operation: str) -> None:
    reason = backends.why_not(operation, "kernels")
    if reason is not None:
        warnings.warn(f"the fused {operation} is NOT compared with plain torch: {reason}", stacklevel=1)
        pytest.skip(reason)
    makers = {"selective_scan": scan_inputs, "ssd": ssd_inputs}
    results = []
    for backend in ("kernels", "torch"):
        if operation == "causal_conv":
            leaves = [tensor.requires_grad_() for tensor in conv_inputs("cuda")]
            y = causal_conv(*leaves, backend=backend)
        else:
            inputs = {name: tensor.requires_grad_() for name, tensor in makers[operation]("cuda").items()}
            leaves = list(inputs.values())
            y = {"selective_scan": selective_scan, "ssd": ssd}[operation](**inputs, backend=backend)[0]
        weights = torch.linspace(-1, 1, y.numel(), device="cuda").view_as(y)
        results.append([y, *torch.autograd.grad((y * weights).sum(), leaves)])
    for found, expected in zip(*results):
        # The kernels multiply in TF32.
        torch.testing.assert_close(found, expected, atol=2e-2 * expected.abs().max().item(), rtol=2e-2)


def test_reason_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-installed mamba-ssm, without its compiled part, is told as what it is."""

    def only_python(name: str, extra: str) -> object:
        if name == "selective_scan_cuda":
            raise MissingExtraError(name, extra) from ImportError(f"No module named {name!r}")
        return object()

    monkeypatch.setattr(backends, "require", only_python)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    backends.why_not.cache_clear()
    try:
        reason = backends.why_not("selective_scan", "kernels")
        assert reason is not None
        assert "selective_scan_cuda" in reason
        assert "seqexp[cuda]" in reason
        assert backends.why_not("ssd", "kernels") is None
    finally:
        backends.why_not.cache_clear()


def test_no_device_is_the_reason() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert backends.why_not("ssd", "kernels") == "no CUDA device"
