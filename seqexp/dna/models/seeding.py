"""Start motif filters from what stands out in open training bins, and signals from their own scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from seqexp.dna.encoders.motif_stem import MotifStem
from seqexp.dna.loaders.windows import CONTACT
from seqexp.dna.models.binning import token_signals
from seqexp.dna.motifs.seeds import find_motifs
from seqexp.dna.selectors.signal import SignalEvidence

if TYPE_CHECKING:
    from seqexp.dna.loaders.statistics import DataStatistics


def calibrated_evidence(statistics: DataStatistics) -> SignalEvidence:
    """The map from tracks to evidence that the training quantiles alone give, one track as good as another.

    Contacts, the last channel of data that have them, are no track.
    """
    num_tracks = sum(name != CONTACT for name in statistics.track_names)
    evidence = SignalEvidence(num_tracks)
    evidence.calibrate(torch.as_tensor(statistics.signal_quantiles)[:num_tracks], torch.as_tensor(statistics.levels))
    return evidence


@torch.no_grad()
def seed_stem(stem: nn.Module, evidence: SignalEvidence, statistics: DataStatistics) -> int:
    """Start the filters of a :class:`MotifStem` from motifs enriched where tracks are open.

    Parameters
    ----------
    stem : nn.Module
        Any stem; one without motifs is left alone.
    evidence : SignalEvidence
        Calibrated, of the first tracks of the data; a bin is open where a track's evidence is above 0.
    statistics : DataStatistics
        With its sample of training windows.

    Returns
    -------
    int
        Number of filters that were started.
    """
    sample, num_tracks = statistics.sample, len(evidence.unit)
    if sample is None or not num_tracks or not isinstance(stem, MotifStem):
        return 0
    is_open = evidence(token_signals(sample, stem.bin_bp)[..., :num_tracks]) > 0
    by_base = np.asarray(is_open.repeat_interleave(stem.bin_bp, dim=1))
    codes = sample.codes.numpy()
    number = min(stem.max_seeds, len(stem.filters))
    # Tracks differ in how sharply they mark elements: of their open positions, those whose motifs stand out most count.
    per_track = [find_motifs(codes, by_base[..., track], number, stem.kernel_bp) for track in range(num_tracks)]
    return stem.start_from([motif.log_odds for motif in max(per_track, key=lambda found: sum(m.z for m in found))])
