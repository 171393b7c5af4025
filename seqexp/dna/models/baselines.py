"""The control without a selector: the same stems, encoder and head, every bin open.

A selector that finds the right elements must come close to it; what it loses beside this network is the price of
choosing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from seqexp.dna.encoders.conv import ConvEncoder
from seqexp.dna.encoders.stems import RelativePosition, SequenceStem, SignalStem, bin_distance_bp
from seqexp.dna.heads.pooled import PooledHead
from seqexp.objectives.outputs import ModelOutput

if TYPE_CHECKING:
    from seqexp.dna.loaders.batch import DataStatistics, SequenceBatch


class ConvExpression(nn.Module):
    """Dilated CNN with attention pooling over all bins of a window.

    Parameters
    ----------
    num_tracks : int
        Tracks T of the data; 0 for DNA only.
    width : int
        Width D.
    bin_bp, signal_bin_bp : int
        Bases per bin, and per signal value of the data.
    num_layers, max_dilation : int
        Of the encoder.
    kernel_bp : int
        Length of the motif filters.
    reading_frame : bool
        See :class:`SequenceStem`.
    dropout, head_dropout : float
    num_covariates : int
        Gene-level covariates F.
    """

    def __init__(
        self,
        num_tracks: int,
        width: int = 96,
        bin_bp: int = 4,
        signal_bin_bp: int = 1,
        num_layers: int = 6,
        max_dilation: int = 32,
        kernel_bp: int = 15,
        reading_frame: bool = False,
        dropout: float = 0.1,
        head_dropout: float = 0.2,
        num_covariates: int = 0,
    ) -> None:
        super().__init__()
        self.bin_bp = bin_bp
        self.stem = SequenceStem(width, bin_bp, kernel_bp, reading_frame)
        self.signal_stem = SignalStem(num_tracks, width, bin_bp, signal_bin_bp) if num_tracks else None
        self.place = RelativePosition(width)
        self.encoder = ConvEncoder(width, num_layers, max_dilation=max_dilation, dropout=dropout)
        self.head = PooledHead(width, dropout=head_dropout, num_covariates=num_covariates)
        self.head_place = RelativePosition(self.head.num_groups)

    def calibrate(self, statistics: DataStatistics) -> None:
        """Scale the signals by their training quantiles."""
        if self.signal_stem is not None:
            levels = torch.as_tensor(statistics.levels)
            self.signal_stem.calibrate(torch.as_tensor(statistics.signal_quantiles), levels)

    def forward(self, batch: SequenceBatch) -> ModelOutput:
        """Predict the targets (B, 1) of a batch."""
        x = self.stem(batch.one_hot(), batch.tss_bp)
        if self.signal_stem is not None:
            x = x + self.signal_stem(batch.signal_values())
        distance = bin_distance_bp(x.shape[1], self.bin_bp, batch.tss_bp)
        hidden = self.encoder(x + self.place(distance).to(x.dtype))
        prediction = self.head(hidden, None, self.head_place(distance), batch.covariates)
        return ModelOutput(prediction.float())
