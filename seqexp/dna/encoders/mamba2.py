"""Mamba-2 in plain torch: mixer, block and bidirectional encoder, with a gate that decides what may be written.

The gate (B, N) in [0, 1] acts where a position could influence another one or itself: on the input of the causal
convolution (content), on the step size (the write into the state) and on the mixer's output (the position's own
update, after the gated normalisation, which would otherwise undo any scaling). A position with gate 0 is invisible
to all others and keeps its own residual stream, so padding is expressed as gate 0 and changes nothing.

Sources: Dao and Gu, "Transformers are SSMs" (2024) for the mixer; Schiff et al., "Caduceus" (2024) for reading in
both directions with tied input and output projections.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint as recompute_in_backward

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.blockwise import by_blocks
from seqexp.dna.encoders.causal_conv import causal_conv
from seqexp.dna.encoders.ssd import ssd

_STEP_RANGE = (1e-3, 1e-1)  # initial step sizes, log-uniform
_STEP_FLOOR = 1e-4
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


class DepthwiseWeights(nn.Module):
    """Holds weight (D, 1, K) and bias (D,) of a depthwise convolution under the names Mamba-2 checkpoints use."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(size)
        self.weight = nn.Parameter(torch.empty(width, 1, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))


class DirectedScan(nn.Module):
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
        low, high = map(math.log, _STEP_RANGE)
        step = torch.exp(torch.rand(num_heads) * (high - low) + low).clamp(min=_STEP_FLOOR)
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # inverse of softplus
        self.A_log = nn.Parameter(torch.empty(num_heads).uniform_(*_DECAY_RANGE).log())
        self.D = nn.Parameter(torch.ones(num_heads))
        self.norm = ScaleWeight(inner)

    def forward(self, z: Tensor, xbc: Tensor, dt: Tensor, gate: Tensor) -> Tensor:
        """Read forwards.

        Parameters
        ----------
        z : Tensor, (B, N, H * P)
        xbc : Tensor, (B, N, H * P + 2 * G * S)
            Values, write and read directions before the convolution.
        dt : Tensor, (B, N, H)
            Step sizes before bias and softplus.
        gate : Tensor, (B, N)

        Returns
        -------
        Tensor, (B, N, H * P)
        """
        step = functional.softplus(dt.float() + self.dt_bias.float()) * gate[..., None]
        xbc = causal_conv(xbc, gate, self.conv1d.weight, self.conv1d.bias)
        sizes = [self.num_groups * self.state_size] * 2
        x, write, read = xbc.split([xbc.shape[-1] - sum(sizes), *sizes], dim=-1)
        x = x.unflatten(-1, (self.num_heads, self.head_dim))
        write, read = (part.unflatten(-1, (self.num_groups, self.state_size)) for part in (write, read))
        y, _ = ssd(x, step, -torch.exp(self.A_log.float()), write, read, chunk=self.chunk)
        finish = partial(_skip_and_norm, num_groups=self.num_groups)
        return by_blocks(finish, [y, x, z], [self.D, self.norm.weight])


class Mamba2Mixer(nn.Module):
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
        super().__init__()
        inner = expand * width
        _check_sizes(inner, head_dim, num_groups)
        num_heads = inner // head_dim
        self.sizes = [inner, inner + 2 * num_groups * state_size, num_heads]
        self.in_proj = nn.Linear(width, sum(self.sizes), bias=False)
        sizes = (num_heads, head_dim, num_groups, state_size, conv_size, chunk)
        self.forwards = DirectedScan(*sizes)
        self.backwards = DirectedScan(*sizes) if is_bidirectional else None
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Mix ``x`` (B, N, D) along N; ``gate`` (B, N) in [0, 1] decides what each position may write."""
        gate = x.new_ones(x.shape[:2], dtype=torch.float32) if gate is None else gate.float()
        z, xbc, dt = self.in_proj(x).split(self.sizes, dim=-1)
        y = self.forwards(z, xbc, dt, gate)
        if self.backwards is not None:
            y = y + self.backwards(z.flip(1), xbc.flip(1), dt.flip(1), gate.flip(1)).flip(1)
        y = self.out_proj(y)
        return y * gate[..., None].to(y.dtype)


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


class Mamba2Block(nn.Module):
    """``x + dropout(mixer(norm(x), gate))``."""

    def __init__(self, mixer: Mamba2Mixer, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.mixer = mixer
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        return x + self.dropout(self.mixer(self.norm(x), gate))


class Mamba2Encoder(nn.Module):
    """Stack of pre-norm Mamba-2 blocks that read in both directions, with a norm at the end.

    Parameters
    ----------
    width : int
        Width D of input and output.
    num_layers : int
        Number of blocks.
    head_dim, state_size, expand, chunk : int
        See :class:`Mamba2Mixer`.
    dropout : float
        Dropout on what each block adds.
    checkpoint : bool
        Recompute each block in backward: about a third more time, memory of one block instead of all. Parameters
        keep their names, so weights load either way. Worth it beyond about 32,768 positions.
    is_bidirectional : bool
        Off: strictly causal, a position sees only earlier ones.

    Raises
    ------
    ConfigError
        When ``head_dim`` does not divide ``expand * width`` or ``num_layers`` is below 1.
    """

    def __init__(
        self,
        width: int,
        num_layers: int = 4,
        head_dim: int = 64,
        state_size: int = 64,
        *,
        expand: int = 2,
        chunk: int = 64,
        dropout: float = 0.0,
        checkpoint: bool = False,
        is_bidirectional: bool = True,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ConfigError(f"num_layers is {num_layers}", expected="at least 1", fix="set num_layers")
        self.width = width
        self.checkpoint = checkpoint
        self.blocks = nn.ModuleList()
        for _ in range(num_layers):
            mixer = Mamba2Mixer(
                width, head_dim, state_size, expand=expand, chunk=chunk, is_bidirectional=is_bidirectional
            )
            # The residual stream sums num_layers updates; this keeps its initial variance independent of depth.
            with torch.no_grad():
                mixer.out_proj.weight /= math.sqrt(num_layers)
            self.blocks.append(Mamba2Block(mixer, width, dropout))
        self.norm = nn.RMSNorm(width, eps=1e-5)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Encode a sequence.

        Parameters
        ----------
        x : Tensor, (B, N, D)
        gate : Tensor, (B, N), optional
            Values in [0, 1]; 0 keeps a position from influencing any other. Multiply by the validity mask to pad.

        Returns
        -------
        Tensor, (B, N, D)
        """
        for block in self.blocks:
            if self.checkpoint and torch.is_grad_enabled():
                x = recompute_in_backward(block, x, gate, use_reentrant=False)
            else:
                x = block(x, gate)
        return self.norm(x)
