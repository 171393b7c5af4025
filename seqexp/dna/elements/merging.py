"""Overlapping windows of bins as one genome-wide track of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError

Combine = Literal["max", "mean"]


def merge_windows(
    chroms: NDArray[Any],
    starts: NDArray[np.int64],
    values: NDArray[np.float32],
    bin_bp: int,
    *,
    chrom_sizes: Mapping[str, int],
    combine: Combine = "max",
) -> pd.DataFrame:
    """Combine windows that need not share a grid of bins.

    Parameters
    ----------
    chroms : array (R,)
        Chromosome of each window.
    starts : int64 array (R,)
        First base of each window; may lie before the chromosome.
    values : array (R, N)
        Values per bin along the forward strand.
    bin_bp : int
        Bases per bin.
    chrom_sizes : mapping
        Length of each chromosome in bp; what lies outside is cut off.
    combine : {"max", "mean"}
        What a base covered by several windows gets.

    Returns
    -------
    DataFrame
        chrom, start, end, value (float32): sorted, disjoint, touching runs of equal value joined.
    """
    if combine not in get_args(Combine):
        raise ConfigError(f"combine: {combine!r}", expected="one of max, mean")
    parts = [pd.DataFrame({"chrom": pd.Series(dtype=object), **_steps(np.zeros((0, 2), np.int64), np.zeros(0))})]
    for chrom in sorted(set(chroms.tolist())):
        rows = np.flatnonzero(chroms == chrom)
        rows = rows[np.argsort(starts[rows], kind="stable")]
        apart = np.flatnonzero(np.diff(starts[rows]) >= values.shape[1] * bin_bp) + 1
        swept = [_sweep(starts[cluster], values[cluster], bin_bp, combine) for cluster in np.split(rows, apart)]
        spans = np.clip(np.concatenate([spans for spans, _ in swept]), 0, chrom_sizes[chrom])
        level = np.concatenate([level for _, level in swept])
        is_inside = spans[:, 1] > spans[:, 0]
        parts.append(pd.DataFrame({"chrom": chrom, **_steps(spans[is_inside], level[is_inside])}))
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def _steps(spans: NDArray[np.int64], level: NDArray[np.floating]) -> dict[str, NDArray[Any]]:
    """Columns of a track, touching stretches of equal value joined."""
    value = level.astype(np.float32)
    is_first = np.ones(len(spans), dtype=bool)
    is_first[1:] = (spans[1:, 0] != spans[:-1, 1]) | (value[1:] != value[:-1])
    is_last = np.append(is_first[1:], True)[: len(spans)]
    return {"start": spans[is_first, 0], "end": spans[is_last, 1], "value": value[is_first]}


def _sweep(
    starts: NDArray[np.int64], values: NDArray[np.float32], bin_bp: int, combine: Combine
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Windows (K,) of values (K, N) to the stretches between all their bin edges: spans (n, 2) and levels (n,)."""
    offsets = bin_bp * np.arange(values.shape[1] + 1, dtype=np.int64)
    edges = np.unique(starts[:, None] + offsets[None, :])
    level = np.full(len(edges) - 1, -np.inf if combine == "max" else 0.0)
    depth = np.zeros(len(edges) - 1, dtype=np.int64)
    for start, mask in zip(starts, values.astype(np.float64)):
        at = np.searchsorted(edges, start + offsets)
        stretch = slice(int(at[0]), int(at[-1]))
        pieces = np.repeat(mask, np.diff(at))
        level[stretch] = np.maximum(level[stretch], pieces) if combine == "max" else level[stretch] + pieces
        depth[stretch] += 1
    if combine == "mean":
        level = level / np.maximum(depth, 1)
    return np.stack([edges[:-1], edges[1:]], axis=1), level
