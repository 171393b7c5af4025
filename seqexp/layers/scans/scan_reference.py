"""Both scans as their definitions say: one position at a time in float64, differentiated by autograd. The oracle."""

from __future__ import annotations

import torch
from torch import Tensor

from seqexp.layers.scans.scan_common import state_dtype


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """See :func:`seqexp.layers.scans.scan.selective_scan`; ``chunk`` is without effect."""
    dtype, out_dtype = state_dtype(x), x.dtype
    x, dt, A, B, C = (tensor.double() for tensor in (x, dt, A, B, C))
    state = x.new_zeros(x.shape[0], *A.shape) if initial_state is None else initial_state.double()
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(x.unbind(1), dt.unbind(1), B.unbind(1), C.unbind(1)):
        written = (dt_t * x_t)[:, :, None] * B_t[:, None, :]
        state = torch.exp(dt_t[:, :, None] * A) * state + written
        outputs.append((state * C_t[:, None, :]).sum(-1))
    return torch.stack(outputs, 1).to(out_dtype), state.to(dtype)


def ssd(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """See :func:`seqexp.layers.scans.ssd.ssd`; ``chunk`` is without effect."""
    dtype, out_dtype = state_dtype(x), x.dtype
    x, dt, A, B, C = (tensor.double() for tensor in (x, dt, A, B, C))
    heads = x.shape[2]
    B, C = (tensor.repeat_interleave(heads // tensor.shape[2], 2) for tensor in (B, C))
    state = x.new_zeros(x.shape[0], heads, B.shape[-1], x.shape[-1])
    state = state if initial_state is None else initial_state.double()
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(x.unbind(1), dt.unbind(1), B.unbind(1), C.unbind(1)):
        written = (dt_t[..., None] * B_t)[..., :, None] * x_t[..., None, :]
        state = torch.exp(dt_t * A)[..., None, None] * state + written
        outputs.append(torch.einsum("bhn,bhnp->bhp", C_t, state))
    return torch.stack(outputs, 1).to(out_dtype), state.to(dtype)
