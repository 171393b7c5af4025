"""From masks to elements: the bins that a budget or a threshold keeps, joined to intervals."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from seqexp.core.errors import ConfigError
from seqexp.dna.elements.bin_scores import BinScores

COLUMNS = ["chrom", "start", "end", "gene_id", "strand", "score", "summit_bp"]
Scope = Literal["pooled", "gene"]
Bools = NDArray[np.bool_]


def kept_bins(
    masks: BinScores,
    budget_bp: int | None = None,
    threshold: float | None = None,
    scope: Scope = "pooled",
    *,
    max_gap_bp: int = 0,
    min_length_bp: int = 0,
    skip: Bools | None = None,
) -> Bools:
    """Bins (R, N), gene orientation, that are kept.

    Parameters
    ----------
    masks : BinScores
    budget_bp : int, optional
        Base pairs to keep: of all windows together, or of each window with ``scope="gene"``. Bins are kept best
        first for as long as the elements, joined and filtered as below, stay within the budget; without joining it
        is missed by less than one bin. Of equal values the bins nearer to the middle of their window come first, then
        earlier genes, so a tie never breaks the budget. Bins of value 0 or below are never kept.
    threshold : float, optional
        Keep bins of at least this value.
    scope : {"pooled", "gene"}
    max_gap_bp, min_length_bp : int
        As in :func:`call_elements`; they only count towards the budget here.
    skip : bool array (N,), optional
        Bins to leave out, gene orientation, such as a promoter that the selector forces open.

    Raises
    ------
    ConfigError
        Neither or both of budget and threshold, or a value out of range.
    """
    _check(masks, budget_bp, threshold, scope, max_gap_bp=max_gap_bp, min_length_bp=min_length_bp)
    usable = masks.widths() > 0
    if skip is not None:
        usable &= ~np.asarray(skip, dtype=bool)
    if threshold is not None:
        return np.asarray((masks.values >= threshold) & usable)

    usable &= masks.values > 0
    ranked = masks.turned(np.where(usable, masks.values, -np.inf))
    starts, widths = masks.turned(masks.starts()), masks.turned(masks.widths())
    step = max(len(masks), 1) if scope == "pooled" else 1
    blocks = [slice(row, row + step) for row in range(0, len(masks), step)]
    kept = [
        _within(
            ranked[b],
            starts[b],
            widths[b],
            int(budget_bp or 0),
            max_gap_bp=max_gap_bp,
            min_length_bp=min_length_bp,
        )
        for b in blocks
    ]
    return np.asarray(masks.turned(np.concatenate(kept)), dtype=bool) if kept else usable


def call_elements(
    masks: BinScores,
    budget_bp: int | None = None,
    threshold: float | None = None,
    scope: Scope = "pooled",
    *,
    max_gap_bp: int = 0,
    min_length_bp: int = 0,
    skip: Bools | None = None,
) -> pd.DataFrame:
    """Elements of every gene.

    Parameters
    ----------
    masks, budget_bp, threshold, scope, skip
        See :func:`kept_bins`.
    max_gap_bp : int
        Elements of one gene at most this far apart are joined; the gap counts towards the budget.
    min_length_bp : int
        Shorter elements are dropped, after joining; what they free goes to other elements of the budget.

    Returns
    -------
    DataFrame
        chrom, start, end (clipped to the chromosome), gene_id, strand (of the gene), score (mean mask per base, gaps
        included), summit_bp (offset of the highest bin's middle from start); sorted by chromosome and position.
    """
    kept = kept_bins(masks, budget_bp, threshold, scope, max_gap_bp=max_gap_bp, min_length_bp=min_length_bp, skip=skip)
    # Elements are intervals: from here on everything lies along the genome.
    kept, values, starts, widths = map(masks.turned, (kept, masks.values, masks.starts(), masks.widths()))
    row, start, end, first, last = _runs(kept, starts, widths, max_gap_bp, min_length_bp=min_length_bp)
    below = _before(widths.ravel())
    weighted = _before((values.astype(np.float64) * widths).ravel())
    num_bins = values.shape[1]
    low, high = row * num_bins + first, row * num_bins + last
    # Highest bin of each run: only kept bins compete, so that a skipped one in a gap cannot be the summit.
    peak = np.where(kept, values, -np.inf).ravel()
    top = np.array([a + int(np.argmax(peak[a:b])) for a, b in zip(low, high)], dtype=np.int64)
    middle = np.maximum(starts, 0).ravel()[top] + widths.ravel()[top] // 2
    frame = pd.DataFrame(
        {
            "chrom": np.array([w.chrom for w in masks.windows], dtype=object)[row],
            "start": start,
            "end": end,
            "gene_id": np.array(masks.gene_ids, dtype=object)[row],
            "strand": np.array([w.strand for w in masks.windows], dtype=object)[row],
            "score": (weighted[high] - weighted[low]) / np.maximum(below[high] - below[low], 1),
            "summit_bp": middle - start,
        },
        columns=COLUMNS,
    )
    return frame.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)


def describe_call(
    masks: BinScores, kept: Bools, elements: pd.DataFrame, budget_bp: int | None = None
) -> dict[str, float]:
    """How a call came out, to be told beside the elements.

    Parameters
    ----------
    masks, kept, elements
        Masks, what :func:`kept_bins` kept of them, and the elements.
    budget_bp : int, optional
        The budget of all windows together.

    Returns
    -------
    dict
        num_elements, num_genes (that have one), kept_bp (each gene's bases count), lowest_mask (of a kept bin; with
        one threshold for all genes that threshold), num_tied (bins of exactly that mask that were not kept), and with
        a budget short_bp (budget minus kept).
    """
    lowest = float(masks.values[kept].min()) if kept.any() else float("nan")
    kept_bp = int((elements["end"] - elements["start"]).sum())
    found: dict[str, float] = {
        "num_elements": len(elements),
        "num_genes": int(elements["gene_id"].nunique()),
        "kept_bp": kept_bp,
        "lowest_mask": lowest,
        "num_tied": int(((masks.values == lowest) & ~kept & (masks.widths() > 0)).sum()),
    }
    return found if budget_bp is None else {**found, "short_bp": budget_bp - kept_bp}


def merge_elements(elements: pd.DataFrame) -> pd.DataFrame:
    """Elements of all genes united where they overlap or touch.

    Returns
    -------
    DataFrame
        Same columns; gene_id lists the genes joined by commas, strand is ``.``, score and summit are those of the
        best element.
    """
    ordered = elements.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)
    if ordered.empty:
        return ordered.assign(strand=".")
    reach = ordered.groupby("chrom")["end"].cummax().groupby(ordered["chrom"]).shift(fill_value=-1)
    group = (ordered["start"] > reach).cumsum().to_numpy()
    of_group = ordered.groupby(group)
    best = ordered.loc[of_group["score"].idxmax()]
    start = of_group["start"].min().to_numpy()
    return best.assign(
        start=start,
        end=of_group["end"].max().to_numpy(),
        gene_id=of_group["gene_id"].agg(lambda names: ",".join(dict.fromkeys(names))).to_numpy(),
        strand=".",
        summit_bp=(best["start"] + best["summit_bp"]).to_numpy() - start,
    )[COLUMNS].reset_index(drop=True)


def with_p_values(elements: pd.DataFrame, null_scores: ArrayLike) -> pd.DataFrame:
    """Add empirical p_value and q_value, both as -log10, from scores of elements called on a null.

    p = (1 + null scores at least as high) / (1 + null scores); q by Benjamini and Hochberg.

    Parameters
    ----------
    elements : DataFrame
        With a column score.
    null_scores : array (M,)
        Scores of elements called in the same way on shuffled or permuted input.
    """
    null, score = np.sort(np.asarray(null_scores, np.float64)), elements["score"].to_numpy(np.float64)
    p = (1 + len(null) - np.searchsorted(null, score, side="left")) / (1 + len(null))
    order = np.argsort(p, kind="stable")[::-1]
    q = np.empty(len(p))
    q[order] = np.minimum.accumulate((p * len(p))[order] / np.arange(len(p), 0, -1))
    return elements.assign(p_value=-np.log10(p), q_value=np.maximum(-np.log10(np.minimum(q, 1.0)), 0.0))


def _check(
    masks: BinScores, budget_bp: int | None, threshold: float | None, scope: str, *, max_gap_bp: int, min_length_bp: int
) -> None:
    if (budget_bp is None) == (threshold is None):
        raise ConfigError("give either a budget in bp or a threshold", expected="one of the two")
    if threshold is not None and not 0 < threshold <= 1:
        raise ConfigError(f"threshold {threshold}", expected="above 0 and at most 1")
    if budget_bp is not None and budget_bp < masks.bin_bp:
        raise ConfigError(f"budget of {budget_bp} bp", expected=f"at least one bin ({masks.bin_bp} bp)")
    if scope not in get_args(Scope):
        raise ConfigError(f"scope: {scope!r}", expected="one of pooled, gene")
    if min(max_gap_bp, min_length_bp) < 0:
        raise ConfigError("a negative gap or length", expected="at least 0 bp")


def _within(
    ranked: NDArray[Any],
    starts: NDArray[np.int64],
    widths: NDArray[np.int64],
    budget_bp: int,
    *,
    max_gap_bp: int,
    min_length_bp: int,
) -> Bools:
    """The most bins, best first, whose elements are no larger than the budget; all arrays (R, N), along the genome.

    A bin more never makes elements smaller, with joining and the length filter too, so bisection finds the number.
    """
    num_bins = ranked.shape[1]
    from_middle = np.abs(np.arange(num_bins) - (num_bins - 1) / 2)
    order = np.lexsort((np.broadcast_to(from_middle, ranked.shape).ravel(), -ranked.ravel()))
    order = order[: int(np.isfinite(ranked).sum())]

    def best(num: int) -> Bools:
        kept = np.zeros(ranked.size, dtype=bool)
        kept[order[:num]] = True
        return kept.reshape(ranked.shape)

    if max_gap_bp == 0 and min_length_bp == 0:
        return best(int(np.searchsorted(np.cumsum(widths.ravel()[order]), budget_bp, side="right")))
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        _, start, end, _, _ = _runs(best(middle), starts, widths, max_gap_bp, min_length_bp=min_length_bp)
        if int((end - start).sum()) <= budget_bp:
            low = middle
        else:
            high = middle - 1
    return best(low)


def _runs(
    kept: Bools, starts: NDArray[np.int64], widths: NDArray[np.int64], max_gap_bp: int, *, min_length_bp: int
) -> tuple[NDArray[np.int64], ...]:
    """Runs of kept bins, joined and filtered: row, start, end (genome), first and last + 1 bin; each (n,)."""
    row, at = np.nonzero(kept)
    start = np.maximum(starts[row, at], 0)
    end = start + widths[row, at]
    is_first = np.ones(len(row), dtype=bool)
    is_first[1:] = (row[1:] != row[:-1]) | (start[1:] - end[:-1] > max_gap_bp)
    is_last = np.append(is_first[1:], True)[: len(row)]
    row, start, end, first, last = row[is_first], start[is_first], end[is_last], at[is_first], at[is_last] + 1
    is_long = end - start >= min_length_bp
    return row[is_long], start[is_long], end[is_long], first[is_long], last[is_long]


def _before(values: NDArray[Any]) -> NDArray[Any]:
    """Sum of all values before each position, (n + 1,)."""
    return np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])
