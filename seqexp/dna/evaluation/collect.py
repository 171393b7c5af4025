"""One pass over all genes of a run: predictions, masks, binned signals and the features of the naive baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pytorch_lightning import Callback

from seqexp.dna.loaders.features import kmer_frequencies, signal_profile
from seqexp.training.predict import predict_run

if TYPE_CHECKING:
    from seqexp.training.run import Run


@dataclass(frozen=True)
class Collected:
    """What a run says about every labelled gene; rows of all members correspond.

    Attributes
    ----------
    predictions : DataFrame
        Table of :func:`seqexp.training.predict.predict_run`.
    masks : float32 array (R, N), optional
        Selector masks in gene orientation; None for a network without selector.
    signals : float32 array (R, N, T)
        Mean signal per mask bin (per 1/256 of the window without a mask), gene orientation.
    kmers : float32 array (R, 4**5)
    profiles : float32 array (R, F)
    bin_bp : int
        Bases per bin of masks and signals.
    """

    predictions: pd.DataFrame
    masks: np.ndarray | None
    signals: np.ndarray
    kmers: np.ndarray
    profiles: np.ndarray
    bin_bp: int

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split."""
        return np.flatnonzero(self.predictions["split"].to_numpy() == split)


class _Watcher(Callback):
    """Keeps what the report needs of each batch, by row index."""

    def __init__(self, bin_bp: int | None) -> None:
        self.bin_bp = bin_bp
        self.kept: dict[int, tuple[np.ndarray | None, np.ndarray, np.ndarray, np.ndarray]] = {}

    def on_predict_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *args: Any) -> None:
        codes = batch.codes.cpu().numpy()
        signals = batch.signals.float().cpu().numpy()
        length = codes.shape[1]
        self.bin_bp = self.bin_bp or max(1, length // 256)
        num_bins = length // self.bin_bp
        masks = outputs.get("mask")
        for row, index in enumerate(outputs["index"].tolist()):
            values = signals[row]
            self.kept[index] = (
                None if masks is None else masks[row].float().cpu().numpy(),
                _to_bins(values, num_bins),
                kmer_frequencies(codes[row]),
                signal_profile(values),
            )


def _to_bins(values: np.ndarray, num_bins: int) -> np.ndarray:
    """Means (num_bins, T) of signals (N, T), missing ones as 0; without tracks (num_bins, 0)."""
    if not values.size:
        return np.zeros((num_bins, 0), dtype=np.float32)
    fold = len(values) // num_bins
    grouped = np.nan_to_num(values[: fold * num_bins]).reshape(num_bins, fold, values.shape[1])
    return grouped.mean(axis=1, dtype=np.float32)


def collect(run: Run) -> Collected:
    """Predict all genes of a run once and keep what the report needs."""
    watcher = _Watcher(getattr(run.network, "bin_bp", None))
    predictions = predict_run(run, [watcher])
    rows = [watcher.kept[int(index)] for index in predictions["index"]]
    masks, signals, kmers, profiles = zip(*rows)
    return Collected(
        predictions=predictions,
        masks=None if masks[0] is None else np.stack(masks),
        signals=np.stack(signals).astype(np.float32),
        kmers=np.stack(kmers),
        profiles=np.stack(profiles),
        bin_bp=int(watcher.bin_bp or 1),
    )
