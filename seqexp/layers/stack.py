"""A stack of residual blocks with a norm at the end, and activation checkpointing that renames nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute_in_backward

from seqexp.core.errors import ConfigError


class MixerBlock(nn.Module):
    """``x + dropout(mixer(norm(x), gate))``."""

    def __init__(self, mixer: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.mixer = mixer
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        return x + self.dropout(self.mixer(self.norm(x), gate))


class ResidualStack(nn.Module):
    """Blocks one after the other, then a norm.

    Parameters
    ----------
    width : int
        Width D of input and output.
    blocks : iterable of nn.Module
        Each maps ``(x (B, N, D), gate)`` to (B, N, D).
    norm : nn.Module
        Applied to the last block's output.
    checkpoint : bool
        Recompute each block in backward: about a third more time, memory of one block instead of all. Parameters
        keep their names, so weights load either way. Worth it beyond about 32,768 positions.

    Raises
    ------
    ConfigError
        No blocks.
    """

    def __init__(self, width: int, blocks: Iterable[nn.Module], norm: nn.Module, checkpoint: bool) -> None:
        super().__init__()
        self.width, self.checkpoint = width, checkpoint
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        if not self.blocks:
            raise ConfigError("num_layers is below 1", expected="at least 1", fix="set num_layers")

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
            x = self.run_block(block, x, gate)
        return self.norm(x)

    def run_block(self, block: nn.Module, x: Tensor, gate: Tensor | None) -> Tensor:
        """One block, recomputed in backward when asked to."""
        if self.checkpoint and torch.is_grad_enabled():
            return recompute_in_backward(block, x, gate, use_reentrant=False)
        return block(x, gate)


class MixerStack(ResidualStack):
    """Pre-norm blocks round sequence mixers, with a norm at the end.

    Parameters
    ----------
    width : int
        Width D of input and output.
    mixers : sequence of nn.Module
        Each with a last projection ``out_proj``, which is scaled for the depth.
    dropout : float
        Dropout on what each block adds.
    checkpoint : bool
        See :class:`ResidualStack`.
    """

    def __init__(self, width: int, mixers: Sequence[nn.Module], dropout: float, checkpoint: bool) -> None:
        for mixer in mixers:
            scale_for_depth(mixer.out_proj, len(mixers))  # type: ignore[arg-type]
        blocks = [MixerBlock(mixer, width, dropout) for mixer in mixers]
        super().__init__(width, blocks, nn.RMSNorm(width, eps=1e-5), checkpoint)


def scale_for_depth(projection: nn.Linear, num_layers: int) -> None:
    """Shrink a block's last projection by the root of the depth.

    The residual stream sums ``num_layers`` updates; this keeps its initial variance independent of depth.
    """
    with torch.no_grad():
        projection.weight /= math.sqrt(num_layers)
