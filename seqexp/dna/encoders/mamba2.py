"""Mamba-2 in plain torch: one reading direction, the mixer in one or both directions, and the encoder.

The gate acts on the mixer's output after the gated normalisation, which would otherwise undo any scaling; for the
rest see :mod:`seqexp.dna.encoders.scan_mixer`.

Source: Dao and Gu, "Transformers are SSMs" (2024).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.scan_mixer import Carried, DepthwiseWeights, ScanMixer, initial_step_bias
from seqexp.layers.scans.blockwise import by_blocks
from seqexp.layers.scans.causal_conv import causal_conv, last_inputs
from seqexp.layers.scans.ssd import ssd
from seqexp.layers.stack import MixerStack

_DECAY_RANGE = (1.0, 16.0)  # initial decay rates, uniform


def _skip_and_norm(
    y: Tensor, x: Tensor, z: Tensor, skip: Tensor, weight: Tensor, *, num_groups: int, eps: float = 1e-5
) -> Tensor:
    """RMS norm of ``(y + skip * x) * silu(z)`` within each group of heads, in float32.

    ``y`` and ``x`` are (B, N, H, P), ``z`` and the result (B, N, H * P), ``skip`` (H,), ``weight`` (H * P,).
    """
    mixed = (y.float() + skip.float()[:, None] * x.float()).flatten(-2) * functional.silu(z.float())
    grouped = mixed.unflatten(-1, (num_groups, -1))
    normed = grouped * torch.rsqrt(grouped.square().mean(-1, keepdim=True) + eps)
    return (normed.flatten(-2) * weight.float()).to(z.dtype)


class ScaleWeight(nn.Module):
    """Holds the learned scale of a norm under the name Mamba-2 checkpoints use, ``norm.weight``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class DirectedSSD(nn.Module):
    """One reading direction: causal convolution, selective scan, skip and gated norm; the part that is not tied.

    Parameters
    ----------
    num_heads, head_dim, num_groups, state_size, conv_size, chunk : int
        See :class:`Mamba2Mixer`.
    """

    def __init__(
        self, num_heads: int, head_dim: int, num_groups: int, state_size: int, conv_size: int, chunk: int
    ) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.num_groups, self.state_size = num_heads, head_dim, num_groups, state_size
        self.chunk = chunk
        inner = num_heads * head_dim
        channels = inner + 2 * num_groups * state_size
        self.conv1d = DepthwiseWeights(channels, conv_size)
        self.dt_bias = nn.Parameter(initial_step_bias(num_heads))
        self.A_log = nn.Parameter(torch.empty(num_heads).uniform_(*_DECAY_RANGE).log())
        self.D = nn.Parameter(torch.ones(num_heads))
        self.norm = ScaleWeight(inner)

    def forward(self, projected: Tensor, gate: Tensor, carried: Carried | None) -> tuple[Tensor, Carried]:
        """Read forwards.

        Parameters
        ----------
        projected : Tensor, (B, L, 2 * H * P + 2 * G * N + H)
            What gates the output; values, write and read directions before the convolution; step sizes before bias
            and softplus.
        gate : Tensor, (B, L)
        carried : Carried or None
            From the segment before.

        Returns
        -------
        outputs : Tensor, (B, L, H * P)
        carried : Carried
            For the segment after.
        """
        inner, shared = self.num_heads * self.head_dim, self.num_groups * self.state_size
        z, values, raw = projected.split([inner, inner + 2 * shared, self.num_heads], dim=-1)
        steps = functional.softplus(raw.float() + self.dt_bias.float()) * gate[..., None]
        before = None if carried is None else carried.inputs
        xbc = causal_conv(values, gate, self.conv1d.weight, self.conv1d.bias, before)
        x, write, read = xbc.split([inner, shared, shared], dim=-1)
        x = rearrange(x, "b l (h p) -> b l h p", h=self.num_heads)
        write, read = (rearrange(part, "b l (g n) -> b l g n", g=self.num_groups) for part in (write, read))
        state = None if carried is None else carried.state
        y, state = ssd(x, steps, -torch.exp(self.A_log.float()), write, read, state, chunk=self.chunk)
        finish = partial(_skip_and_norm, num_groups=self.num_groups)
        inputs = last_inputs(values, gate, self.conv1d.weight.shape[-1] - 1, before)
        return by_blocks(finish, [y, x, z], [self.D, self.norm.weight]), Carried(inputs, state)


class Mamba2Mixer(ScanMixer):
    """Sequence mixing by selective scans, in one direction or in both.

    Parameters
    ----------
    width : int
        Width D of the input and output.
    head_dim : int
        Channels P per head; must divide ``expand * width``.
    state_size : int
        Size S of the state per channel.
    expand : int
        Inner width as a multiple of ``width``.
    num_groups : int
        Groups G of heads that share write and read directions and a norm; must divide the number of heads H.
    conv_size : int
        Positions the causal convolution sees, the current one included.
    chunk : int
        Positions per chunk of the scan: speed and memory only, never the result.
    is_bidirectional : bool
        Add a second scan from right to left that shares both projections.

    Raises
    ------
    ConfigError
        When ``head_dim`` or ``num_groups`` does not divide.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 64,
        state_size: int = 64,
        *,
        expand: int = 2,
        num_groups: int = 1,
        conv_size: int = 4,
        chunk: int = 64,
        is_bidirectional: bool = True,
    ) -> None:
        inner = expand * width
        _check_sizes(inner, head_dim, num_groups)
        num_heads = inner // head_dim
        sizes = (num_heads, head_dim, num_groups, state_size, conv_size, chunk)
        projected = 2 * inner + 2 * num_groups * state_size + num_heads
        backwards = DirectedSSD(*sizes) if is_bidirectional else None
        super().__init__(width, inner, projected, DirectedSSD(*sizes), backwards)


def _check_sizes(inner: int, head_dim: int, num_groups: int) -> None:
    if head_dim < 1 or inner % head_dim:
        raise ConfigError(
            f"head_dim {head_dim} does not divide the inner width {inner}",
            expected="a divisor of expand * width",
            fix="change head_dim or width",
        )
    if num_groups < 1 or (inner // head_dim) % num_groups:
        raise ConfigError(
            f"num_groups {num_groups} does not divide the {inner // head_dim} heads",
            expected="a divisor of expand * width / head_dim",
            fix="change num_groups",
        )


class Mamba2Encoder(MixerStack):
    """Stack of pre-norm Mamba-2 blocks that read in both directions, with a norm at the end.

    Parameters
    ----------
    width, num_layers, dropout, checkpoint
        As of :class:`~seqexp.dna.encoders.mamba.MambaEncoder`.
    **mixer
        Settings of :class:`Mamba2Mixer`; with ``is_bidirectional: false`` a position sees only earlier ones.

    Raises
    ------
    ConfigError
        When ``head_dim`` does not divide ``expand * width`` or ``num_layers`` is below 1.
    """

    def __init__(
        self, width: int, num_layers: int = 4, *, dropout: float = 0.0, checkpoint: bool = False, **mixer: Any
    ) -> None:
        super().__init__(width, [Mamba2Mixer(width, **mixer) for _ in range(num_layers)], dropout, checkpoint)
