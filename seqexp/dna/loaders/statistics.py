"""What a network may know of the data before training: figures of the training split only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqexp.core.seeds import sample_seed
from seqexp.dna.loaders.windows import WindowDataset

LEVELS = np.concatenate([np.linspace(0.0, 0.99, 100), [0.995, 0.999, 1.0]]).astype(np.float32)
MAX_WINDOWS = 512
MAX_BINS = 4096


@dataclass
class DataStatistics:
    """Figures of the training windows.

    Attributes
    ----------
    track_names : tuple of str
        T tracks.
    signal_quantiles : float32 array (T, Q)
        Quantiles of the binned signal of each track, missing values and blacklisted bins left out.
    levels : float32 array (Q,)
        Their levels, rising from 0 to 1.
    target_mean, target_std : float
        Of the transformed expression.
    num_train : int
        Training genes.
    """

    track_names: tuple[str, ...]
    signal_quantiles: NDArray[np.float32]
    levels: NDArray[np.float32]
    target_mean: float
    target_std: float
    num_train: int


def collect_statistics(dataset: WindowDataset, seed: int = 0) -> DataStatistics:
    """Read training windows and summarise them.

    Parameters
    ----------
    dataset : WindowDataset
        Training windows, not augmented.
    seed : int
        Chooses :data:`MAX_WINDOWS` windows and :data:`MAX_BINS` bins of each where there are more.
    """
    rng = np.random.default_rng(sample_seed(seed, 0, len(dataset)))
    rows = np.sort(rng.permutation(len(dataset))[:MAX_WINDOWS])
    names = dataset.source.track_names
    sampled = [_sampled_bins(dataset, int(row), rng) for row in rows] if names else []
    quantiles = np.zeros((len(names), len(LEVELS)), dtype=np.float32)
    for track in range(len(names)):
        values = np.concatenate([bins[:, track] for bins in sampled])
        values = values[np.isfinite(values)]
        if values.size:
            quantiles[track] = np.quantile(values.astype(np.float64), LEVELS.astype(np.float64))
    return DataStatistics(
        names, quantiles, LEVELS.copy(), float(dataset.target.mean()), float(dataset.target.std()), len(dataset)
    )


def _sampled_bins(dataset: WindowDataset, row: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Some bins (n, T) of one window."""
    batch = dataset[row]
    bins = np.flatnonzero(~batch.blacklist[0].numpy())
    if bins.size > MAX_BINS:
        bins = np.sort(rng.choice(bins, MAX_BINS, replace=False))
    return batch.signals[0].numpy()[bins].astype(np.float32)
