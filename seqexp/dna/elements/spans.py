"""Arithmetic on sorted, disjoint stretches of one chromosome or window: union, overlap, distance, squeezing.

A list of spans is an int64 array (n, 2) of 0-based half-open starts and ends.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Spans = NDArray[np.int64]


def as_spans(starts: ArrayLike, ends: ArrayLike) -> Spans:
    """Stack starts (n,) and ends (n,) into spans (n, 2)."""
    return np.stack([np.asarray(starts, np.int64), np.asarray(ends, np.int64)], axis=1).reshape(-1, 2)


def union(spans: Spans, gap_bp: int = 0) -> Spans:
    """Sorted, disjoint spans covering the same bases; spans at most ``gap_bp`` apart are joined, empty ones dropped."""
    spans = spans[spans[:, 1] > spans[:, 0]]
    if not len(spans):
        return spans.reshape(0, 2)
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    is_first = np.concatenate([[True], spans[1:, 0] > reach[:-1] + gap_bp])
    is_last = np.concatenate([is_first[1:], [True]])
    return np.stack([spans[is_first, 0], reach[is_last]], axis=1)


def total_bp(spans: Spans) -> int:
    """Bases of disjoint spans."""
    return int((spans[:, 1] - spans[:, 0]).sum())


def covered_below(spans: Spans, positions: ArrayLike) -> NDArray[np.int64]:
    """Bases of disjoint, sorted spans that lie before each position; same shape as ``positions``."""
    at = np.asarray(positions, np.int64)
    if not len(spans):
        return np.zeros(at.shape, np.int64)
    before = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])])
    last = np.searchsorted(spans[:, 0], at, side="right") - 1
    inside = np.where(last >= 0, np.minimum(at, spans[last, 1]) - spans[last, 0], 0)
    result: NDArray[np.int64] = before[np.maximum(last, 0)] + inside
    return result


def covered_bp(spans: Spans, of: Spans) -> NDArray[np.int64]:
    """Bases of each span in ``of`` (n, 2) that disjoint, sorted ``spans`` cover, (n,)."""
    return covered_below(spans, of[:, 1]) - covered_below(spans, of[:, 0])


def overlap_bp(first: Spans, second: Spans) -> int:
    """Bases shared by two lists of disjoint, sorted spans."""
    return int(covered_bp(second, first).sum())


def squeeze(spans: Spans, allowed: Spans) -> Spans:
    """Spans in the coordinates that are left when all bases outside ``allowed`` are cut out; disjoint, sorted.

    What lies outside ``allowed`` vanishes; spans on both sides of a cut touch and become one.
    """
    return union(np.stack([covered_below(allowed, spans[:, 0]), covered_below(allowed, spans[:, 1])], axis=1))


def distances_bp(of: Spans, to: Spans) -> NDArray[np.float64]:
    """Bases between each span of ``of`` and the nearest of ``to`` (sorted, disjoint): 0 when they overlap or touch.

    NaN where ``to`` is empty.
    """
    if not len(to):
        return np.full(len(of), np.nan)
    after = np.searchsorted(to[:, 0], of[:, 0], side="left")
    left = np.where(after > 0, of[:, 0] - to[np.maximum(after - 1, 0), 1], np.iinfo(np.int64).max)
    right = np.where(after < len(to), to[np.minimum(after, len(to) - 1), 0] - of[:, 1], np.iinfo(np.int64).max)
    return np.maximum(np.minimum(left, right), 0).astype(np.float64)


def shifted_overlaps(moving: Spans, fixed: Spans, length_bp: int, shifts_bp: ArrayLike) -> NDArray[np.int64]:
    """Overlap in bp after moving one list round a circle of ``length_bp`` bases, for each shift (S,).

    Parameters
    ----------
    moving, fixed : spans
        Disjoint, sorted, within [0, length_bp).
    shifts_bp : array (S,)
        Bases to move by, 0 to ``length_bp``.
    """
    shifts = np.asarray(shifts_bp, np.int64)
    if not len(moving) or not len(fixed) or not len(shifts):
        return np.zeros(len(shifts), np.int64)
    ends = moving[None, :, :] + shifts[:, None, None]
    turns, within = np.divmod(ends, length_bp)
    below = turns * total_bp(fixed) + covered_below(fixed, within)
    return np.asarray((below[..., 1] - below[..., 0]).sum(axis=1), np.int64)


def by_chrom(frame: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Row numbers of each chromosome, in the order of the table."""
    return {str(chrom): rows for chrom, rows in frame.groupby(frame["chrom"].astype(str).to_numpy()).indices.items()}


def frame_spans(frame: pd.DataFrame) -> Spans:
    """Columns start and end of a table as spans, in its order."""
    return as_spans(frame["start"].to_numpy(np.int64), frame["end"].to_numpy(np.int64))
