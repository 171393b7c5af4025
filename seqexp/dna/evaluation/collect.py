"""What is known of every gene of a run: predictions, masks, binned signals and features of the naive baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seqexp.dna.loaders.features import kmer_frequencies, signal_profile
from seqexp.training.predict import predict_rows

if TYPE_CHECKING:
    from seqexp.dna.loaders.data import SequenceData
    from seqexp.training.run import Run


@dataclass(frozen=True)
class Collected:
    """What a run says about every labelled gene; rows of all members correspond.

    Attributes
    ----------
    predictions : DataFrame
        Table of :func:`seqexp.training.predict.predict_rows`.
    masks : float32 array (R, N), optional
        Selector masks in gene orientation; None for a network without selector.
    signals : float32 array (R, N, T)
        Mean signal per mask bin (over the window, without masks), gene orientation.
    kmers : float32 array (R, 4**5)
    profiles : float32 array (R, F)
    bin_bp : int
        Bases per bin of masks and signals.
    target_names : tuple of str
        Of each target (G); one without a name where there is one.
    """

    predictions: pd.DataFrame
    masks: np.ndarray | None
    signals: np.ndarray
    kmers: np.ndarray
    profiles: np.ndarray
    bin_bp: int
    target_names: tuple[str, ...] = ("",)

    @property
    def measured(self) -> np.ndarray:
        """Targets, float64 (R, G), in the unit of the table."""
        return self.predictions[columns_of("target", self.target_names)].to_numpy(float)

    @property
    def predicted(self) -> np.ndarray:
        """Predictions, float64 (R, G), in the unit of the table."""
        return self.predictions[columns_of("prediction", self.target_names)].to_numpy(float)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split."""
        return np.flatnonzero(self.predictions["split"].to_numpy() == split)


def columns_of(kind: str, target_names: tuple[str, ...]) -> list[str]:
    """Columns of a table of predictions that hold every target, ``kind`` being target or prediction."""
    return [f"{kind}_{name}" if name else kind for name in target_names]


def _to_bins(values: np.ndarray, num_bins: int) -> np.ndarray:
    """Means (num_bins, T) of signals (N, T), missing ones as 0; without tracks (num_bins, 0)."""
    if not values.size:
        return np.zeros((num_bins, 0), dtype=np.float32)
    fold = len(values) // num_bins
    grouped = np.nan_to_num(values[: fold * num_bins]).reshape(num_bins, fold, values.shape[1])
    return grouped.mean(axis=1, dtype=np.float32)


def collect(run: Run, data: SequenceData) -> Collected:
    """Predict all genes of a run, and read once more what the report and the baselines need of their windows."""
    predictions, said = predict_rows(run, ("mask",))
    masks = said.get("mask")
    names = tuple(getattr(data, "target_names", ("",)))
    num_bins = 1 if masks is None else masks.shape[1]
    read: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for batch in data.predict_dataloader():
        codes, signals = batch.codes.numpy(), batch.signals.float().numpy()
        for row, index in enumerate(batch.index.tolist()):
            values = signals[row]
            read[index] = (_to_bins(values, num_bins), kmer_frequencies(codes[row]), signal_profile(values))
    signals, kmers, profiles = map(np.stack, zip(*(read[int(index)] for index in predictions["index"])))
    return Collected(
        predictions, masks, signals, kmers, profiles, bin_bp=data.window_bp // num_bins, target_names=names
    )
