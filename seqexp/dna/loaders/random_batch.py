"""Batches of random windows, to try out or time a network without data."""

from __future__ import annotations

import torch

from seqexp.dna.loaders.batch import SequenceBatch, no_blacklist


def random_batch(
    num_windows: int, window_bp: int, bin_bp: int, num_tracks: int = 0, *, num_covariates: int = 0
) -> SequenceBatch:
    """Windows of random bases and signals, the TSS in the middle.

    Parameters
    ----------
    num_windows, window_bp, bin_bp, num_tracks, num_covariates : int
        B, L, L / N, T and F of :class:`SequenceBatch`.
    """
    num_bins = window_bp // bin_bp
    return SequenceBatch(
        torch.randint(0, 4, (num_windows, window_bp), dtype=torch.uint8),
        torch.rand(num_windows, num_bins, num_tracks).half() * 10,
        torch.randn(num_windows, 1),
        torch.randn(num_windows, num_covariates),
        torch.full((num_windows,), window_bp // 2),
        torch.arange(num_windows),
        torch.zeros(num_windows, dtype=torch.bool),
        no_blacklist(num_windows, num_bins),
    )
