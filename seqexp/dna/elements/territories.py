"""Which gene a base belongs to when it lies in the windows of several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqexp.dna.elements.bin_scores import BinScores


def nearest_bins(masks: BinScores) -> NDArray[np.bool_]:
    """Bins (R, N), gene orientation, whose middle is nearer to this gene's TSS than to that of any other window there.

    Every base of the windows is so given to one gene, up to a bin at each border; of equal distances the earlier gene
    has it. Where the TSS is not known, the middle of the window takes its place.
    """
    num_bins, width = masks.values.shape[1], masks.values.shape[1] * masks.bin_bp
    starts = np.array([window.start for window in masks.windows], dtype=np.int64)
    tss = masks.tss()
    middles = masks.starts() + masks.bin_bp // 2
    is_nearest = np.ones((len(masks), num_bins), dtype=bool)
    chroms = np.array([window.chrom for window in masks.windows], dtype=object)
    for chrom in dict.fromkeys(chroms):
        rows = np.flatnonzero(chroms == chrom)
        rows = rows[np.argsort(starts[rows], kind="stable")]
        # Windows of one width overlap where their starts are less than it apart.
        first = np.searchsorted(starts[rows], starts[rows] - width, side="right")
        last = np.searchsorted(starts[rows], starts[rows] + width, side="left")
        for row, low, high in zip(rows, first, last):
            others = rows[low:high]
            others = others[others != row, None]
            is_inside = (middles[row] >= starts[others]) & (middles[row] < starts[others] + width)
            own, theirs = np.abs(middles[row] - tss[row]), np.abs(middles[row] - tss[others])
            is_theirs = (theirs < own) | ((theirs == own) & (others < row))
            is_nearest[row] = ~(is_inside & is_theirs).any(axis=0)
    return is_nearest
