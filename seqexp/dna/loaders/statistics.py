"""What a network may know of the data before training: figures of the training split only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqexp.core.seeds import sample_seed
from seqexp.dna.loaders.batch import SequenceBatch, collate
from seqexp.dna.loaders.windows import WindowDataset

LEVELS = np.concatenate([np.linspace(0.0, 0.99, 100), [0.995, 0.999, 1.0]]).astype(np.float32)
MAX_WINDOWS = 512
MAX_BINS = 4096
MAX_BASES = 1 << 23


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
    target_mean, target_std : float or tuple of float (G,)
        Of the transformed expression; of each of several targets.
    num_train : int
        Training genes.
    sample : SequenceBatch, optional
        Training windows of at most :data:`MAX_BASES` bases in all, for starts that depend on the data.
    covariates : tuple of str
        F covariates of a gene.
    window_bp, bin_bp : int
        Length of a window and of its bins; 0 where not known.
    """

    track_names: tuple[str, ...]
    signal_quantiles: NDArray[np.float32]
    levels: NDArray[np.float32]
    target_mean: float | tuple[float, ...]
    target_std: float | tuple[float, ...]
    num_train: int
    sample: SequenceBatch | None = None
    covariates: tuple[str, ...] = ()
    window_bp: int = 0
    bin_bp: int = 0

    def high_quantile(self, level: float = 0.99) -> NDArray[np.float32]:
        """Quantile (T,) of each track at the highest tabulated level that is at most ``level``: the track's unit."""
        return self.signal_quantiles[:, int(np.searchsorted(self.levels, level + 1e-4, side="right")) - 1]


def collect_statistics(dataset: WindowDataset, seed: int = 0, covariates: tuple[str, ...] = ()) -> DataStatistics:
    """Read training windows and summarise them.

    Parameters
    ----------
    dataset : WindowDataset
        Training windows, not augmented.
    seed : int
        Chooses :data:`MAX_WINDOWS` windows and :data:`MAX_BINS` bins of each where there are more.
    covariates : tuple of str
        Names of the dataset's covariates.
    """
    rng = np.random.default_rng(sample_seed(seed, 0, len(dataset)))
    rows = np.sort(rng.permutation(len(dataset))[:MAX_WINDOWS])
    names = dataset.track_names
    sampled, windows = [], []
    num_kept = max(1, MAX_BASES // max(1, dataset.windows[0].width)) if len(dataset) else 0
    kept = set(rng.permutation(rows)[:num_kept].tolist())
    for row in rows if names else []:
        window = dataset[int(row)]
        sampled.append(_sampled_bins(window, rng))
        if row in kept:
            windows.append(window)
    quantiles = np.zeros((len(names), len(LEVELS)), dtype=np.float32)
    for track in range(len(names)):
        values = np.concatenate([bins[:, track] for bins in sampled])
        values = values[np.isfinite(values)]
        if values.size:
            quantiles[track] = np.quantile(values.astype(np.float64), LEVELS.astype(np.float64))
    columns = dataset.target.T.copy()
    means, stds = ([float(figure(column)) for column in columns] for figure in (np.mean, np.std))
    return DataStatistics(
        names,
        quantiles,
        LEVELS.copy(),
        means[0] if len(means) == 1 else tuple(means),
        stds[0] if len(stds) == 1 else tuple(stds),
        num_train=len(dataset),
        sample=collate(windows) if windows else None,
        covariates=covariates,
        window_bp=dataset.windows[0].width if len(dataset) else 0,
        bin_bp=dataset.source.bin_bp,
    )


def _sampled_bins(batch: SequenceBatch, rng: np.random.Generator) -> NDArray[np.float32]:
    """Some bins (n, T) of one window."""
    bins = np.flatnonzero(~batch.blacklist[0].numpy())
    if bins.size > MAX_BINS:
        bins = np.sort(rng.choice(bins, MAX_BINS, replace=False))
    return batch.signals[0].numpy()[bins].astype(np.float32)
