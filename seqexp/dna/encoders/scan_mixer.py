"""What Mamba-1 and Mamba-2 share: a projection in, a scan in one or both directions, a projection out.

The gate (B, N) in [0, 1] acts where a position could influence another one or itself: on the input of the causal
convolution (content), on the step size (the write into the state) and on the mixer's output (the position's own
update). A position with gate 0 is invisible to all others and keeps its own residual stream, so padding is expressed
as gate 0 and changes nothing.

Source: Schiff et al., "Caduceus" (2024), for reading in both directions with tied input and output projections.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

_STEP_RANGE = (1e-3, 1e-1)  # initial step sizes, log-uniform
_STEP_FLOOR = 1e-4
_SEGMENT_ELEMENTS = 2**24  # of the projected input, worked through at a time without gradients: 64 MB in float32


class Carried(NamedTuple):
    """What a scan needs to go on after its last position."""

    inputs: Tensor  # (B, K - 1, C): the last gated inputs of the convolution
    state: Tensor  # of the selective scan


class DepthwiseWeights(nn.Module):
    """Holds weight (D, 1, K) and bias (D,) of a depthwise convolution under the names Mamba checkpoints use."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(size)
        self.weight = nn.Parameter(torch.empty(width, 1, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))


def initial_step_bias(count: int) -> Tensor:
    """Biases (count,) whose softplus is log-uniform in the range of initial step sizes."""
    low, high = map(math.log, _STEP_RANGE)
    step = torch.exp(torch.rand(count) * (high - low) + low).clamp(min=_STEP_FLOOR)
    return step + torch.log(-torch.expm1(-step))  # inverse of softplus


class ScanMixer(nn.Module):
    """Sequence mixing by selective scans, in one direction or in both.

    Parameters
    ----------
    width : int
        Width D of input and output.
    inner, projected : int
        Channels a direction returns and channels it takes.
    forwards : nn.Module
        Maps ``(projected (B, N, P), gate (B, N), Carried or None)`` to (outputs (B, N, inner), :class:`Carried`).
    backwards : nn.Module, optional
        The same from right to left; its output is added. Both share the two projections.
    """

    def __init__(
        self, width: int, inner: int, projected: int, forwards: nn.Module, backwards: nn.Module | None
    ) -> None:
        super().__init__()
        self.in_proj = nn.Linear(width, projected, bias=False)
        self.forwards, self.backwards = forwards, backwards
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Mix ``x`` (B, N, D) along N; ``gate`` (B, N) in [0, 1] decides what each position may write."""
        weights = x.new_ones(x.shape[:2], dtype=torch.float32) if gate is None else gate.float()
        segment = max(1024, _SEGMENT_ELEMENTS // (len(x) * self.in_proj.out_features))
        if torch.is_grad_enabled() or x.shape[1] <= segment:
            y = self._mix(x, weights)
        else:
            y = self._mix_by_segments(x, weights, segment)
        return y if gate is None else y * weights[..., None].to(y.dtype)

    def _mix(self, x: Tensor, gate: Tensor) -> Tensor:
        projected = self.in_proj(x)
        y, _ = self.forwards(projected, gate, None)
        if self.backwards is not None:
            reverse, _ = self.backwards(projected.flip(1), gate.flip(1), None)
            y = y + reverse.flip(1)
        return self.out_proj(y)

    def _mix_by_segments(self, x: Tensor, gate: Tensor, segment: int) -> Tensor:
        """The same piece by piece, the state handed on: memory of one segment besides input and output."""
        parts = [slice(start, start + segment) for start in range(0, x.shape[1], segment)]
        y: Tensor | None = None
        carried: Carried | None = None
        for part in parts:
            found, carried = self.forwards(self.in_proj(x[:, part]), gate[:, part], carried)
            found = self.out_proj(found)
            y = found.new_empty(*x.shape[:2], found.shape[-1]) if y is None else y
            y[:, part] = found
        assert y is not None  # there are at least two parts
        if self.backwards is not None:
            carried = None
            for part in reversed(parts):
                projected = self.in_proj(x[:, part]).flip(1)
                found, carried = self.backwards(projected, gate[:, part].flip(1), carried)
                y[:, part] += self.out_proj(found).flip(1)
        return y
