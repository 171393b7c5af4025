"""From masks to elements: the bins that a budget or a threshold keeps, joined to intervals."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError
from seqexp.dna.elements.masks import MaskSet

Scope = Literal["pooled", "gene"]
COLUMNS = ["chrom", "start", "end", "gene_id", "strand", "score", "summit_bp"]


def kept_bins(
    masks: MaskSet,
    budget_bp: int | None = None,
    threshold: float | None = None,
    scope: Scope = "pooled",
) -> NDArray[np.bool_]:
    """Bins (R, N), along the forward strand, that are kept.

    Parameters
    ----------
    masks : MaskSet
    budget_bp : int, optional
        Base pairs to keep: of all windows together, or of each window with ``scope="gene"``. Whole bins are kept, so
        the budget is met from below to within one bin. Of equal mask values the bins nearer to the middle of their
        window come first, then earlier genes, so a tie never breaks the budget.
    threshold : float, optional
        Keep bins with a mask of at least this.

    Raises
    ------
    ConfigError
        Neither or both of budget and threshold, or a value out of range.
    """
    if scope not in get_args(Scope):
        raise ConfigError(f"scope {scope!r}", expected="one of " + ", ".join(get_args(Scope)))
    if (budget_bp is None) == (threshold is None):
        raise ConfigError("give either a budget in bp or a threshold", expected="one of the two")
    values, inside = masks.forward(), masks.is_inside()
    if threshold is not None:
        if not 0 < threshold <= 1:
            raise ConfigError(f"threshold {threshold}", expected="above 0 and at most 1")
        return (values >= threshold) & inside
    if budget_bp is None or budget_bp < masks.bin_bp:
        raise ConfigError(f"budget of {budget_bp} bp", expected=f"at least one bin ({masks.bin_bp} bp)")
    ranked = np.where(inside, values, -np.inf)
    from_middle = np.abs(np.arange(values.shape[1]) - (values.shape[1] - 1) / 2)
    num = budget_bp // masks.bin_bp
    if scope == "gene" and len(ranked):
        return np.stack([_top(row[None], from_middle, num)[0] for row in ranked]) & inside
    return _top(ranked, from_middle, num) & inside


def _top(ranked: NDArray[np.floating], from_middle: NDArray[np.floating], num: int) -> NDArray[np.bool_]:
    """The ``num`` best bins of all rows together."""
    tie_break = np.broadcast_to(from_middle, ranked.shape).ravel()
    best = np.lexsort((tie_break, -ranked.ravel()))[:num]
    kept = np.zeros(ranked.size, dtype=bool)
    kept[best] = True
    return kept.reshape(ranked.shape)


def call_elements(
    masks: MaskSet,
    budget_bp: int | None = None,
    threshold: float | None = None,
    scope: Scope = "pooled",
    max_gap_bp: int = 0,
    min_length_bp: int = 0,
) -> pd.DataFrame:
    """Elements of every gene.

    Parameters
    ----------
    masks, budget_bp, threshold, scope
        See :func:`kept_bins`.
    max_gap_bp : int
        Elements of one gene at most this far apart are joined (the gap then counts beyond the budget).
    min_length_bp : int
        Shorter elements are dropped, after joining.

    Returns
    -------
    DataFrame
        chrom, start, end, gene_id, strand (of the gene), score (mean mask), summit_bp (offset of the highest bin's
        middle from start); sorted by chromosome and position.

    Raises
    ------
    ConfigError
        As :func:`kept_bins`, or a negative length.
    """
    if max_gap_bp < 0 or min_length_bp < 0:
        raise ConfigError(
            f"max_gap_bp {max_gap_bp}, min_length_bp {min_length_bp}", expected="lengths of at least 0 bp"
        )
    kept = kept_bins(masks, budget_bp, threshold, scope)
    values, starts = masks.forward(), masks.starts()
    rows = []
    for row in np.flatnonzero(kept.any(axis=1)):
        window, name = masks.windows[row], masks.gene_ids[row]
        for first, last in _runs(kept[row], max_gap_bp // masks.bin_bp):
            if (last - first) * masks.bin_bp < min_length_bp:
                continue
            bins = values[row, first:last]
            start = int(starts[row, first])
            summit = int(np.argmax(bins)) * masks.bin_bp + masks.bin_bp // 2
            end = start + (last - first) * masks.bin_bp
            rows.append((window.chrom, start, end, name, window.strand, float(bins.mean()), summit))
    return _table(rows).sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)


def _table(rows: list[tuple[str, int, int, str, str, float, int]]) -> pd.DataFrame:
    """Rows as a table whose columns have their types even without rows."""
    kinds = {"start": np.int64, "end": np.int64, "score": np.float64, "summit_bp": np.int64}
    return pd.DataFrame(rows, columns=COLUMNS).astype(kinds)


def _runs(kept: NDArray[np.bool_], max_gap: int) -> list[tuple[int, int]]:
    """(first, last + 1) of each run of kept bins, runs at most ``max_gap`` bins apart joined."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2).tolist()
    joined = [runs[0]]
    for first, last in runs[1:]:
        if first - joined[-1][1] <= max_gap:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    return [(first, last) for first, last in joined]


def merge_elements(elements: pd.DataFrame) -> pd.DataFrame:
    """Elements of all genes united where they overlap or touch.

    Returns
    -------
    DataFrame
        Same columns; gene_id lists the genes joined by commas, strand is ``.``, score and summit are those of the
        best element.
    """
    if elements.empty:
        return elements.assign(strand=".")
    ordered = elements.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)
    reach = ordered.groupby("chrom")["end"].cummax().groupby(ordered["chrom"]).shift(fill_value=-1)
    group = (ordered["start"] > reach).cumsum()
    rows = []
    for _, part in ordered.groupby(group, sort=False):
        best = part.loc[part["score"].idxmax()]
        start = int(part["start"].min())
        genes = ",".join(dict.fromkeys(part["gene_id"]))
        summit = int(best["start"]) + int(best["summit_bp"]) - start
        rows.append((best["chrom"], start, int(part["end"].max()), genes, ".", float(best["score"]), summit))
    return _table(rows)
