"""Mamba-1 in plain torch: one reading direction, the mixer in one or both directions, and the encoder.

Source: Gu and Dao, "Mamba" (2023), section 3.4 for the block and 3.6 for initial values.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.dna.encoders.scan_mixer import Carried, DepthwiseWeights, ScanMixer, initial_step_bias
from seqexp.layers.scans.blockwise import by_blocks
from seqexp.layers.scans.causal_conv import causal_conv, last_inputs
from seqexp.layers.scans.scan import selective_scan
from seqexp.layers.stack import MixerStack


def _step_sizes(raw: Tensor, gate: Tensor, bias: Tensor) -> Tensor:
    """Softplus of ``raw`` (B, N, D) plus bias (D,), times the gate (B, N), in float32."""
    return functional.softplus(raw.float() + bias.float()) * gate[..., None]


def _skip_and_gate(y: Tensor, x: Tensor, z: Tensor, skip: Tensor) -> Tensor:
    """``(y + skip * x) * silu(z)`` of (B, N, D) tensors, in float32."""
    return ((y.float() + skip.float() * x.float()) * functional.silu(z.float())).to(z.dtype)


class DirectedScan(nn.Module):
    """One reading direction: causal convolution, selective scan, skip and gate; the part that is not tied.

    Parameters
    ----------
    inner : int
        Channels of the scan.
    state_size : int
        Size N of the state per channel.
    step_rank : int
        Rank of the projection that makes the step sizes.
    conv_size : int
        Positions the causal convolution sees.
    """

    def __init__(self, inner: int, state_size: int, step_rank: int, conv_size: int) -> None:
        super().__init__()
        self.step_rank, self.state_size = step_rank, state_size
        self.conv1d = DepthwiseWeights(inner, conv_size)
        self.x_proj = nn.Linear(inner, step_rank + 2 * state_size, bias=False)
        self.dt_proj = nn.Linear(step_rank, inner)
        bound = step_rank**-0.5
        with torch.no_grad():
            self.dt_proj.weight.uniform_(-bound, bound)
            self.dt_proj.bias.copy_(initial_step_bias(inner))
        self.A_log = nn.Parameter(torch.arange(1, state_size + 1).float().log().repeat(inner, 1))
        self.A_log._no_weight_decay = True  # type: ignore[attr-defined]  # it would pull rates towards -1
        self.D = nn.Parameter(torch.ones(inner))

    def forward(self, projected: Tensor, gate: Tensor, carried: Carried | None) -> tuple[Tensor, Carried]:
        """Read forwards.

        Parameters
        ----------
        projected : Tensor, (B, L, 2 * inner)
            Values before the convolution, and what gates the output.
        gate : Tensor, (B, L)
        carried : Carried or None
            From the segment before.

        Returns
        -------
        outputs : Tensor, (B, L, inner)
        carried : Carried
            For the segment after.
        """
        values, z = projected.chunk(2, dim=-1)
        before = None if carried is None else carried.inputs
        x = causal_conv(values, gate, self.conv1d.weight, self.conv1d.bias, before)
        raw, write, read = self.x_proj(x).split([self.step_rank, self.state_size, self.state_size], dim=-1)
        raw = functional.linear(raw, self.dt_proj.weight)
        steps = by_blocks(_step_sizes, [raw, gate], [self.dt_proj.bias])
        state = None if carried is None else carried.state
        y, state = selective_scan(x, steps, -torch.exp(self.A_log.float()), write, read, state)
        inputs = last_inputs(values, gate, self.conv1d.weight.shape[-1] - 1, before)
        return by_blocks(_skip_and_gate, [y, x, z], [self.D]), Carried(inputs, state)


class MambaMixer(ScanMixer):
    """Sequence mixing by the selective scan of Mamba-1; in both directions it is the BiMamba of Caduceus.

    Parameters
    ----------
    width : int
        Width D of input and output.
    state_size : int
        Size N of the state per channel.
    expand : int
        Inner width as a multiple of ``width``.
    step_rank : int, optional
        Rank of the step size projection; ``ceil(width / 16)`` when left out.
    conv_size : int
        Positions the causal convolution sees, the current one included.
    is_bidirectional : bool
        Add a second scan from right to left that shares both projections.
    """

    def __init__(
        self,
        width: int,
        state_size: int = 16,
        *,
        expand: int = 2,
        step_rank: int | None = None,
        conv_size: int = 4,
        is_bidirectional: bool = True,
    ) -> None:
        inner = expand * width
        sizes = (inner, state_size, step_rank or math.ceil(width / 16), conv_size)
        backwards = DirectedScan(*sizes) if is_bidirectional else None
        super().__init__(width, inner, 2 * inner, DirectedScan(*sizes), backwards)


class MambaEncoder(MixerStack):
    """Stack of pre-norm Mamba-1 blocks with a norm at the end.

    Parameters
    ----------
    width : int
        Width D of input and output.
    num_layers : int
        Number of blocks.
    dropout : float
        Dropout on what each block adds.
    checkpoint : bool
        Recompute each block in backward, see :class:`ResidualStack`.
    **mixer
        Settings of :class:`MambaMixer`; with ``is_bidirectional: false`` a position sees only earlier ones.

    Raises
    ------
    ConfigError
        ``num_layers`` is below 1.
    """

    def __init__(
        self, width: int, num_layers: int = 4, *, dropout: float = 0.0, checkpoint: bool = False, **mixer: Any
    ) -> None:
        super().__init__(width, [MambaMixer(width, **mixer) for _ in range(num_layers)], dropout, checkpoint)
