"""The short causal convolution in front of every selective scan, with the SiLU that follows it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from seqexp.layers.scans.backends import pick
from seqexp.layers.scans.blockwise import by_blocks


def causal_conv(
    x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor, before: Tensor | None = None, *, backend: str = "auto"
) -> Tensor:
    """SiLU of a depthwise causal convolution of ``gate * x``.

    Parameters
    ----------
    x : Tensor, (B, L, D)
    gate : Tensor, (B, L)
        What each position may show to later ones and itself, in [0, 1].
    weight : Tensor, (D, 1, K)
        Taps; the last one meets the position itself.
    bias : Tensor, (D,)
    before : Tensor, (B, K - 1, D), optional
        Gated inputs before the first position, from :func:`last_inputs`; zeros when left out.
    backend : str
        ``auto``, ``torch`` or ``kernels``.

    Returns
    -------
    Tensor, (B, L, D)
        In the dtype of ``x``; computed in float32.

    Raises
    ------
    ConfigError
        The back end is unknown or cannot serve this call.
    """
    conv = pick("causal_conv", backend, x)
    if before is None:
        return conv(x, gate, weight, bias)
    x, gate = torch.cat([before, x], 1), torch.cat([gate.new_ones(before.shape[:2]), gate], 1)
    return conv(x, gate, weight, bias)[:, before.shape[1] :]


def last_inputs(x: Tensor, gate: Tensor, count: int, before: Tensor | None) -> Tensor:
    """The last ``count`` gated inputs (B, count, D) of a convolution, for the piece that follows."""
    tail = x[:, max(0, x.shape[1] - count) :] * gate[:, max(0, x.shape[1] - count) :, None].to(x.dtype)
    if tail.shape[1] < count:
        earlier = x.new_zeros(len(x), count, x.shape[-1]) if before is None else before
        tail = torch.cat([earlier, tail], 1)[:, -count:]
    return tail


def torch_causal_conv(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The convolution in plain torch, in cache-sized blocks on a CPU."""
    return by_blocks(_conv_silu, [x, gate], [weight, bias], halo=weight.shape[-1] - 1)


def _conv_silu(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x`` (B, K - 1 + L, D) and ``gate`` carry K - 1 earlier positions.

    Sums shifted products because the axes then stay where they are, which is faster than transposing twice.
    """
    shown = x.float() * gate[..., None]
    taps = weight.float()[:, 0].t()
    length = shown.shape[1] - len(taps) + 1
    y = bias.float()
    for shift, tap in enumerate(taps):
        y = torch.addcmul(y, shown[:, shift : shift + length], tap)
    return functional.silu(y).to(x.dtype)
