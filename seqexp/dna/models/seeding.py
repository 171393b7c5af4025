"""Start motif filters from what stands out in open training bins, and signals from their own scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from seqexp.dna.encoders.motif_stem import MotifStem
from seqexp.dna.models.binning import token_signals
from seqexp.dna.selectors.signal import SignalEvidence

if TYPE_CHECKING:
    from seqexp.dna.loaders.statistics import DataStatistics


def calibrated_evidence(statistics: DataStatistics) -> SignalEvidence:
    """The map from signals to evidence that the training quantiles alone give, one track as good as another."""
    evidence = SignalEvidence(len(statistics.track_names))
    evidence.calibrate(torch.as_tensor(statistics.signal_quantiles), torch.as_tensor(statistics.levels))
    return evidence


@torch.no_grad()
def seed_stem(stem: nn.Module, evidence: SignalEvidence, statistics: DataStatistics, num_tracks: int) -> int:
    """Start the filters of a :class:`MotifStem` from motifs enriched where tracks are open.

    Parameters
    ----------
    stem : nn.Module
        Any stem; one without motifs is left alone.
    evidence : SignalEvidence
        Calibrated; a bin is open where a track's evidence is above 0.
    statistics : DataStatistics
        With its sample of training windows.
    num_tracks : int
        Tracks to look at, the first ones of the data.

    Returns
    -------
    int
        Number of filters that were started.
    """
    sample = statistics.sample
    if sample is None or not num_tracks or not isinstance(stem, MotifStem):
        return 0
    is_open = evidence(token_signals(sample, stem.bin_bp)[..., :num_tracks]) > 0
    by_base = np.asarray(is_open.repeat_interleave(stem.bin_bp, dim=1))
    return stem.seed(sample.codes.numpy(), [by_base[..., track] for track in range(num_tracks)])
