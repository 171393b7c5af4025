"""Expression from what a given mask leaves: nothing of a dropped bin reaches the prediction.

    bases, signals (dropped bins blanked) -> stems -> mask * token + (1 - mask) * null -> predictor (gated) -> head

Trained anew under a frozen mask it tells what the kept bins are worth ("retrain" of Su et al., ICLR 2025, Table 2),
with everything open it is the control without a selector, and trained on random masks it can be asked about any.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seqexp.core.arrays import UNREADABLE
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import atomic_path
from seqexp.dna.encoders.conv import SignalStem
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.loaders.windows import CONTACT
from seqexp.dna.models.binning import token_distance_bp, token_signals
from seqexp.dna.models.random_masks import random_masks
from seqexp.dna.models.require import require_fit, require_one_width
from seqexp.dna.models.scale import TargetScale
from seqexp.dna.models.seeding import calibrated_evidence, seed_stem
from seqexp.objectives.contracts import Losses
from seqexp.objectives.losses import make_loss, regression
from seqexp.objectives.outputs import ModelOutput

if TYPE_CHECKING:
    from seqexp.dna.loaders.statistics import DataStatistics


def save_kept(path: str | Path, kept: NDArray[np.bool_], upstream_bp: int, bin_bp: int) -> None:
    """Write frozen masks: kept bins (G, N) in gene orientation, one row per gene of the dataset's table."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, kept=np.packbits(kept, axis=1), num_bins=kept.shape[1], place=[upstream_bp, bin_bp])


def load_kept(path: str | Path) -> tuple[NDArray[np.bool_], int, int]:
    """Kept bins (G, N), ``upstream_bp`` and ``bin_bp`` of what :func:`save_kept` wrote."""
    try:
        with np.load(path) as held:
            kept = np.unpackbits(held["kept"], axis=1, count=int(held["num_bins"])).astype(bool)
            upstream_bp, bin_bp = (int(value) for value in held["place"])
    except (*UNREADABLE, KeyError) as error:
        raise DataError(f"not readable: {error}", where=path, expected="frozen masks") from error
    return kept, upstream_bp, bin_bp


class MaskedExpression(nn.Module):
    """Predictor that reads a window through a mask it is given.

    Parameters
    ----------
    stem : nn.Module
        One-hot bases (B, L, 4) to tokens (B, N, D); has ``bin_bp`` and ``width``.
    predictor : nn.Module
        Takes ``(x, gate)``.
    head : nn.Module
        ``(hidden, mask, distance_bp, covariates)`` to predictions (B, G).
    signal_stem : SignalStem, optional
        Tracks (B, N, T) to tokens (B, N, D); contacts, which are no track, are not read.
    masks : path, optional
        Frozen masks of :func:`save_kept`; everything is open without them.
    random_masks : float
        Share of the training windows that are read through a random mask, of a share of bins drawn evenly from 0 to 1
        and in stretches, see :func:`random_masks`, so that masks never seen can be given later.
    bin_dropout : float
        Chance of a bin to be closed in training, whatever the mask. A frozen mask shows the same few bins of a gene in
        every epoch, which a predictor soon knows by heart.
    is_blind : bool
        Blank every base and signal, kept or not: what is left is the pattern of the mask, which may tell of expression
        by itself.
    loss : str
        Of the regression; a name in :data:`seqexp.objectives.losses.LOSSES`.
    width : int, optional
        D of every part; in a config it goes down to the parts, which then need none of their own.

    Raises
    ------
    ConfigError
        Parts of different widths, frozen and random masks together, or masks of another bin width.
    """

    kept: Tensor

    def __init__(
        self,
        stem: nn.Module,
        predictor: nn.Module,
        head: nn.Module,
        signal_stem: SignalStem | None = None,
        *,
        masks: Path | None = None,
        random_masks: float = 0.0,
        bin_dropout: float = 0.0,
        is_blind: bool = False,
        loss: str = "mse",
        width: int | None = None,
    ) -> None:
        super().__init__()
        self.loss = make_loss(loss)
        parts: dict[str, Any] = {"stem": stem, "predictor": predictor}
        common = require_one_width(parts, width)
        if not 0 <= random_masks <= 1 or (masks is not None and random_masks):
            raise ConfigError(f"random_masks {random_masks}, masks {masks}", expected="a share, or frozen masks")
        if not 0 <= bin_dropout < 1:
            raise ConfigError(f"bin_dropout {bin_dropout}", expected="a chance, 0 or more and below 1")
        self.stem, self.predictor, self.head, self.signal_stem = stem, predictor, head, signal_stem
        self.bin_dropout = bin_dropout
        self.bin_bp, self.random_masks, self.is_blind = int(parts["stem"].bin_bp), random_masks, is_blind
        self.num_tracks = 0 if signal_stem is None else len(signal_stem.scale)
        self.null_token = nn.Parameter(0.02 * torch.randn(common))
        self.scale = TargetScale()
        self.upstream_bp, self.knows_rows = 0, masks is not None
        if masks is not None:
            kept, self.upstream_bp, bin_bp = load_kept(masks)
            if bin_bp != self.bin_bp:
                raise ConfigError(f"masks of {bin_bp} bp bins", where=masks, expected=f"bins of {self.bin_bp} bp")
            self.register_buffer("kept", torch.from_numpy(kept), persistent=False)
        else:
            self.kept = torch.zeros(0, 0, dtype=torch.bool)

    def forward(self, batch: SequenceBatch) -> ModelOutput:
        """Predict the targets (B, 1) through the frozen masks, or with everything open."""
        return self.loss.output(self._read(batch, batch.one_hot(), token_signals(batch, self.bin_bp)))

    def losses(self, batch: SequenceBatch) -> Losses:
        """Regression on expression."""
        return regression(self(batch), batch, self.loss)

    def predict_under(self, batch: SequenceBatch, mask: Tensor) -> Tensor:
        """Predictions (B, 1) under a mask (B, N) in place of the frozen one."""
        return self.loss.output(self._read(batch, batch.one_hot(), token_signals(batch, self.bin_bp), mask)).prediction

    def predict_inputs(self, batch: SequenceBatch, one_hot: Tensor, signals: Tensor) -> Tensor:
        """Predictions (B, 1) from bases (B, L, 4) and binned signals (B, N, T) that are given apart from the batch."""
        return self.loss.point(self._read(batch, one_hot, signals).float())

    def _read(self, batch: SequenceBatch, one_hot: Tensor, signals: Tensor, mask: Tensor | None = None) -> Tensor:
        distance_bp = token_distance_bp(batch, self.bin_bp)
        used = self._mask(batch, distance_bp) if mask is None else mask.float()
        if self.training and self.bin_dropout:
            used = used * (torch.rand_like(used) >= self.bin_dropout)
        share = used.unsqueeze(-1)
        seen = torch.zeros_like(share) if self.is_blind else share
        tokens = self.stem(one_hot * seen.repeat_interleave(self.bin_bp, dim=1))
        if self.signal_stem is not None:
            tokens = tokens + self.signal_stem(torch.nan_to_num(signals[..., : self.num_tracks]) * seen)
        shown = share * tokens + (1 - share) * self.null_token
        raw = self.head(
            self.predictor(shown, gate=used), mask=used, distance_bp=distance_bp, covariates=batch.covariates
        )
        return self.scale(raw)

    def _mask(self, batch: SequenceBatch, distance_bp: Tensor) -> Tensor:
        if self.kept.numel():
            # By distance to the TSS, so that windows which training moves or turns find their own bins.
            place = torch.floor((distance_bp + self.upstream_bp) / self.bin_bp).long()
            is_known = (place >= 0) & (place < self.kept.shape[1])
            own = self.kept[batch.index].gather(1, place.clamp(0, self.kept.shape[1] - 1))
            return (own & is_known).float()
        if not (self.training and self.random_masks):
            return torch.ones_like(distance_bp)
        return random_masks(distance_bp, self.random_masks)

    def calibrate(self, statistics: DataStatistics) -> None:
        """Check the data and take their scales; start motif filters from open training bins, whatever the mask."""
        require_fit(self, statistics)
        self.scale.calibrate(statistics)
        num_known = sum(name != CONTACT for name in statistics.track_names)
        if self.signal_stem is not None:
            self.signal_stem.calibrate(torch.as_tensor(statistics.high_quantile(0.98)[:num_known]))
        seed_stem(self.stem, calibrated_evidence(statistics), statistics)
