"""The fused kernels of mamba-ssm and causal-conv1d, brought to the signatures of this package. CUDA devices only."""

from __future__ import annotations

import torch
from torch import Tensor

from seqexp.layers.scans.backends import optional_modules


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: None, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """See :func:`seqexp.layers.scans.scan.selective_scan`.

    The kernel takes one dtype for x, dt, B and C, so half-precision values are raised to that of the step sizes. It
    starts from an empty state, has chunks of its own, and gives the last state no gradient.
    """
    interface = optional_modules("selective_scan", "kernels")[0]
    out_dtype, dtype = x.dtype, torch.promote_types(x.dtype, dt.dtype)
    x, dt, B, C = (tensor.to(dtype).transpose(1, 2).contiguous() for tensor in (x, dt, B, C))
    y, state = interface.selective_scan_fn(x, dt, A.float(), B, C, return_last_state=True)
    return y.transpose(1, 2).to(out_dtype), state.detach().float()


def ssd(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """See :func:`seqexp.layers.scans.ssd.ssd`; states of the kernel are (B, H, P, N)."""
    combined = optional_modules("ssd", "kernels")[0].mamba_chunk_scan_combined
    if initial_state is not None:
        initial_state = initial_state.transpose(2, 3).contiguous()
    # The kernel wants a power of two; 256 is what its authors use.
    y, state = combined(x, dt.float(), A.float(), B, C, 256, initial_states=initial_state, return_final_states=True)
    return y, state.transpose(2, 3).float()


def causal_conv(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """See :func:`seqexp.layers.scans.causal_conv.causal_conv`."""
    function = optional_modules("causal_conv", "kernels")[0].causal_conv1d_fn
    gated = (x * gate[..., None].to(x.dtype)).transpose(1, 2)
    y = function(gated, weight[:, 0].to(x.dtype), bias.to(x.dtype), activation="silu")
    return y.transpose(1, 2)
