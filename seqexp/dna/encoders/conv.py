"""Dilated convolutions: the encoder that runs everywhere and is hard to beat on short windows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ConvBlock(nn.Module):
    """Pre-activation residual block: norm, GELU, dilated convolution, norm, GELU, mixing across channels."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm_in = nn.BatchNorm1d(width)
        self.dilated = nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.norm_mid = nn.BatchNorm1d(width)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, gate: Tensor | None) -> Tensor:
        """(B, D, N) and gate (B, 1, N) to (B, D, N)."""
        written = self.mix(F.gelu(self.norm_mid(self.dilated(F.gelu(self.norm_in(x))))))
        written = self.dropout(written)
        return x + (written if gate is None else gate * written)


class ConvEncoder(nn.Module):
    """Stack of residual blocks whose dilation doubles, starting over after ``max_dilation``.

    Parameters
    ----------
    width : int
        Width D of input and output.
    num_layers : int
    kernel : int
        Odd filter length in bins.
    max_dilation : int
    dropout : float
    """

    def __init__(
        self, width: int, num_layers: int = 6, kernel: int = 5, max_dilation: int = 32, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.width = width
        cycle = max_dilation.bit_length()
        dilations = [2 ** (layer % cycle) for layer in range(num_layers)]
        self.blocks = nn.ModuleList(ConvBlock(width, kernel, dilation, dropout) for dilation in dilations)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Encode bins.

        Parameters
        ----------
        x : Tensor (B, N, D)
        gate : Tensor (B, N), optional
            What each bin may write, in [0, 1]: at 0 its state stays as it came in.

        Returns
        -------
        Tensor (B, N, D)
        """
        h = x.transpose(1, 2)
        channel_gate = None if gate is None else gate[:, None, :]
        for block in self.blocks:
            h = block(h, channel_gate)
        return F.gelu(self.norm(h)).transpose(1, 2)
