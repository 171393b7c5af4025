"""Plain features of a window, for the naive baselines that stand beside every model."""

from __future__ import annotations

import numpy as np


def kmer_frequencies(codes: np.ndarray, k: int = 5) -> np.ndarray:
    """Share of each k-mer among the k-mers of a window that hold no N.

    Parameters
    ----------
    codes : uint8 array (L,)
        Bases A, C, G, T as 0..3, anything else as 4.
    k : int
        Length of the words.

    Returns
    -------
    float32 array (4**k,)
        Square roots of the shares (variance-stabilised), words in the order of their base-4 number.
    """
    if len(codes) < k:
        return np.zeros(4**k, dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(codes, k)
    clean = windows[(windows < 4).all(axis=1)].astype(np.int64)
    counts = np.bincount(clean @ (4 ** np.arange(k)[::-1]), minlength=4**k)
    return np.sqrt(counts / max(len(clean), 1)).astype(np.float32)


def signal_profile(signals: np.ndarray, num_bins: int = 32) -> np.ndarray:
    """log(1 + mean signal) of each track in equal stretches of the window.

    Parameters
    ----------
    signals : array (N, T)
        Signals in gene orientation; missing values count as zero.
    num_bins : int
        Stretches; fewer when the window has fewer bins.

    Returns
    -------
    float32 array (min(num_bins, N) * T,)
    """
    length, num_tracks = signals.shape
    if length == 0 or num_tracks == 0:
        return np.zeros(0, dtype=np.float32)
    edges = np.linspace(0, length, min(num_bins, length) + 1).astype(int)
    sums = np.add.reduceat(np.nan_to_num(signals.astype(np.float64)), edges[:-1], axis=0)
    return np.log1p(np.maximum(sums / np.diff(edges)[:, None], 0.0)).astype(np.float32).ravel()
