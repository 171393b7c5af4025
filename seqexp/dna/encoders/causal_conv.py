"""The short causal convolution in front of every selective scan, with the SiLU that follows it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from seqexp.dna.encoders.backends import pick
from seqexp.dna.encoders.blockwise import by_blocks


def causal_conv(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor, *, backend: str = "auto") -> Tensor:
    """SiLU of a depthwise causal convolution of ``gate * x``.

    Parameters
    ----------
    x : Tensor, (B, L, D)
    gate : Tensor, (B, L)
        What each position may show to later ones and itself, in [0, 1].
    weight : Tensor, (D, 1, K)
        Taps; the last one meets the position itself.
    bias : Tensor, (D,)
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
    return pick("causal_conv", backend, x)(x, gate, weight, bias)


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
