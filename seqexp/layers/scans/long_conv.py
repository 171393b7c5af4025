"""Causal convolution with a filter as long as the sequence, through Fourier transforms, a few channels at a time.

The transforms of all channels at once would take several times the memory of the sequence and keep it for backward.
Here only the sequence and the filter are kept; backward transforms them again.
"""

from __future__ import annotations

from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.autograd.function import once_differentiable

# Numbers of the transformed sequences worked on at a time: 64 MB on a CPU, 2 GB on an accelerator.
_GROUP_ELEMENTS = {"cpu": 2**24, "accelerator": 2**29}


def long_conv(x: Tensor, taps: Tensor) -> Tensor:
    """``y_t = sum over s <= t of taps_{t-s} x_s``, per channel.

    Parameters
    ----------
    x : Tensor, (B, D, L)
    taps : Tensor, (D, L)

    Returns
    -------
    Tensor, (B, D, L)
        In the dtype of ``x``; computed in float32 (float64 for float64 ``x``). Differentiable once.

    Raises
    ------
    ValueError
        When the shapes do not belong together.
    """
    if x.ndim != 3 or taps.shape != x.shape[1:]:
        raise ValueError(f"x must be (B, D, L) and taps (D, L), found {tuple(x.shape)} and {tuple(taps.shape)}")
    with torch.autocast(device_type=x.device.type, enabled=False):
        return _LongConv.apply(x, taps)


def _working_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _channel_groups(x: Tensor) -> tuple[int, list[slice]]:
    """Length of the transforms, long enough that nothing wraps round, and the groups of channels."""
    size = int(next_fast_len(2 * x.shape[-1] - 1, real=True))
    budget = _GROUP_ELEMENTS["cpu" if x.device.type == "cpu" else "accelerator"]
    step = max(1, budget // max(1, size * len(x)))
    return size, [slice(start, start + step) for start in range(0, x.shape[1], step)]


class _LongConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor) -> Tensor:
        dtype, y = _working_dtype(x), torch.empty_like(x, memory_format=torch.contiguous_format)
        size, groups = _channel_groups(x)
        for part in groups:
            spectrum = torch.fft.rfft(x[:, part].to(dtype), size) * torch.fft.rfft(taps[part].to(dtype), size)
            y[:, part] = torch.fft.irfft(spectrum, size)[..., : x.shape[-1]]
        ctx.save_for_backward(x, taps)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor, Tensor]:
        """Both gradients are correlations, so products with a conjugate."""
        x, taps = ctx.saved_tensors
        dtype, length = _working_dtype(x), x.shape[-1]
        grad_x, grad_taps = torch.empty_like(x), torch.empty_like(taps)
        size, groups = _channel_groups(x)
        for part in groups:
            asked = torch.fft.rfft(grad_y[:, part].to(dtype), size)
            response = torch.fft.rfft(taps[part].to(dtype), size).conj()
            grad_x[:, part] = torch.fft.irfft(asked * response, size)[..., :length]
            shown = torch.fft.rfft(x[:, part].to(dtype), size).conj()
            grad_taps[part] = torch.fft.irfft((asked * shown).sum(0), size)[..., :length]
        return grad_x, grad_taps
