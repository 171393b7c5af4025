"""The control without a selector: stems, dilated encoder and head, with every position open.

A model that selects elements shows by it what selecting costs: same parts, same data, nothing left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.conv import ConvEncoder, SequenceStem, SignalStem
from seqexp.dna.heads.expression import NUM_DISTANCE_FEATURES, ExpressionHead, distance_features
from seqexp.dna.models.binning import token_distance_bp, token_signals
from seqexp.dna.models.require import require_fit, require_signals
from seqexp.dna.models.scale import TargetScale
from seqexp.objectives.contracts import Losses
from seqexp.objectives.losses import make_loss, regression
from seqexp.objectives.outputs import ModelOutput

if TYPE_CHECKING:
    from seqexp.dna.loaders.batch import SequenceBatch
    from seqexp.dna.loaders.statistics import DataStatistics


class ConvExpression(nn.Module):
    """Expression from a window by a dilated CNN, or by the average of several that share nothing.

    Parameters
    ----------
    num_tracks : int
        Tracks T of the data; 0 for DNA only.
    num_contacts : int
        Channels of Hi-C contacts beside them, which are read as one more track.
    width : int
        Channels D of the tokens.
    bin_bp : int
        Bases per token; a multiple of the data's ``signal_bin_bp``.
    kernel_bp, stride_bp, word_bp, num_stem_blocks : int
        Of the :class:`SequenceStem`. ``stride_bp = word_bp = 3`` reads codons, where the TSS of the data is the start
        codon and its ``upstream_bp`` and shifts are multiples of 3.
    signal_kernel : int
        Bins that the first convolution over the signals sees, odd.
    dilations : sequence of int
        Of the encoder, one residual block each.
    kernel_size : int
        Taps of each block.
    num_readouts, num_scans, hidden : int
        Of the :class:`ExpressionHead`.
    dropout, head_dropout : float
        Of the encoder and the head.
    num_covariates, num_targets : int
        Gene covariates F and targets G of the data.
    stem_norm, norm : str
        ``layer`` or ``batch`` in the stem and in the encoder, see :func:`seqexp.dna.encoders.conv.channel_norm`.
    num_members : int
        Independent networks whose predictions are averaged. With the penalty ``disagreement`` at weight 1 the mean
        squared error of the average becomes the mean of the members' own errors, so that each learns by itself.
    loss : str
        Of the regression; a name in :data:`seqexp.objectives.losses.LOSSES`.
    """

    def __init__(
        self,
        num_tracks: int,
        width: int = 64,
        bin_bp: int = 12,
        kernel_bp: int = 15,
        *,
        stride_bp: int = 1,
        word_bp: int = 0,
        num_stem_blocks: int = 1,
        signal_kernel: int = 15,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
        kernel_size: int = 3,
        num_readouts: int = 4,
        num_scans: int = 0,
        hidden: int = 64,
        dropout: float = 0.1,
        head_dropout: float = 0.2,
        num_covariates: int = 0,
        num_contacts: int = 0,
        num_targets: int = 1,
        stem_norm: str = "layer",
        norm: str = "layer",
        num_members: int = 1,
        loss: str = "mse",
    ) -> None:
        super().__init__()
        self.loss = make_loss(loss)
        if num_members < 1:
            raise ConfigError(f"num_members {num_members}", expected="at least 1")
        self.num_tracks, self.num_contacts, self.bin_bp = num_tracks, num_contacts, bin_bp
        num_signals = num_tracks + num_contacts
        self.scale = TargetScale()
        self.members = nn.ModuleList()
        for _ in range(num_members):
            stem = SequenceStem(
                width, bin_bp, kernel_bp, stride_bp, word_bp=word_bp, num_blocks=num_stem_blocks, norm=stem_norm
            )
            signal_stem = SignalStem(num_signals, width, signal_kernel) if num_signals else None
            encoder = ConvEncoder(width, dilations, kernel_size, dropout, norm=norm)
            sizes = (width, num_targets, num_readouts, num_covariates)
            head = ExpressionHead(*sizes, hidden=hidden, dropout=head_dropout, num_scans=num_scans)
            self.members.append(_Member(stem, signal_stem, encoder, head))

    def calibrate(self, statistics: DataStatistics) -> None:
        """Take the units of the signals (a high quantile) and of the target from the training windows.

        Raises
        ------
        ConfigError
            Bins or covariates that do not fit.
        """
        require_fit(self, statistics)
        require_signals(statistics, self.num_tracks, self.num_contacts)
        self.scale.calibrate(statistics)
        scale = torch.as_tensor(statistics.high_quantile())
        for module in self.modules():
            if isinstance(module, SignalStem):
                module.calibrate(scale)

    def forward(self, batch: SequenceBatch) -> ModelOutput:
        """Predict the targets (B, 1).

        Raises
        ------
        ConfigError
            Tracks or bins of the batch are not those of the network.
        """
        return self.loss.output(self._answers(batch).mean(0))

    def losses(self, batch: SequenceBatch) -> Losses:
        """Regression on expression, with the penalty ``disagreement`` where there are several members."""
        answers = self._answers(batch)
        penalties = {} if len(answers) == 1 else {"disagreement": answers.var(0, unbiased=False).mean()}
        return regression(self.loss.output(answers.mean(0)), batch, self.loss, penalties)

    def _answers(self, batch: SequenceBatch) -> Tensor:
        """What each member says (M, B, 1)."""
        one_hot = batch.one_hot()
        signals = token_signals(batch, self.bin_bp)
        if signals.shape[-1] != self.num_tracks + self.num_contacts:
            expected = f"num_tracks = {self.num_tracks}, num_contacts = {self.num_contacts}"
            raise ConfigError(f"{signals.shape[-1]} signals in the data", expected=expected)
        distance_bp = token_distance_bp(batch, self.bin_bp)
        answers = torch.stack([member(one_hot, signals, distance_bp, batch.covariates) for member in self.members])
        return self.scale(answers.float())


class _Member(nn.Module):
    """One network: sequence and signals are embedded, placed, encoded and read."""

    def __init__(
        self, stem: SequenceStem, signal_stem: SignalStem | None, encoder: ConvEncoder, head: ExpressionHead
    ) -> None:
        super().__init__()
        self.stem, self.signal_stem, self.encoder, self.head = stem, signal_stem, encoder, head
        self.place = nn.Linear(NUM_DISTANCE_FEATURES, stem.width, bias=False)

    def forward(self, one_hot: Tensor, signals: Tensor, distance_bp: Tensor, covariates: Tensor) -> Tensor:
        tokens = self.stem(one_hot)
        if self.signal_stem is not None:
            tokens = tokens + self.signal_stem(signals)
        tokens = tokens + self.place(distance_features(distance_bp))
        return self.head(self.encoder(tokens), None, distance_bp, covariates)
