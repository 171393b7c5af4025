"""The bins that every ranking scores: windows, signals, distances and, where known, the planted truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.evaluation.truth import planted_bins
from seqexp.dna.loaders.data import SequenceData
from seqexp.dna.models.binning import token_blacklist, token_signals


@dataclass(frozen=True)
class Frame:
    """All labelled genes of a dataset, gene orientation.

    Attributes
    ----------
    data : SequenceData
        Set up.
    index : int64 array (R,)
        Rows of the gene table.
    masks : BinScores
        Windows and bins; its values are zeros.
    signals : float32 array (R, N, T)
        Mean signals per bin, contacts (if any) last.
    track_names : tuple of str
    distance_bp : float64 array (N,)
        Bin centre minus TSS.
    usable : bool array (R, N)
        On the chromosome, outside the forced promoter and the blacklist: what is ranked and scored.
    promoter : bool array (N,)
        Bins that every mask keeps.
    planted : bool array (R, N), optional
        Bins of planted elements.
    """

    data: SequenceData
    index: NDArray[np.int64]
    masks: BinScores
    signals: NDArray[np.float32]
    track_names: tuple[str, ...]
    distance_bp: NDArray[np.float64]
    usable: NDArray[np.bool_]
    promoter: NDArray[np.bool_]
    planted: NDArray[np.bool_] | None

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of a split."""
        return np.flatnonzero(np.array(self.masks.splits) == split)

    def of_split(self, split: str) -> Frame:
        """The genes of one split alone."""
        rows = self.rows(split)
        return replace(
            self,
            index=self.index[rows],
            masks=self.masks.select(rows),
            signals=self.signals[rows],
            usable=self.usable[rows],
            planted=None if self.planted is None else self.planted[rows],
        )


def make_frame(data: SequenceData, bin_bp: int, promoter_bp: int) -> Frame:
    """Read every labelled window once.

    Parameters
    ----------
    data : SequenceData
        Set up; its signal bins divide ``bin_bp``.
    bin_bp : int
        Bases per ranked bin.
    promoter_bp : int
        Width around the TSS that all masks keep.
    """
    index, signals, blacklist = [], [], []
    with torch.inference_mode():
        for batch in data.predict_dataloader():
            index.append(batch.index.numpy())
            signals.append(np.nan_to_num(token_signals(batch, bin_bp).numpy()))
            blacklist.append(token_blacklist(batch, bin_bp).numpy())
    rows = np.concatenate(index)
    described = [data.describe(int(row)) for row in rows]
    masks = BinScores(
        tuple(str(gene["gene_id"]) for gene in described),
        tuple(data.interval(int(row)) for row in rows),
        np.zeros((len(rows), data.window_bp // bin_bp), np.float32),
        bin_bp,
        data.spec.open_reference().chrom_sizes,
        splits=tuple(str(gene["split"]) for gene in described),
        tss_offset_bp=data.upstream_bp,
    )
    promoter = masks.promoter(promoter_bp) if promoter_bp else np.zeros(masks.values.shape[1], dtype=bool)
    usable = (masks.widths() > 0) & ~np.concatenate(blacklist) & ~promoter
    truth = data.spec.read_truth()
    planted = None if truth is None else planted_bins(truth, masks)
    distance = (np.arange(masks.values.shape[1], dtype=np.float64) + 0.5) * bin_bp - 0.5 - data.upstream_bp
    track_names = tuple(data.statistics.track_names)
    return Frame(
        data, rows, masks, np.concatenate(signals), track_names, distance.astype(np.float64), usable, promoter, planted
    )
